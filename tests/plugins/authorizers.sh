#!/usr/bin/env bash
# Authorizer plugins in the chain: before RBAC, after it, in access reviews, and when they fail.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

start_server apiserver
owners=$FIRST/namespace-owners.wasm
kubectl create namespace red
kubectl create namespace ice
kubectl create clusterrolebinding ed --clusterrole=edit --user=ed

say "after RBAC: what nobody else allows"
expect_error 'User "jo" cannot create resource "configmaps"' kubectl create configmap a -n red --as=jo
plugin owners authorizer "$owners" '{"config": {"owners": {"red": ["jo"]}}}'
loaded owners
kubectl create configmap a -n red --as=jo
expect_error 'plugin "owners": al does not own the namespace red' kubectl create configmap b -n red --as=al
expect_error 'User "jo" cannot create resource "configmaps"' kubectl create configmap a -n ice --as=jo
[ "$(kubectl auth can-i create pods -n red --as=jo)" = yes ] || fail "the access review does not ask the plugin"
! kubectl auth can-i create pods -n red --as=al || fail "the access review allows al"
kubectl create -f - -o yaml <<<'{"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
    "spec": {"user": "jo", "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "red"}}}' | grep_for 'reason: allowed by plugin "owners"' ||
    fail "the review does not say who allowed"
kubectl auth can-i --list -n red --as=jo 2>&1 | grep_for "authorizer plugins do not support user rule resolution" ||
    fail "the list of rules looks complete"

say "before RBAC: what others allow is refused"
kubectl create configmap before -n ice --as=ed
plugin owners authorizer "$owners" '{"order": -10, "config": {"owners": {"red": ["jo"]}, "frozen": ["ice"]}}'
loaded owners
expect_error 'plugin "owners": the namespace ice is frozen' kubectl create configmap after -n ice --as=ed
kubectl get configmap before -n ice --as=ed
! kubectl auth can-i create configmaps -n ice --as=ed || fail "the access review does not ask the plugin first"
kubectl create configmap after -n ice # an administrator of system:masters is not asked about

say "a plugin that fails, and its failure policy"
plugin owners authorizer "$GUESTS/authorizer-trap.wasm" '{"order": -10}'
loaded owners
expect_error 'plugin "owners" failed: the policy trapped' kubectl get configmaps -n red --as=ed
plugin owners authorizer "$GUESTS/authorizer-trap.wasm" '{"order": -10, "failurePolicy": "Ignore"}'
loaded owners
kubectl get configmaps -n red --as=ed
[ "$(metric 'portcullis_plugin_errors_total{plugin="owners",stage="authorizer",reason="Trap"}')" -ge 1 ] ||
    fail "no metric counts the trap"

say "no plugin decides about plugins"
kubectl create clusterrole plugin-admin --verb='*' --resource=plugins.plugins.portcullis.dev
kubectl create clusterrolebinding pat --clusterrole=plugin-admin --user=pat
plugin owners authorizer "$GUESTS/authorizer-deny.wasm" '{"order": -10}'
loaded owners
expect_error "no such thing here" kubectl get configmaps --as=ed
plugin allow authorizer "$GUESTS/authorizer-allow.wasm" '{"order": 5}'
loaded allow
expect_error 'User "al" cannot get resource "plugins"' kubectl get plugin owners --as=al
kubectl delete plugin owners --as=pat
retry 5 kubectl get configmaps --as=ed
retry 5 kubectl get configmaps --as=al
stop_server
echo "authorizers: ok"
