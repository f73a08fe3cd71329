#!/usr/bin/env bash
# Canaries: the share they decide, and how they end by themselves.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

start_server apiserver
allow=$(push "$GUESTS/validator-allow.wasm")
deny=$(push "$GUESTS/validator-deny.wasm")
trap_=$(push "$GUESTS/validator-trap.wasm")
loop=$(push "$GUESTS/validator-loop.wasm")
mark=$(push "$GUESTS/mutator-mark.wasm")
unmarked=$(push "$GUESTS/mutator-allow.wasm")
only='"match": {"resources": ["configmaps"]}'
kubectl create namespace red >/dev/null

say "what is wrong with a canary is said when it is applied"
rejected() { expect_error "$1" plugin rule validator "$allow" "{$(canary "$2"), $only}"; }
rejected "spec.rollout.canary: Invalid value: {}: exactly one of percent and namespaces must be given" '{}'
rejected "spec.rollout.canary.percent: Invalid value: 101: must be from 1 to 100" '{"percent": 101}'
rejected "spec.rollout.canary.maxTraps: Invalid value: -1" '{"percent": 1, "maxTraps": -1}'
expect_error 'spec.rollout.type: Unsupported value: "Slow"' plugin rule validator "$allow" '{"rollout": {"type": "Slow"}}'
expect_error "plugins of the stage authorizer can only take over at once" \
    plugin rule authorizer "$allow" "{$(canary '{"percent": 5}')}"
expect_error "the content of a file may change" plugin rule validator "$GUESTS/validator-allow.wasm" "{$(canary '{"percent": 5}')}"

say "the first version has nothing to be tried against"
plugin rule validator "$allow" "{$(canary '{"percent": 30, "promoteAfter": {"calls": 20}}'), $only}"
loaded rule
[ -z "$(field rule .status.rollout)" ] || fail "a first version is a canary"
retry 5 bash -c '[ -n "$(field rule .status.activeRevision)" ]'

say "a share of the names, and promotion by calls"
plugin rule validator "$deny" "{$(canary '{"percent": 30, "promoteAfter": {"calls": 20}}'), $only}"
becomes rule .status.rollout.phase Progressing
[ "$(field rule .status.activeDigest)" = "$allow" ] || fail "the candidate serves already"
make 40 first >"$WORK/let-in"
let_in=$(wc -l <"$WORK/let-in")
[ "$let_in" -ge 18 ] && [ "$let_in" -le 36 ] || fail "$let_in of 40 were let in by a canary of 30 %"
becomes rule .status.rollout.candidateDigest "$deny"
retry 10 event rule RolloutStarted
# The same names meet the same version again.
kubectl delete configmaps --all >/dev/null
if [ "$(field rule .status.rollout.phase)" = Progressing ]; then
    make 5 first >"$WORK/again"
    head -5 "$WORK/let-in" >/dev/null
    while read -r name; do grep -qx "$name" "$WORK/let-in" || fail "$name met another version"; done <"$WORK/again"
fi
until field_is rule .status.rollout.phase Promoted; do make 10 "more-$RANDOM" >/dev/null; done
becomes rule .status.activeDigest "$deny"
has_condition rule RolledOut "True Promoted" || retry 5 has_condition rule RolledOut "True Promoted"
retry 10 event rule Promoted
expect_error 'plugin "rule" denied the request' kubectl create configmap everybody

say "traps take a candidate back, and fail no request"
plugin rule validator "$allow" "{$only}"
loaded rule
[ -z "$(field rule .status.rollout)" ] || retry 5 field_is rule .status.rollout ""
plugin rule validator "$trap_" "{$(canary '{"namespaces": ["red"], "promoteAfter": {"seconds": 600}, "maxTraps": 2}'), $only}"
becomes rule .status.rollout.phase Progressing
[ "$(make 2 blue)" = "$(printf 'blue-1\nblue-2')" ] || fail "another namespace met the canary"
[ "$(make 6 red red | wc -l)" = 6 ] || fail "a candidate that trapped failed a request"
becomes rule .status.rollout.phase RolledBack
[ "$(field rule .status.rollout.reason)" = Traps ] || fail "$(field rule .status.rollout)"
[ "$(field rule .status.rollout.traps)" = 3 ] || fail "it was asked on after it was over its bound: $(field rule .status.rollout)"
retry 10 event rule RolledBack
retry 10 has_condition rule Loaded "False RolledBack"
retry 10 has_condition rule RolledOut "False Traps"
[ "$(field rule .status.activeDigest)" = "$allow" ] || fail "the version before does not serve"

