// Workloads: what controllers make of a Deployment, its status and scale, eviction, and a pod that runs, with its logs.
import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { as, config, core, found, k8s, limits, namespace, refused, until } from './lib.mjs';

const { MergePatch } = k8s.PatchStrategy;
const apps = config.makeApiClient(k8s.AppsV1Api);
const policy = config.makeApiClient(k8s.PolicyV1Api);

test('a Deployment, its status and its scale', limits, async () => {
    const ns = await namespace('js-work');
    const at = { namespace: ns, name: 'web' };
    const labels = { app: 'web' };
    const spec = { replicas: 2, selector: { matchLabels: labels } };
    spec.template = { metadata: { labels }, spec: { containers: [{ name: 'c', image: 'example.test/web:1' }] } };
    await apps.createNamespacedDeployment({ namespace: ns, body: { metadata: { name: 'web' }, spec } });
    const pods = async () => (await core.listNamespacedPod({ namespace: ns, labelSelector: 'app=web' })).items;
    const count = (n) => async () => (await pods()).length === n;
    await until('two pods', count(2));
    const scale = await apps.readNamespacedDeploymentScale(at);
    assert.deepEqual([scale.spec.replicas, scale.status.selector], [2, 'app=web']);
    scale.spec.replicas = 3;
    await apps.replaceNamespacedDeploymentScale({ ...at, body: scale });
    await until('three pods', count(3));
    await apps.patchNamespacedDeploymentScale({ ...at, body: { spec: { replicas: 1 } } }, as(MergePatch));
    await until('one pod', count(1));
    await until('the status says so', async () => (await apps.readNamespacedDeploymentStatus(at)).status.replicas === 1);

    const [pod] = await pods();
    const { name } = pod.metadata;
    const body = { spec: { nodeName: 'elsewhere' }, status: { conditions: [{ type: 'example.test/ready', status: 'True' }] } };
    const patched = await core.patchNamespacedPodStatus({ namespace: ns, name, body }, as(k8s.PatchStrategy.StrategicMergePatch));
    assert.ok(patched.status.conditions.some((condition) => condition.type === 'example.test/ready'));
    assert.notEqual(patched.spec.nodeName, 'elsewhere');

    const budget = { metadata: { name: 'web' }, spec: { minAvailable: 1, selector: { matchLabels: labels } } };
    await policy.createNamespacedPodDisruptionBudget({ namespace: ns, body: budget });
    await until('the budget is known', async () => (await policy.readNamespacedPodDisruptionBudgetStatus(at)).status?.observedGeneration === 1);
    const evict = () => core.createNamespacedPodEviction({ namespace: ns, name, body: { metadata: { name, namespace: ns } } });
    // Pods that do not run can go whatever the budget says; so it is asked with one that is said to.
    await core.patchNamespacedPodStatus(
        { namespace: ns, name, body: { status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] } } },
        as(k8s.PatchStrategy.StrategicMergePatch),
    );
    await refused(429, 'TooManyRequests', evict());
    await policy.deleteNamespacedPodDisruptionBudget(at);
    await evict();
    await until('another pod', async () => (await pods()).every((one) => one.metadata.name !== name || one.metadata.deletionTimestamp));

    await apps.deleteNamespacedDeployment({ ...at, propagationPolicy: 'Foreground' });
    await until('nothing is left', async () => !(await found(apps.readNamespacedDeployment(at))));
    assert.equal((await apps.listNamespacedReplicaSet({ namespace: ns })).items.length, 0);
});

test('a pod that runs, and its logs', limits, async () => {
    const ns = await namespace('js-logs');
    await until('the default ServiceAccount', () => found(core.readNamespacedServiceAccount({ namespace: ns, name: 'default' })));
    const container = { name: 'main', image: process.env.STEPS, args: ['print', 'one', 'sleep', '500', 'print', 'two'] };
    const spec = { runtimeClassName: 'wasm', restartPolicy: 'Never', containers: [container] };
    const name = 'steps';
    await core.createNamespacedPod({ namespace: ns, body: { metadata: { name }, spec } });
    const ended = await until('the pod has run', async () => {
        const pod = await core.readNamespacedPodStatus({ namespace: ns, name });
        return pod.status.phase === 'Succeeded' && pod;
    }, 40);
    assert.equal(ended.status.containerStatuses[0].state.terminated.exitCode, 0);
    const all = await core.readNamespacedPodLog({ namespace: ns, name });
    assert.match(all, /^one\n/);
    const last = await core.readNamespacedPodLog({ namespace: ns, name, tailLines: 1, timestamps: true });
    assert.match(last, /^\d{4}-\d\d-\d\dT[\d:.]+Z two\n$/);
    const stream = new PassThrough();
    await new k8s.Log(config).log(ns, name, 'main', stream, { follow: true });
    assert.equal(await text(stream), all);
    await refused(400, 'BadRequest', core.readNamespacedPodLog({ namespace: ns, name, container: 'none' }));
    const events = await core.listNamespacedEvent({ namespace: ns, fieldSelector: `involvedObject.name=${name},reason=Scheduled` });
    assert.equal(events.items.length, 1);
});
