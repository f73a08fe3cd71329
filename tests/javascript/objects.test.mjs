// Objects: reads, pages, selectors, writes that conflict, the forms of patches, deletion, and errors as Status.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { as, config, core, found, k8s, limits, namespace, refused, until } from './lib.mjs';

const { JsonPatch, MergePatch, ServerSideApply, StrategicMergePatch } = k8s.PatchStrategy;

test('create, get, replace, conflict', limits, async () => {
    const ns = await namespace('js-objects');
    const body = { metadata: { generateName: 'made-', labels: { n: '1' } }, data: { k: 'v' }, binaryData: { b: 'AAEC' } };
    const made = await core.createNamespacedConfigMap({ namespace: ns, body });
    const { name } = made.metadata;
    assert.match(name, /^made-[a-z0-9]{5}$/);
    assert.ok(made.metadata.uid && made.metadata.resourceVersion && made.metadata.creationTimestamp instanceof Date);
    const read = await core.readNamespacedConfigMap({ namespace: ns, name });
    assert.deepEqual(read.data, { k: 'v' });
    assert.deepEqual(read.binaryData, { b: 'AAEC' });

    const again = { metadata: { name }, data: {} };
    const exists = await refused(409, 'AlreadyExists', core.createNamespacedConfigMap({ namespace: ns, body: again }));
    assert.equal(exists.message, `configmaps "${name}" already exists`);

    // The second of two writers who read the same version loses.
    const [first, second] = [structuredClone(read), structuredClone(read)];
    first.data.k = 'first';
    second.data.k = 'second';
    const written = await core.replaceNamespacedConfigMap({ namespace: ns, name, body: first });
    assert.notEqual(written.metadata.resourceVersion, read.metadata.resourceVersion);
    const lost = await refused(409, 'Conflict', core.replaceNamespacedConfigMap({ namespace: ns, name, body: second }));
    assert.match(lost.message, /the object has been modified; please apply your changes to the latest version/);
    second.metadata.resourceVersion = written.metadata.resourceVersion;
    await core.replaceNamespacedConfigMap({ namespace: ns, name, body: second });
    assert.equal((await core.readNamespacedConfigMap({ namespace: ns, name })).data.k, 'second');

    const dry = await core.createNamespacedConfigMap({ namespace: ns, body: { metadata: { name: 'dry' } }, dryRun: 'All' });
    assert.ok(dry.metadata.uid);
    assert.equal(await found(core.readNamespacedConfigMap({ namespace: ns, name: 'dry' })), undefined);
});

test('lists: selectors, pages, and a token that is none', limits, async () => {
    const ns = await namespace('js-lists');
    for (let n = 0; n < 12; n++) {
        const body = { metadata: { name: `m${n}`, labels: { parity: n % 2 ? 'odd' : 'even', n: `${n}` } } };
        await core.createNamespacedConfigMap({ namespace: ns, body });
    }
    const names = async (options) =>
        (await core.listNamespacedConfigMap({ namespace: ns, ...options })).items.map((item) => item.metadata.name);
    for (const [labelSelector, expected] of [
        ['parity=odd,n in (1, 3)', ['m1', 'm3']],
        ['parity!=odd,n notin (0,2,4,6,8)', ['kube-root-ca.crt', 'm10']],
        ['n=11,parity', ['m11']],
        ['!parity', ['kube-root-ca.crt']],
    ]) {
        // The namespace's own map is there once its controller has seen the namespace.
        const got = (await names({ labelSelector })).filter((name) => name !== 'kube-root-ca.crt');
        assert.deepEqual(got, expected.filter((name) => name !== 'kube-root-ca.crt'), labelSelector);
    }
    assert.deepEqual(await names({ fieldSelector: 'metadata.name=m7' }), ['m7']);
    await refused(400, 'BadRequest', names({ labelSelector: 'a in' }));
    await refused(400, 'BadRequest', names({ fieldSelector: 'spec.nothing=1' }));

    const seen = [];
    let page, token;
    do {
        page = await core.listNamespacedConfigMap({ namespace: ns, labelSelector: 'parity', limit: 5, _continue: token });
        assert.ok(page.items.length <= 5);
        seen.push(...page.items.map((item) => item.metadata.name));
        token = page.metadata._continue;
        if (seen.length === 5) {
            assert.ok(token, 'the first page is the last');
            // What is written between pages is not in them: all pages are of one version.
            await core.createNamespacedConfigMap({ namespace: ns, body: { metadata: { name: 'm99', labels: { parity: 'odd' } } } });
        }
    } while (token);
    assert.equal(seen.length, 12);
    assert.equal(new Set(seen).size, 12);
    await refused(400, 'BadRequest', names({ limit: 5, _continue: 'bogus' }));
    const everywhere = await core.listConfigMapForAllNamespaces({ fieldSelector: `metadata.namespace=${ns},metadata.name=m3` });
    assert.equal(everywhere.items.length, 1);
    assert.equal(everywhere.kind, 'ConfigMapList');
});

