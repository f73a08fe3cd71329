#!/usr/bin/env bash
# Whatever plugins do, the administrator gets at Plugins: with the recovery identity while the cluster serves, and by
# starting it with `--plugins builtin`.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

all='"match": {"resources": ["*/*"], "operations": ["*"]}'
sabotage() {
    export KUBECONFIG=$DATA/recovery.kubeconfig
    for act in trap loop recurse memory reject nameless; do
        plugin "authn-$act" authenticator "$GUESTS/authenticator-$act.wasm" '{"order": -100}'
    done
    for act in trap loop memory deny; do
        plugin "authz-$act" authorizer "$GUESTS/authorizer-$act.wasm" '{"order": -100}'
    done
    for act in trap loop memory deny; do
        plugin "mutate-$act" mutator "$GUESTS/mutator-$act.wasm" "{\"order\": -1000, $all}"
        plugin "validate-$act" validator "$GUESTS/validator-$act.wasm" "{\"order\": -1000, $all}"
    done
    plugin objects objectValidator "$GUESTS/object-validator-trap.wasm" "{$all}"
    # The first-party components are Plugins too: one is broken, one is deleted.
    kubectl patch plugin authn-x509 --type=json -p "[{\"op\": \"replace\", \"path\": \"/spec/source\", \"value\": {\"file\": \"$GUESTS/authenticator-trap.wasm\"}}]" >/dev/null
    kubectl delete plugin authn-bearer >/dev/null
    loaded authn-reject; loaded authn-x509; loaded authz-deny; loaded mutate-deny; loaded validate-deny; loaded objects
}
broken() {
    expect_error "Unauthorized" env KUBECONFIG="$DATA/admin.kubeconfig" kubectl get plugins
    expect_error "Unauthorized" env KUBECONFIG="$DATA/admin.kubeconfig" kubectl get namespaces
}

start_server up
sabotage
say "the recovery identity gets in while everything is broken"
broken
expect_error "plugin \"mutate-" kubectl create configmap x # it is no way around policies
kubectl get plugins >/dev/null
kubectl get plugins authn-loop -o yaml | grep_for 'stage: authenticator' || fail "a Plugin cannot be read"
kubectl label plugin authn-loop seen=yes >/dev/null
kubectl patch plugin authn-x509 --type=json -p '[{"op": "replace", "path": "/spec/source", "value": {"embedded": "authn-x509"}}]' >/dev/null
kubectl delete plugins authn-trap authn-loop authn-recurse authn-memory authn-reject authn-nameless >/dev/null
export KUBECONFIG=$DATA/admin.kubeconfig
retry 10 kubectl get namespaces >/dev/null
say "so does a member of system:masters when authorizers and admission are broken"
kubectl delete plugins objects $(kubectl get plugins -o name | sed -n 's#.*/\(authz-.*\|mutate-.*\|validate-.*\)#\1#p' | grep -v validate-objects) >/dev/null
retry 10 kubectl create configmap x
retry 10 kubectl get plugin authn-bearer >/dev/null
stop_server

say "--plugins builtin starts as the binary carries it"
start_server up
sabotage
broken
kill -9 "$SERVER"
wait "$SERVER" 2>/dev/null || true
FLAGS=(--plugins builtin)
launch
export KUBECONFIG=$DATA/admin.kubeconfig
kubectl create configmap x
kubectl get nodes >/dev/null
kubectl delete plugins --all >/dev/null
FLAGS=()
restart_server
kubectl create configmap y
retry 10 bash -c '[ "$(kubectl get plugins --no-headers | grep -c True)" -ge 7 ]'
stop_server
echo "recovery: ok"
