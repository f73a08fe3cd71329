#!/usr/bin/env bash
# What a Plugin was, and back to it: `plugin history`, `plugin undo`.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

start_server apiserver
allow=$(push "$GUESTS/validator-allow.wasm")
deny=$(push "$GUESTS/validator-deny.wasm")
only='"match": {"resources": ["configmaps"]}'
history() { "$PORTCULLIS" plugin history "$@"; }
export -f history
in_history() { history "$1" | grep_for "$2"; }
export -f in_history
export PORTCULLIS

say "each version is there once, with its number"
expect_error 'not found' history none
plugin rule validator "$allow" "{$only}"
loaded rule
plugin rule validator "$deny" "{$only}"
loaded rule
plugin rule validator "$deny" "{\"mode\": \"Audit\", $only}"
loaded rule
retry 5 in_history rule "^3 .*Audit.*serves"
[ "$(history rule | wc -l)" = 4 ] || fail "$(history rule)"
in_history rule "^1 .*Enforce.*$(cut -c1-19 <<<"$allow")" || fail "$(history rule)"
history rule --revision 1 | grep_for "digest: *[\"']*$allow" || fail "$(history rule --revision 1)"
[ "$(kubectl get controllerrevisions -n kube-system -l plugins.portcullis.dev/plugin=rule -o name | wc -l)" = 3 ] || fail "revisions are missing"

say "undo"
"$PORTCULLIS" plugin undo rule | grep_for "rule is as it was in revision 2" || fail "undo says nothing"
loaded rule
expect_error 'plugin "rule" denied the request' kubectl create configmap refused
retry 5 in_history rule "^4 .*serves"
[ "$(history rule | wc -l)" = 4 ] || fail "a version that came back is there twice: $(history rule)"
"$PORTCULLIS" plugin undo rule --to-revision 1 >/dev/null
loaded rule
kubectl create configmap let-in >/dev/null
[ "$(field rule .status.activeDigest)" = "$allow" ] || fail "undo did not bring it back"
expect_error "has no revision 77" "$PORTCULLIS" plugin undo rule --to-revision 77
expect_error "has no revision 1" "$PORTCULLIS" plugin undo rule --to-revision 1

say "undo ends a canary, and brings back what a cluster began with"
plugin rule validator "$deny" "{$(canary '{"percent": 100}'), $only}"
becomes rule .status.rollout.phase Progressing
expect_error 'plugin "rule" denied the request' kubectl create configmap refused
"$PORTCULLIS" plugin undo rule >/dev/null
becomes rule .status.rollout ""
kubectl create configmap let-in-again >/dev/null
[ "$(kubectl get controllerrevisions -n kube-system -o name | grep -c pod-security || true)" = 0 ] || fail "what the binary knows is stored"
kubectl patch plugin pod-security --type json -p "[{\"op\": \"replace\", \"path\": \"/spec/source\", \"value\": {\"digest\": \"$allow\"}}]" >/dev/null
loaded pod-security
"$PORTCULLIS" plugin undo pod-security >/dev/null
loaded pod-security
[ "$(field pod-security .spec.source.embedded)" = pod-security ] || fail "$(field pod-security .spec)"

say "old versions go, and all with their Plugin"
for n in $(seq 1 13); do
    plugin rule validator "$allow" "{\"order\": $n, $only}"
    loaded rule
done
retry 5 in_history rule "^20 .*serves"
[ "$(kubectl get controllerrevisions -n kube-system -l plugins.portcullis.dev/plugin=rule -o name | wc -l)" -le 11 ] || fail "nothing goes"
kubectl delete plugin rule >/dev/null
stop_server
echo "history: ok"