test('patches of every form', limits, async () => {
    const namespaceName = await namespace('js-patches');
    const apps = config.makeApiClient(k8s.AppsV1Api);
    const at = { name: 'web', namespace: namespaceName };
    const container = { name: 'c', image: 'example.test/web:1', env: [{ name: 'A', value: '1' }] };
    await apps.createNamespacedDeployment({
        namespace: namespaceName,
        body: {
            metadata: { name: 'web' },
            spec: {
                replicas: 0,
                selector: { matchLabels: { app: 'web' } },
                template: { metadata: { labels: { app: 'web' } }, spec: { containers: [container] } },
            },
        },
    });
    const patch = (strategy, body, options = {}) => apps.patchNamespacedDeployment({ ...at, body, ...options }, as(strategy));
    const containers = (deployment) => deployment.spec.template.spec.containers;

    const operations = [
        { op: 'test', path: '/spec/replicas', value: 0 },
        { op: 'add', path: '/metadata/labels', value: { a: 'b' } },
        { op: 'replace', path: '/spec/template/spec/containers/0/image', value: 'example.test/web:2' },
    ];
    const json = await patch(JsonPatch, operations);
    assert.deepEqual(json.metadata.labels, { a: 'b' });
    assert.equal(containers(json)[0].image, 'example.test/web:2');
    await refused(422, 'Invalid', patch(JsonPatch, [{ op: 'test', path: '/spec/replicas', value: 7 }]));

    const merge = await patch(MergePatch, { metadata: { labels: { a: null, c: 'd' } } });
    assert.deepEqual(merge.metadata.labels, { c: 'd' });
    // A merge patch replaces a list, a strategic one merges it by its key.
    const added = { name: 'side', image: 'example.test/side:1' };
    const strategic = await patch(StrategicMergePatch, { spec: { template: { spec: { containers: [added] } } } });
    assert.deepEqual(containers(strategic).map((one) => one.name), ['side', 'c']);
    const removed = { spec: { template: { spec: { containers: [{ name: 'side', $patch: 'delete' }] } } } };
    assert.deepEqual(containers(await patch(StrategicMergePatch, removed)).map((one) => one.name), ['c']);
    const replaced = await patch(MergePatch, { spec: { template: { spec: { containers: [container] } } } });
    assert.equal(containers(replaced)[0].image, 'example.test/web:1');

    const wanted = (value) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'applied' }, data: { k: value } });
    const apply = (fieldManager, value, force) =>
        core.patchNamespacedConfigMap(
            { name: 'applied', namespace: namespaceName, body: wanted(value), fieldManager, force },
            as(ServerSideApply),
        );
    await apply('one', '1');
    const conflict = await refused(409, 'Conflict', apply('two', '2'));
    assert.deepEqual(conflict.details.causes.map((cause) => [cause.reason, cause.field]), [['FieldManagerConflict', '.data.k']]);
    assert.match(conflict.message, /conflict with "one": \.data\.k/);
    const forced = await apply('two', '2', true);
    assert.equal(forced.data.k, '2');
    const owners = Object.fromEntries(forced.metadata.managedFields.map((entry) => [entry.manager, entry]));
    assert.deepEqual(owners.two.fieldsV1, { 'f:data': { 'f:k': {} } });
    assert.equal(owners.two.operation, 'Apply');
    const nameless = await refused(422, 'Invalid', apply(undefined, '3'));
    assert.deepEqual(nameless.details.causes.map((cause) => cause.field), ['fieldManager']);
});

