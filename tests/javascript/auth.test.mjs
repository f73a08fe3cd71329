// Who is asking: a certificate that the cluster signed, a ServiceAccount's token, somebody impersonated, and nobody.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { config, core, k8s, limits, namespace, refused, until } from './lib.mjs';

const authentication = (client) => client.makeApiClient(k8s.AuthenticationV1Api);

/** The cluster as somebody else. */
function asUser(user) {
    const other = new k8s.KubeConfig();
    other.loadFromClusterAndUser(config.getCurrentCluster(), { name: 'somebody', ...user });
    return other;
}

async function who(client) {
    const review = await authentication(client).createSelfSubjectReview({ body: {} });
    return review.status.userInfo;
}

/** Lets a subject read ConfigMaps in a namespace, and nothing else. */
async function readers(ns, subject) {
    const rbac = config.makeApiClient(k8s.RbacAuthorizationV1Api);
    const rules = [{ apiGroups: [''], resources: ['configmaps'], verbs: ['get', 'list', 'watch'] }];
    await rbac.createNamespacedRole({ namespace: ns, body: { metadata: { name: 'reader' }, rules } });
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'reader' };
    await rbac.createNamespacedRoleBinding({ namespace: ns, body: { metadata: { name: 'reader' }, roleRef, subjects: [subject] } });
}

async function readsOnly(client, ns, username) {
    const theirs = client.makeApiClient(k8s.CoreV1Api);
    await until('the role counts', () => theirs.listNamespacedConfigMap({ namespace: ns }).then(() => true, () => false));
    const status = await refused(403, 'Forbidden', theirs.createNamespacedConfigMap({ namespace: ns, body: { metadata: { name: 'a' } } }));
    assert.equal(
        status.message,
        `configmaps is forbidden: User "${username}" cannot create resource "configmaps" in API group "" in the namespace "${ns}"`,
    );
    await refused(403, 'Forbidden', theirs.listSecretForAllNamespaces({}));
    const review = (verb) => ({ spec: { resourceAttributes: { verb, resource: 'configmaps', namespace: ns } } });
    const access = client.makeApiClient(k8s.AuthorizationV1Api);
    for (const [verb, allowed] of [['list', true], ['delete', false]]) {
        const answer = await access.createSelfSubjectAccessReview({ body: review(verb) });
        assert.equal(answer.status.allowed, allowed, verb);
    }
}

test('the administrator has a certificate', limits, async () => {
    const user = await who(config);
    assert.ok(user.groups.includes('system:masters') && user.groups.includes('system:authenticated'), user.groups);
});

test('a certificate by a CertificateSigningRequest', limits, async () => {
    const ns = await namespace('js-certificate');
    const certificates = config.makeApiClient(k8s.CertificatesV1Api);
    const [request, key] = await Promise.all([process.env.REQUEST, process.env.KEY].map((file) => readFile(file)));
    const name = 'js-ann';
    const spec = { request: request.toString('base64'), signerName: 'kubernetes.io/kube-apiserver-client', usages: ['client auth'] };
    const body = await certificates.createCertificateSigningRequest({ body: { metadata: { name }, spec } });
    const approved = { type: 'Approved', status: 'True', reason: 'Test', message: 'by the test' };
    body.status = { conditions: [approved] };
    await certificates.replaceCertificateSigningRequestApproval({ name, body });
    const certData = await until('the certificate', async () =>
        (await certificates.readCertificateSigningRequestStatus({ name })).status.certificate);
    const ann = asUser({ certData, keyData: key.toString('base64') });
    const user = await who(ann);
    assert.deepEqual([user.username, user.groups], ['ann', ['crew', 'system:authenticated']]);
    await readers(ns, { apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'crew' });
    await readsOnly(ann, ns, 'ann');
});

test('the token of a ServiceAccount', limits, async () => {
    const ns = await namespace('js-token');
    await core.createNamespacedServiceAccount({ namespace: ns, body: { metadata: { name: 'robot' } } });
    const body = { spec: { audiences: [], expirationSeconds: 600 } };
    const { status } = await core.createNamespacedServiceAccountToken({ namespace: ns, name: 'robot', body });
    const robot = asUser({ token: status.token });
    const username = `system:serviceaccount:${ns}:robot`;
    assert.equal((await who(robot)).username, username);
    await readers(ns, { kind: 'ServiceAccount', name: 'robot', namespace: ns });
    await readsOnly(robot, ns, username);
    const review = await authentication(config).createTokenReview({ body: { spec: { token: status.token } } });
    assert.deepEqual([review.status.authenticated, review.status.user.username], [true, username]);

    // A token is good as long as its ServiceAccount is there.
    await core.deleteNamespacedServiceAccount({ namespace: ns, name: 'robot' });
    await until('the token is no good', () => who(robot).then(() => false, (error) => error.code === 401));
});

test('a token that is none, nobody, and somebody impersonated', limits, async () => {
    // Of this answer the client keeps no body.
    await assert.rejects(who(asUser({ token: 'bogus' })), { code: 401 });
    const nobody = asUser({}).makeApiClient(k8s.CoreV1Api);
    const forbidden = await refused(403, 'Forbidden', nobody.listNamespace({}));
    assert.match(forbidden.message, /User "system:anonymous" cannot list resource "namespaces"/);
    assert.ok((await asUser({}).makeApiClient(k8s.VersionApi).getCode({})).gitVersion.startsWith('v1.36.'));
    const impersonated = asUser({ ...config.getCurrentUser(), impersonateUser: 'bea' });
    assert.equal((await who(impersonated)).username, 'bea');
    await refused(403, 'Forbidden', impersonated.makeApiClient(k8s.CoreV1Api).listNamespace({}));
});
