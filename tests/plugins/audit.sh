#!/usr/bin/env bash
# The audit log: what it says of requests, and that policies' annotations are in it.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

LOG=$(mktemp)
POLICY=$(mktemp)
cat >"$POLICY" <<'YAML'
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: None
  users: [system:portcullis:recovery]
- level: Request
  resources: [{group: "", resources: [configmaps]}]
- level: Metadata
YAML
expect_error "is no audit policy" "$PORTCULLIS" apiserver --data-dir "$(mktemp -d)" --bind "127.0.0.1:$(free_port)" \
    --audit-log-path - --audit-policy-file "$0"
expect_error "--audit-policy-file needs --audit-log-path" "$PORTCULLIS" apiserver --data-dir "$(mktemp -d)" \
    --bind "127.0.0.1:$(free_port)" --audit-policy-file "$POLICY"
start_server apiserver --audit-log-path "$LOG" --audit-policy-file "$POLICY"

# event PYTHON: whether there is an event `e` for which the expression holds
event() {
    python3 - "$LOG" "$1" <<'PY'
import json, sys
for line in open(sys.argv[1]):
    e = json.loads(line)
    ref, notes, user = e.get("objectRef", {}), e.get("annotations", {}), e["user"].get("username", "")
    if eval(f"({sys.argv[2]})"):
        sys.exit(0)
sys.exit(1)
PY
}
expect_event() { retry 5 event "$1"; }
export -f event
export LOG

say "policies' annotations and refusals"
digest=$("$PORTCULLIS" plugin push "$FIRST/known-team.wasm")
plugin teams validator "$digest" '{"config": {"teams": ["red"]}, "match": {"resources": ["configmaps"]}}'
loaded teams
kubectl create -f - <<<'{"apiVersion": "v1", "kind": "ConfigMap",
    "metadata": {"name": "a", "labels": {"team": "red"}}, "data": {"k": "v"}}'
expect_error 'team "blue" is not one of: red' \
    kubectl create -f - <<<'{"apiVersion": "v1", "kind": "ConfigMap",
    "metadata": {"name": "b", "labels": {"team": "blue"}}}'
expect_event 'ref.get("name") == "a" and notes.get("teams/team") == "red" and e["level"] == "Request"
    and e["requestObject"]["data"] == {"k": "v"} and e.get("responseStatus", {}).get("code") == 201 and "responseObject" not in e
    and notes.get("authorization.k8s.io/decision") == "allow" and user == "kubernetes-admin"'
expect_event "ref.get('name') == 'b' and notes.get('plugins.portcullis.dev/denied-by') == 'teams@$digest'
    and e.get('responseStatus', {}).get('code') == 403 and 'is not one of' in e['responseStatus']['message']"

say "who, as whom, and what was refused"
expect_error forbidden kubectl get secrets --as=jo
expect_event 'user == "kubernetes-admin" and e.get("impersonatedUser", {}).get("username") == "jo" and ref.get("resource") == "secrets"
    and notes.get("authorization.k8s.io/decision") == "forbid" and e.get("userAgent", "").startswith("kubectl") and e["verb"] == "list"'
curl -sk -H 'Authorization: Bearer nobody' "https://127.0.0.1:$PORT/api/v1/pods" >/dev/null
expect_event 'e.get("responseStatus", {}).get("code") == 401 and notes.get("authentication.k8s.io/failed") == "true" and e["sourceIPs"] == ["127.0.0.1"]'

say "a plugin that fails open is seen"
plugin teams validator "$GUESTS/validator-trap.wasm" '{"failurePolicy": "Ignore", "match": {"resources": ["configmaps"]}}'
loaded teams
kubectl create configmap c
expect_event 'ref.get("name") == "c" and notes.get("plugins.portcullis.dev/failed-open", "").startswith("teams: the policy trapped")'

say "watches have a beginning and an end"
timeout 3 kubectl get configmaps --watch >/dev/null || true
expect_event 'e["verb"] == "watch" and e["stage"] == "ResponseStarted" and ref.get("resource") == "configmaps" and user == "kubernetes-admin"'
expect_event 'e["verb"] == "watch" and e["stage"] == "ResponseComplete" and ref.get("resource") == "configmaps" and user == "kubernetes-admin"'
if event 'user == "system:portcullis:recovery" or e["stage"] == "RequestReceived"'; then fail "what was to be left out is there"; fi
[ "$(metric apiserver_audit_event_total)" -ge 5 ] || fail "events are not counted"
[ "$(stat -c %a "$LOG")" = 600 ] || fail "others can read the log"
kubectl create configmap last
stop_server
event 'ref.get("name") == "last" and e["stage"] == "ResponseComplete"' || fail "the end of the log is lost"
rm -f "$LOG" "$POLICY"
echo "audit: ok"
