#!/usr/bin/env bash
# What a plugin's mode makes of its decisions: a refusal and a change in each of the four, and what is said of it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

LOG=$(mktemp)
export LOG
# At this level an event names the object that is made.
cat >"$LOG.policy" <<'YAML'
apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: Request
  resources: [{group: "", resources: [configmaps]}]
- level: Metadata
YAML
start_server apiserver --audit-log-path "$LOG" --audit-policy-file "$LOG.policy"
deny=$(push "$GUESTS/validator-deny.wasm")
mark=$(push "$GUESTS/mutator-mark.wasm")
invalid=$(push "$GUESTS/object-validator-refuse.wasm")
trap_=$(push "$GUESTS/validator-trap.wasm")
only='"match": {"resources": ["configmaps"], "namespaces": ["default"]}'
verdicts() { metric "portcullis_plugin_verdicts_total{plugin=\"$1\",stage=\"$2\",mode=\"$3\",verdict=\"$4\"}"; }

say "modes are for admission"
for stage in authenticator authorizer scheduler converter; do
    expect_error "spec.mode: Invalid value: \"Warn\": plugins of the stage $stage can only be in the mode Enforce" \
        plugin bad "$stage" "$deny" '{"mode": "Warn"}'
done
expect_error 'spec.mode: Unsupported value: "Loud": supported values: "Enforce", "Warn", "Audit", "Shadow"' \
    plugin bad validator "$deny" '{"mode": "Loud"}'
[ -z "$(kubectl get plugins bad --ignore-not-found)" ] || fail "a bad mode was stored"

say "Enforce"
plugin rule validator "$deny" "{$only}"
loaded rule
expect_error 'plugin "rule" denied the request: no such thing here' kubectl create configmap enforced
[ "$(verdicts rule validator Enforce denied)" = 1 ] || fail "a refusal is not counted"
digest_before=$(field rule .status.activeDigest)
retry 5 audited "decision('rule') == {'stage': 'validator', 'digest': '$deny', 'mode': 'Enforce', 'verdict': 'denied',
    'reason': 'no such thing here'} and e.get('responseStatus', {}).get('code') == 403"
kubectl get plugins rule | grep_for "validator *True *True *Enforce" || fail "$(kubectl get plugins)"

say "Warn: the caller hears of it"
plugin rule validator "$deny" "{\"mode\": \"Warn\", $only}"
loaded rule
kubectl create configmap warned 2>&1 | grep_for 'Warning: plugin "rule" would deny the request: no such thing here' ||
    fail "there is no warning"
kubectl get configmap warned >/dev/null
retry 5 audited "ref.get('name') == 'warned' and decision('rule').get('mode') == 'Warn' and decision('rule')['verdict'] == 'denied'"
[ "$digest_before" = "$(field rule .status.activeDigest)" ] || fail "another component serves"
[ "$(field rule .status.instances)" = 1 ] || fail "a change of the mode made another instance"

say "Audit: the audit log hears of it, and nobody else"
plugin rule validator "$deny" "{\"mode\": \"Audit\", $only}"
loaded rule
if kubectl create configmap audited 2>&1 | grep_for Warning; then fail "there is a warning"; fi
retry 5 audited "ref.get('name') == 'audited' and decision('rule').get('mode') == 'Audit'
    and decision('rule')['reason'] == 'no such thing here' and e.get('responseStatus', {}).get('code') == 201"
[ "$(verdicts rule validator Audit denied)" = 1 ] || fail "it is not counted"

say "a plugin that fails fails nothing where its decision would not count"
plugin rule validator "$trap_" "{\"mode\": \"Audit\", $only}"
loaded rule
kubectl create configmap trapped >/dev/null
retry 5 audited "ref.get('name') == 'trapped' and decision('rule').get('verdict') == 'failed'
    and notes.get('plugins.portcullis.dev/failed-open', '').startswith('rule: the policy trapped')"
kubectl delete plugin rule

say "an object validator"
plugin form objectValidator "$invalid" "{\"mode\": \"Warn\", $only}"
loaded form
kubectl create configmap odd 2>&1 | grep_for 'Warning: plugin "form" would deny the request: no such thing here: Required value' ||
    fail "there is no warning of an invalid object"
plugin form objectValidator "$invalid" "{$only}"
loaded form
expect_error "no such thing here: Required value" kubectl create configmap odder
kubectl delete plugin form

say "a mutator changes something in the mode Enforce only"
for mode in Warn Audit Shadow Enforce; do
    plugin mark mutator "$mark" "{\"mode\": \"$mode\", $only}"
    retry 15 has_condition mark Loaded "True"
    kubectl create configmap "mutated-${mode,,}" >/dev/null
    found=$(kubectl get configmap "mutated-${mode,,}" -o 'jsonpath={.data.marked}')
    expected=$([ "$mode" = Enforce ] && echo yes || true)
    [ "$found" = "$expected" ] || fail "in the mode $mode: «$found»"
    [ "$(verdicts mark mutator "$mode" changed)" = 1 ] || fail "what it would change is not counted in the mode $mode"
done
retry 5 audited "ref.get('name') == 'mutated-audit' and decision('mark') == {'stage': 'mutator', 'digest': '$mark',
    'mode': 'Audit', 'verdict': 'changed', 'operations': 1}"
if audited "ref.get('name') == 'mutated-shadow' and decision('mark')"; then fail "a shadow is in the audit log"; fi
kubectl delete plugin mark

say "a shadow runs beside the version that serves, and is compared with it"
allow=$(push "$GUESTS/validator-allow.wasm")
plugin rule validator "$allow" "{$only}"
loaded rule
plugin rule validator "$deny" "{\"mode\": \"Shadow\", $only}"
retry 15 has_condition rule Loaded "True Trial"
[ "$(make 3 shadowed | wc -l)" = 3 ] || fail "a shadow refused something"
[ "$(field rule .status.activeDigest)" = "$allow" ] || fail "the shadow serves"
retry 15 field_is rule .status.shadow.disagreements 3
[ "$(metric 'portcullis_plugin_compared_total{plugin="rule",kind="shadow",result="different"}')" = 3 ] || fail "not counted"
restart_server
kubectl create configmap shadowed-after-restart >/dev/null
[ "$(field rule .status.activeDigest)" = "$allow" ] || fail "after a restart the shadow serves"
[ "$(metric 'portcullis_plugin_calls_total{plugin="rule",stage="validator"}')" = 1 ] || fail "what served does not"
[ "$(metric 'portcullis_plugin_calls_total{plugin="rule",stage="validator",candidate="true"}')" = 1 ] || fail "no shadow"
plugin rule validator "$deny" "{$only}"
loaded rule
expect_error 'plugin "rule" denied the request' kubectl create configmap enforced
plugin rule validator "$deny" "{\"mode\": \"Shadow\", $only}"
loaded rule
kubectl create configmap again >/dev/null || fail "the version that serves, made a shadow, still decides"
stop_server
rm -f "$LOG" "$LOG.policy"
echo "modes: ok"
