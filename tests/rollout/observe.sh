#!/usr/bin/env bash
# What can be seen of policies: metrics for each plugin, guest logs with the request's id at a level that is changed live,
# the reason of a refusal where people look for it, and one request explained.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

export PORTCULLIS
start_server up --no-kubelet
export WORK DATA
deny=$(push "$GUESTS/validator-deny.wasm")
talk=$(push "$GUESTS/validator-talk.wasm")
mark=$(push "$GUESTS/mutator-mark.wasm")
only='"match": {"resources": ["configmaps"], "namespaces": ["default"]}'

say "metrics of each plugin"
plugin rule validator "$deny" "{$only}"
loaded rule
expect_error "no such thing here" kubectl create configmap a
labels='plugin="rule",stage="validator"'
[ "$(metric "portcullis_plugin_verdicts_total{$labels,mode=\"Enforce\",verdict=\"denied\"}")" = 1 ] || fail "verdicts"
[ "$(metric "portcullis_plugin_calls_total{$labels}")" = 1 ] || fail "calls"
[ "$(metric "portcullis_plugin_call_duration_seconds_bucket{$labels,le=\"+Inf\"}")" = 1 ] || fail "histogram"
[ "$(metric "portcullis_plugin_memory_bytes{$labels}")" = 262144 ] || fail "memory: $(metric "portcullis_plugin_memory_bytes{$labels}")"
[ "$(metric "portcullis_plugin_queued{$labels}")" = 0 ] && [ "$(metric "portcullis_plugin_queued_total{$labels}")" = 0 ] || fail "queue"
kubectl get --raw /metrics | grep -F 'portcullis_plugin_verdicts_total{plugin="authn-x509"' && fail "an authenticator has no such verdicts"

say "the reason of a refusal is in the events of a Deployment's ReplicaSet"
kubectl create namespace strict >/dev/null
plugin pods validator "$deny" '{"match": {"resources": ["pods"], "namespaces": ["strict"]}}'
loaded pods
kubectl create deployment web --image=nginx -n strict >/dev/null
refused() { kubectl describe replicaset -n strict | grep_for 'FailedCreate.*plugin "pods" denied the request: no such thing here'; }
export -f refused
retry 20 refused
said() { kubectl get deployment web -n strict -o 'jsonpath={.status.conditions[*].message}' | grep_for 'plugin "pods" denied the request'; }
export -f said
retry 20 said

say "guest logs, with the request's id, at a level that is changed live"
plugin rule validator "$talk" "{$only}"
loaded rule
# logged TEXT [REQUEST]: whether the plugin's line is in the server's log
logged() { grep -a "system:plugin:rule" "$DATA.log" | grep -a -- "$1" | grep -a -- "${2:-}" >/dev/null; }
credential() { kubectl config view --raw -o "jsonpath={.users[0].user.$1}" | base64 -d >"$WORK/$1"; }
credential client-certificate-data
credential client-key-data
kubectl create configmap quiet >/dev/null
retry 5 logged wrong
if logged "so so" || logged "fine!"; then fail "lines below the process's level are written"; fi
for level in Info Debug; do
    kubectl patch plugin rule --type merge -p "{\"spec\": {\"logLevel\": \"$level\"}}" >/dev/null
    loaded rule
    id=$(curl -sk -D - -o /dev/null -X POST --cert "$WORK/client-certificate-data" --key "$WORK/client-key-data" \
        -H 'content-type: application/json' "https://127.0.0.1:$PORT/api/v1/namespaces/default/configmaps" \
        -d "{\"metadata\": {\"name\": \"with-${level,,}\"}}" | tr -d '\r' | sed -n 's/^audit-id: //Ip')
    [ -n "$id" ] || fail "there is no Audit-Id"
    retry 5 logged "so so" "$id"
    if [ "$level" = Info ]; then
        if logged "fine!"; then fail "a line for debugging is written at the level Info"; fi
    else
        retry 5 logged "fine!" "$id"
    fi
done
[ "$(field rule .status.instances)" = 1 ] || fail "a change of the level made another instance"
kubectl patch plugin rule --type merge -p '{"spec": {"logLevel": "Off"}}' >/dev/null
loaded rule
lines=$(grep -ac "system:plugin:rule" "$DATA.log")
kubectl create configmap silent >/dev/null
[ "$lines" = "$(grep -ac "system:plugin:rule" "$DATA.log")" ] || fail "a plugin that is Off writes lines"

say "a request is explained"
plugin rule validator "$deny" "{\"mode\": \"Warn\", $only}"
plugin mark mutator "$mark" "{$only}"
plugin last validator "$deny" "{\"order\": 5, $only}"
loaded rule
loaded mark
loaded last
cat >"$WORK/object.yaml" <<'YAML'
apiVersion: v1
kind: ConfigMap
metadata: {name: explained}
data: {k: v}
YAML
"$PORTCULLIS" plugin explain -f "$WORK/object.yaml" >"$WORK/explained"
short() { cut -c1-19 <<<"$1"; }
shown() { grep_for "$1" <"$WORK/explained" || { cat "$WORK/explained" >&2; fail "the explanation does not say: $1"; }; }
shown "^authorizer *authorization *allowed *[0-9.]* us"
shown "^mutator *mark *$(short "$mark") *Enforce *changed (1 ops) *[0-9.]* us"
shown "^objectValidator *validate-objects *sha256:[0-9a-f]* *Enforce *allowed"
shown "^validator *ValidatingAdmissionPolicies *allowed"
shown "^validator *rule *$(short "$deny") *Warn *denied"
shown "^validator *last *$(short "$deny") *Enforce *denied"
shown '^answer 403 after [0-9.]* us: .*plugin "last" denied the request: no such thing here'
[ -z "$(kubectl get configmap explained --ignore-not-found)" ] || fail "it was written"
kubectl delete plugin last >/dev/null
retry 5 bash -c '"$PORTCULLIS" plugin explain -f "$WORK/object.yaml" --json | grep_for "\"code\": 201"'
kubectl create --raw "/api/v1/namespaces/default/configmaps?dryRun=All&explain=true" -f - <<<'{"apiVersion": "v1", "kind": "ConfigMap",
    "metadata": {"name": "by-kubectl"}}' | grep_for '"kind":"Explanation"' || fail "kubectl has no explanation"
expect_error "only a write that is a dry run can be explained" \
    kubectl create --raw "/api/v1/namespaces/default/configmaps?explain=true" -f "$WORK/object.yaml"
kubectl create clusterrole writer --verb=create,get --resource=configmaps >/dev/null
kubectl create clusterrolebinding writer --clusterrole=writer --serviceaccount=default:default >/dev/null
token=$(kubectl create token default)
expect_error 'cannot explain resource "plugins"' "$PORTCULLIS" plugin explain -f "$WORK/object.yaml" \
    --server "https://127.0.0.1:$PORT" --certificate-authority "$DATA/pki/ca.crt" --token "$token"
kubectl create clusterrole explainer --verb=explain --resource=plugins >/dev/null
kubectl create clusterrolebinding explainer --clusterrole=explainer --serviceaccount=default:default >/dev/null
retry 5 bash -c '"$PORTCULLIS" plugin explain -f "$WORK/object.yaml" --server "https://127.0.0.1:'"$PORT"'" \
    --certificate-authority "$DATA/pki/ca.crt" --token "'"$token"'" | grep_for "answer 403.*cannot patch resource"'
stop_server
echo "observe: ok"
