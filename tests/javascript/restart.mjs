// An informer over a restart of the server: run.sh kills it once SYNCED is there, and makes RESTARTED when it is back.
//   restart.mjs SYNCED RESTARTED
import assert from 'node:assert/strict';
import { existsSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { as, config, core, k8s, namespace, until } from './lib.mjs';

const [synced, restarted] = process.argv.slice(2);
const ns = await namespace('js-restart');
const make = (name) => core.createNamespacedConfigMap({ namespace: ns, body: { metadata: { name, labels: { w: 'x' } } } });
for (const name of ['a', 'b', 'c']) await make(name);
const list = () => core.listNamespacedConfigMap({ namespace: ns, labelSelector: 'w=x' });
const informer = k8s.makeInformer(config, `/api/v1/namespaces/${ns}/configmaps`, list, 'w=x');
// What programs do about errors: they start again, a little later.
informer.on('error', () => sleep(200).then(() => informer.start()));
await informer.start();
const names = () => informer.list(ns).map((object) => object.metadata.name).sort();
await until('the first list', () => names().length === 3);
writeFileSync(synced, '');
await until('the restart', () => existsSync(restarted), 60);
await make('d');
await core.deleteNamespacedConfigMap({ namespace: ns, name: 'a' });
await core.patchNamespacedConfigMap({ namespace: ns, name: 'b', body: { data: { n: '1' } } }, as(k8s.PatchStrategy.MergePatch));
await until('what was done after the restart', () => names().join() === 'b,c,d' && informer.get('b', ns).data?.n === '1');
assert.equal(informer.get('c', ns).data, undefined);
await informer.stop();
// Each error of a connection is told, so that there were several starts, and the client forgets watches of all but the last.
process.exit();
