#!/usr/bin/env bash
# Modules: pushed through the API, kept in the cluster's store, loaded by digest.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

start_server apiserver
deny=$GUESTS/validator-deny.wasm
say "a module is pushed, seen, read back and pushed again"
digest=$("$PORTCULLIS" plugin push "$deny" --kubeconfig "$KUBECONFIG")
name=${digest/:/-}
[ "$digest" = "sha256:$(sha256sum "$deny" | cut -d' ' -f1)" ] || fail "push printed $digest"
[ "$("$PORTCULLIS" plugin push "$deny" --data-dir "$DATA")" = "$digest" ] || fail "a second push differs"
[ "$("$PORTCULLIS" plugin push "$deny")" = "$digest" ] || fail 'a push by $KUBECONFIG differs'
kubectl get modules | grep_for "^$name *validator" || fail "get modules: $(kubectl get modules)"
kubectl get --raw "/apis/plugins.portcullis.dev/v1alpha1/modules/$name/content" | cmp - "$deny"
kubectl explain modules.status | grep_for "stage" || fail "explain does not know modules"
expect_error "cannot get resource \"modules/content\"" \
    kubectl get --raw "/apis/plugins.portcullis.dev/v1alpha1/modules/$name/content" --as=jo
expect_error "the server does not allow this method" kubectl create -f - <<<"$(printf '{"apiVersion": "plugins.portcullis.dev/v1alpha1", "kind": "Module", "metadata": {"name": "%s"}}' "$name")"
echo other >"$WORK/other"
expect_error "which is not the $digest of the name" \
    kubectl replace --raw "/apis/plugins.portcullis.dev/v1alpha1/modules/$name/content" -f "$WORK/other"
expect_error "cannot read" "$PORTCULLIS" plugin push "$WORK/none.wasm" --data-dir "$DATA"
head -c 67108865 /dev/zero >"$WORK/large"
expect_error "Request entity too large: limit is 67108864" "$PORTCULLIS" plugin push "$WORK/large" --data-dir "$DATA"
rm "$WORK/large"

say "a Plugin loads it by digest"
plugin deny validator "$digest" '{"match": {"resources": ["configmaps"]}}'
loaded deny
expect_error 'plugin "deny" denied the request: no such thing here' kubectl create configmap x
kubectl get plugins deny | grep_for "validator *True *True" || fail "$(kubectl get plugins)"
kubectl describe plugin deny | grep_for "Active Digest: *$digest" || fail "describe shows no digest"
kubectl explain plugin.spec.limits.deadline | grep_for "How long one call may take" || fail "explain says nothing"
expect_error 'the Plugin "deny" uses it: change or delete that first' kubectl delete module "$name"

say "the data directory is a cache: what is lost there comes back from the store"
kill -9 "$SERVER"
wait "$SERVER" 2>/dev/null || true
rm -rf "$DATA/modules" "$DATA/compiled" "$DATA/plugins"
launch
expect_error 'plugin "deny" denied the request' kubectl create configmap x
kubectl delete plugin deny
retry 5 kubectl create configmap x
kubectl delete module "$name"
expect_error "not found" kubectl get module "$name"
[ "$(kubectl get modules -o name | wc -l)" = 0 ] || fail "modules are left"

say "a Plugin may come before its module"
allow=$GUESTS/validator-allow.wasm
digest=sha256:$(sha256sum "$allow" | cut -d' ' -f1)
plugin later validator "$digest"
retry 10 has_condition later Loaded "False UnknownDigest there is no module $digest on this server: upload it with"
has_condition later Ready "False NotLoaded" || fail "it cannot be ready: $(condition later Ready)"
"$PORTCULLIS" plugin push "$allow" >/dev/null
loaded later

say "inspect tells what a component is"
"$PORTCULLIS" plugin inspect "$deny" | grep_for "stage: *validator" || fail "inspect does not know the stage"
expect_error "it is a core module: make a component" "$PORTCULLIS" plugin inspect "$GUESTS/core-module.wasm"
stop_server
echo "modules: ok"