test('deletion and its options', limits, async () => {
    const ns = await namespace('js-deletes');
    const make = (name, finalizers) => core.createNamespacedConfigMap({ namespace: ns, body: { metadata: { name, finalizers, labels: { js: 'x' } } } });
    const one = await make('one');
    const remove = (name, options = {}) => core.deleteNamespacedConfigMap({ namespace: ns, name, ...options });
    await remove('one', { dryRun: 'All' });
    await refused(409, 'Conflict', remove('one', { body: { preconditions: { uid: '00000000-0000-0000-0000-000000000000' } } }));
    const answer = await remove('one', { body: { preconditions: { uid: one.metadata.uid, resourceVersion: one.metadata.resourceVersion } } });
    assert.equal(answer.status, 'Success');
    assert.equal(answer.details.uid, one.metadata.uid);
    const gone = await refused(404, 'NotFound', remove('one'));
    assert.equal(gone.message, 'configmaps "one" not found');
    assert.deepEqual(gone.details, { name: 'one', kind: 'configmaps' });

    // A finalizer keeps the object until it is removed.
    await make('kept', ['example.test/keep']);
    await remove('kept');
    const kept = await core.readNamespacedConfigMap({ namespace: ns, name: 'kept' });
    assert.ok(kept.metadata.deletionTimestamp instanceof Date);
    await core.patchNamespacedConfigMap({ namespace: ns, name: 'kept', body: { metadata: { finalizers: null } } }, as(MergePatch));
    assert.equal(await found(core.readNamespacedConfigMap({ namespace: ns, name: 'kept' })), undefined);

    await make('a');
    await make('b');
    await core.deleteCollectionNamespacedConfigMap({ namespace: ns, labelSelector: 'js=x' });
    assert.equal((await core.listNamespacedConfigMap({ namespace: ns, labelSelector: 'js=x' })).items.length, 0);

    await make('c');
    await refused(422, 'Invalid', remove('c', { propagationPolicy: 'Sideways' }));
    await refused(422, 'Invalid', remove('c', { propagationPolicy: 'Orphan', orphanDependents: true }));
});

test('errors say what is wrong, and where', limits, async () => {
    const ns = await namespace('js-errors');
    await until('the default ServiceAccount', () => found(core.readNamespacedServiceAccount({ namespace: ns, name: 'default' })));
    const body = { metadata: { name: 'bad' }, spec: { containers: [{ name: 'Not A Name', image: '' }], restartPolicy: 'Perhaps' } };
    const invalid = await refused(422, 'Invalid', core.createNamespacedPod({ namespace: ns, body }));
    const causes = Object.fromEntries(invalid.details.causes.map((cause) => [cause.field, cause.reason]));
    assert.equal(causes['spec.containers[0].name'], 'FieldValueInvalid');
    assert.equal(causes['spec.containers[0].image'], 'FieldValueRequired');
    assert.equal(causes['spec.restartPolicy'], 'FieldValueNotSupported');
    // Both forms of the client: the typed one, and the generic one, which knows no types.
    const objects = k8s.KubernetesObjectApi.makeApiClient(config);
    const none = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'none', namespace: ns } };
    await refused(404, 'NotFound', objects.read(none));
    await refused(404, 'NotFound', core.readNamespacedConfigMap({ namespace: ns, name: 'none' }));
    const nowhere = { namespace: 'js-nowhere', body: { metadata: { name: 'a' } } };
    const missing = await refused(404, 'NotFound', core.createNamespacedConfigMap(nowhere));
    assert.equal(missing.message, 'namespaces "js-nowhere" not found');
});
