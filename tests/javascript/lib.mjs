// What the tests share: the client from where scripts/deps.sh puts it, and a few ways to wait and to expect errors.
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';

const installed = new URL('../../target/tools/javascript/node_modules/@kubernetes/client-node/dist/index.js', import.meta.url);
export const k8s = await import(installed);

/** The cluster of KUBECONFIG, as its administrator. */
export function admin() {
    const config = new k8s.KubeConfig();
    config.loadFromDefault();
    return config;
}

/** A test that waits for longer fails. */
export const limits = { timeout: 120_000 };

export const config = admin();
export const core = config.makeApiClient(k8s.CoreV1Api);

/** A namespace of the test's own. */
export async function namespace(name) {
    await core.createNamespace({ body: { metadata: { name } } });
    return name;
}

/** The options of a call that send its body as this form of patch. */
export const as = (strategy) => k8s.setHeaderOptions('Content-Type', strategy);

/** Waits until something holds, and gives what it gave. */
export async function until(what, holds, seconds = 20) {
    for (const end = Date.now() + seconds * 1000; Date.now() < end; await sleep(100)) {
        const found = await holds();
        if (found) return found;
    }
    assert.fail(`not within ${seconds} s: ${what}`);
}

/** A call that fails with a Status of this code and reason; gives the Status. */
export async function refused(code, reason, call) {
    const error = await call.then((answer) => assert.fail(`should have been refused: ${JSON.stringify(answer)}`), (e) => e);
    assert.ok(error instanceof k8s.ApiException, error);
    assert.equal(error.code, code, error.message);
    const status = typeof error.body === 'string' ? JSON.parse(error.body) : error.body;
    assert.equal(status.kind, 'Status');
    assert.equal(status.status, 'Failure');
    assert.equal(status.code, code);
    assert.equal(status.reason, reason);
    return status;
}

/** Whether it is there: undefined where it is not, and other errors are errors. */
export const found = (call) =>
    call.catch((error) => (error.code === 404 ? undefined : Promise.reject(error)));
