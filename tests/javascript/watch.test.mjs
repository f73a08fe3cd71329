// Watches: their events, where they resume, what a version says that is too old, and informers over all of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { as, config, core, k8s, limits, namespace, until } from './lib.mjs';

const path = (ns) => `/api/v1/namespaces/${ns}/configmaps`;
const make = (ns, name, labels) => core.createNamespacedConfigMap({ namespace: ns, body: { metadata: { name, labels }, data: { n: '0' } } });
const change = (ns, name, n) =>
    core.patchNamespacedConfigMap({ namespace: ns, name, body: { data: { n } } }, as(k8s.PatchStrategy.MergePatch));
const remove = (ns, name) => core.deleteNamespacedConfigMap({ namespace: ns, name });

/** A watch whose events are kept, as `TYPE name`. */
async function watching(ns, options) {
    const events = [];
    let ended;
    const done = new Promise((resolve) => (ended = resolve));
    const request = await new k8s.Watch(config).watch(
        path(ns),
        options,
        (type, object) => events.push({ type, object, text: `${type} ${object.metadata?.name ?? object.code}` }),
        ended,
    );
    return { events, done, stop: () => request.abort() };
}
const texts = (events) => events.map((event) => event.text);

test('a watch goes on where a list ended, and where another watch was', limits, async () => {
    const ns = await namespace('js-watch');
    await make(ns, 'a', { w: 'x' });
    const list = await core.listNamespacedConfigMap({ namespace: ns, labelSelector: 'w' });
    const first = await watching(ns, { resourceVersion: list.metadata.resourceVersion, labelSelector: 'w' });
    await make(ns, 'other', {});
    await make(ns, 'b', { w: 'x' });
    await change(ns, 'a', '1');
    // An object that no longer matches is gone, for who watches with the selector.
    await core.patchNamespacedConfigMap({ namespace: ns, name: 'b', body: { metadata: { labels: null } } }, as(k8s.PatchStrategy.MergePatch));
    await remove(ns, 'a');
    const expected = ['ADDED b', 'MODIFIED a', 'DELETED b', 'DELETED a'];
    await until('the events', () => first.events.length >= expected.length);
    assert.deepEqual(texts(first.events), expected);
    first.stop();

    const { resourceVersion } = first.events[1].object.metadata;
    const resumed = await watching(ns, { resourceVersion, labelSelector: 'w' });
    await until('the events again', () => resumed.events.length >= 2);
    assert.deepEqual(texts(resumed.events), expected.slice(2));
    resumed.stop();
});

test('a watch ends after its time, with bookmarks and what is there at its beginning', limits, async () => {
    const ns = await namespace('js-initial');
    for (const name of ['a', 'b']) await make(ns, name, { w: 'x' });
    const initial = await watching(ns, {
        labelSelector: 'w', sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan', allowWatchBookmarks: true, timeoutSeconds: 2,
    });
    await initial.done;
    assert.deepEqual(initial.events.slice(0, 3).map((event) => event.type), ['ADDED', 'ADDED', 'BOOKMARK']);
    const { annotations } = initial.events[2].object.metadata;
    assert.equal(annotations['k8s.io/initial-events-end'], 'true');
});

test('a version that is too old is answered with 410, and one that is none as the reference does', limits, async () => {
    const ns = await namespace('js-old');
    const old = await watching(ns, { resourceVersion: '1' });
    await old.done;
    const [{ type, object }] = old.events;
    assert.equal(type, 'ERROR');
    assert.deepEqual([object.kind, object.code, object.reason], ['Status', 410, 'Expired']);
    assert.match(object.message, /^too old resource version: 1 \(\d+\)$/);
    const none = await watching(ns, { resourceVersion: 'yesterday' });
    assert.equal((await none.done).statusCode, 500);
});

test('an informer keeps up, and lists again after 410', limits, async () => {
    const ns = await namespace('js-informer');
    await make(ns, 'a', { w: 'x' });
    let lists = 0;
    const list = async () => {
        const page = await core.listNamespacedConfigMap({ namespace: ns, labelSelector: 'w=x' });
        // The first list claims to be of a version whose changes nobody has any more.
        if (lists++ === 0) page.metadata.resourceVersion = '1';
        return page;
    };
    const informer = k8s.makeInformer(config, path(ns), list, 'w=x');
    const seen = [];
    for (const verb of ['add', 'update', 'delete']) informer.on(verb, (object) => seen.push(`${verb} ${object.metadata.name}`));
    informer.on('error', (error) => seen.push(`error ${error}`));
    await informer.start();
    await until('a second list', () => lists === 2);
    await make(ns, 'b', { w: 'x' });
    await make(ns, 'unseen', { w: 'y' });
    await until('an object that is added', () => informer.get('b', ns));
    await change(ns, 'a', '1');
    await until('an object that changed', () => informer.get('a', ns).data.n === '1');
    await remove(ns, 'b');
    await until('an object that is gone', () => !informer.get('b', ns));
    assert.deepEqual(seen, ['add a', 'add b', 'update a', 'delete b']);
    assert.deepEqual(informer.list(ns).map((object) => object.metadata.name), ['a']);
    await informer.stop();
});