say "what was taken back stays back over a restart, and is tried again when its roll-out changes"
restart_server
kubectl create configmap after -n red >/dev/null
[ "$(metric 'portcullis_plugin_calls_total{plugin="rule",stage="validator"}')" = 1 ] || fail "the version before does not serve"
field_is rule .status.rollout.phase RolledBack || fail "the roll-out is forgotten"
plugin rule validator "$trap_" "{$(canary '{"namespaces": ["red"], "maxTraps": 100}'), $only}"
becomes rule .status.rollout.phase Progressing
[ "$(field rule .status.rollout.traps)" = 0 ] || fail "counts of the one before are left: $(field rule .status.rollout)"

say "a canary goes on over a restart, with its counts"
[ "$(make 3 restart red | wc -l)" = 3 ] || fail "a request failed"
becomes rule .status.rollout.traps 3
restart_server
field_is rule .status.rollout.phase Progressing || fail "the canary is over"
kubectl create configmap restart-4 -n red >/dev/null
becomes rule .status.rollout.traps 4

say "deadline misses"
plugin rule validator "$loop" "{$(canary '{"namespaces": ["red"]}'), \"limits\": {\"deadline\": \"20ms\"}, $only}"
becomes rule .status.rollout.phase Progressing
kubectl create configmap slow -n red >/dev/null
becomes rule .status.rollout.phase RolledBack
[ "$(field rule .status.rollout.reason)" = DeadlineMisses ] || fail "$(field rule .status.rollout)"

say "disagreements, where they are bounded"
plugin rule validator "$deny" "{$(canary '{"namespaces": ["red"], "maxDisagreements": 1}'), $only}"
becomes rule .status.rollout.phase Progressing
[ "$(make 4 disagreed red | wc -l)" = 2 ] || fail "a bound of 1 must be over after 2"
becomes rule .status.rollout.phase RolledBack
[ "$(field rule .status.rollout.reason)" = Disagreements ] || fail "$(field rule .status.rollout)"
plugin marks mutator "$unmarked" "{$only}"
loaded marks
plugin marks mutator "$mark" "{$(canary '{"percent": 100, "maxDisagreements": 5, "promoteAfter": {"seconds": 3}}'), $only}"
becomes marks .status.rollout.phase Progressing
kubectl create configmap marked >/dev/null
[ "$(kubectl get configmap marked -o 'jsonpath={.data.marked}')" = yes ] || fail "the canary of a mutator changes nothing"
becomes marks .status.rollout.disagreements 1

say "promotion by time, and by hand"
becomes marks .status.rollout.phase Promoted
plugin rule validator "$deny" "{$(canary '{"percent": 1}'), $only}"
becomes rule .status.rollout.phase Progressing
kubectl patch plugin rule --type merge -p '{"spec": {"rollout": {"type": "Immediate"}}}' >/dev/null
becomes rule .status.activeDigest "$deny"
becomes rule .status.rollout ""

say "a candidate that does not load leaves everything as it is"
core=$(push "$GUESTS/core-module.wasm")
plugin rule validator "$core" "{$(canary '{"percent": 50}'), $only}"
retry 15 has_condition rule Loaded "False NotAComponent"
[ "$(field rule .status.activeDigest)" = "$deny" ] || fail "nothing serves"
expect_error 'plugin "rule" denied the request' kubectl create configmap refused
stop_server
echo "canary: ok"
