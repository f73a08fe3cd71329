// Custom resources, by CustomObjectsApi and by KubernetesObjectApi, which finds resources by discovery.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { as, config, found, k8s, limits, namespace, refused, until } from './lib.mjs';

const { JsonPatch, MergePatch, ServerSideApply } = k8s.PatchStrategy;
const NAME = 'boats.harbour.example.test';
const definitions = config.makeApiClient(k8s.ApiextensionsV1Api);
const custom = config.makeApiClient(k8s.CustomObjectsApi);
const objects = k8s.KubernetesObjectApi.makeApiClient(config);
const boats = { group: 'harbour.example.test', version: 'v1', plural: 'boats' };
const boat = (name, spec) => ({ apiVersion: 'harbour.example.test/v1', kind: 'Boat', metadata: { name }, spec });

test('custom resources', limits, async (t) => {
    const ns = await namespace('js-custom');
    const at = { ...boats, namespace: ns };
    const manifest = await readFile(new URL('../custom-resources/crd.yaml', import.meta.url), 'utf8');
    await definitions.createCustomResourceDefinition({ body: k8s.loadYaml(manifest) });
    await until('the definition is established', async () => {
        const { status } = await definitions.readCustomResourceDefinitionStatus({ name: NAME });
        return status?.conditions?.some((one) => one.type === 'Established' && one.status === 'True');
    });
    await until('the resource is served', () => found(custom.listNamespacedCustomObject(at)));

    await t.test('CustomObjectsApi', async () => {
        const made = await custom.createNamespacedCustomObject({ ...at, body: boat('dinghy', { length: 4, flag: 'nl' }) });
        assert.equal(made.spec.sails, 1);
        const { causes } = (await refused(422, 'Invalid', custom.createNamespacedCustomObject({ ...at, body: boat('wreck', { length: 4, sails: 3 }) }))).details;
        assert.deepEqual(causes.map(({ field, message }) => [field, message]), [['spec', 'Invalid value: too many sails for the length']]);
        await custom.createNamespacedCustomObject({ ...at, body: boat('ferry', { length: 90, flag: 'no' }) });
        const selected = await custom.listNamespacedCustomObject({ ...at, fieldSelector: 'spec.flag=no' });
        assert.deepEqual(selected.items.map((item) => item.metadata.name), ['ferry']);
        const page = await custom.listNamespacedCustomObject({ ...at, limit: 1 });
        assert.equal(page.items.length, 1);
        assert.ok(page.metadata.continue);

        const one = { ...at, name: 'dinghy' };
        const patched = await custom.patchNamespacedCustomObject({ ...one, body: [{ op: 'add', path: '/spec/length', value: 6 }] }, as(JsonPatch));
        assert.deepEqual([patched.spec.length, patched.metadata.generation], [6, 2]);
        const stale = { ...made, spec: { length: 8, flag: 'nl' } };
        await refused(409, 'Conflict', custom.replaceNamespacedCustomObject({ ...one, body: stale }));
        const crew = boat('dinghy', { crew: [{ name: 'ann' }] });
        const apply = (fieldManager, body) => custom.patchNamespacedCustomObject({ ...one, body, fieldManager, force: false }, as(ServerSideApply));
        const applied = await apply('a', crew);
        assert.deepEqual(applied.spec.crew, [{ name: 'ann', rank: 'sailor' }]);
        crew.spec.crew[0] = { name: 'bob', rank: 'captain' };
        const both = await apply('b', crew);
        assert.deepEqual(both.spec.crew.map((sailor) => sailor.name), ['ann', 'bob']);
        await refused(409, 'Conflict', apply('c', boat('dinghy', { crew: [{ name: 'bob', rank: 'sailor' }] })));

        // Status and scale are their own.
        const status = await custom.patchNamespacedCustomObjectStatus({ ...one, body: { spec: { length: 99 }, status: { sails: 1 } } }, as(MergePatch));
        assert.deepEqual([status.spec.length, status.status.sails], [6, 1]);
        const scale = await custom.getNamespacedCustomObjectScale(one);
        assert.deepEqual([scale.kind, scale.spec.replicas, scale.status.replicas], ['Scale', 1, 1]);
        scale.spec.replicas = 2;
        await custom.replaceNamespacedCustomObjectScale({ ...one, body: scale });
        assert.equal((await custom.getNamespacedCustomObject(one)).spec.sails, 2);

        await custom.deleteNamespacedCustomObject({ ...one, propagationPolicy: 'Background' });
        assert.equal(await found(custom.getNamespacedCustomObject(one)), undefined);
        assert.equal((await custom.listClusterCustomObject(boats)).items.length, 1);
    });

    await t.test('KubernetesObjectApi', async () => {
        const made = await objects.create({ ...boat('raft', { length: 2 }), metadata: { name: 'raft', namespace: ns } });
        assert.equal(made.kind, 'Boat');
        made.spec.length = 3;
        const replaced = await objects.replace(made);
        assert.equal(replaced.spec.length, 3);
        const merged = await objects.patch(
            { ...boat('raft', { flag: 'de' }), metadata: { name: 'raft', namespace: ns } }, undefined, undefined, undefined, undefined, MergePatch,
        );
        assert.deepEqual([merged.spec.length, merged.spec.flag], [3, 'de']);
        const applied = await objects.patch(
            { ...boat('raft', { crew: [{ name: 'cy' }] }), metadata: { name: 'raft', namespace: ns } },
            undefined, undefined, 'js', true, ServerSideApply,
        );
        assert.equal(applied.spec.crew[0].rank, 'sailor');
        const listed = await objects.list('harbour.example.test/v1', 'Boat', ns, undefined, undefined, undefined, 'spec.flag=de');
        assert.deepEqual(listed.items.map((item) => item.metadata.name), ['raft']);
        assert.equal((await objects.read(made)).metadata.uid, made.metadata.uid);
        await objects.delete(made);
        await refused(404, 'NotFound', objects.read(made));
        // Built-in kinds come by the same way, as the types that the client has for them.
        const secret = await objects.create({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 's', namespace: ns }, stringData: { a: 'b' } });
        assert.deepEqual(secret.data, { a: 'Yg==' });
        await assert.rejects(objects.read({ apiVersion: 'v1', kind: 'Nothing', metadata: { name: 'n' } }), /Unrecognized API version and kind/);
    });

    await t.test('a definition that goes takes its instances along', async () => {
        await definitions.deleteCustomResourceDefinition({ name: NAME });
        await until('nothing is served', async () => !(await found(custom.listNamespacedCustomObject(at))));
    });
});
