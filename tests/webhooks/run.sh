#!/usr/bin/env bash
# Admission webhooks with kubectl and an HTTPS server: asked with all that a review has, obeyed in what they answer, and
# passed over or not where they cannot be asked.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"
HERE=$(cd "$(dirname "$0")" && pwd)

AUDIT=$(mktemp) AUDIT_LOG=$(mktemp)
cat >"$AUDIT" <<'YAML'
apiVersion: audit.k8s.io/v1
kind: Policy
rules: [{level: Request, resources: [{group: "", resources: [configmaps, pods]}]}]
YAML
start_server apiserver --audit-policy-file "$AUDIT" --audit-log-path "$AUDIT_LOG"

say "a webhook server with certificates of its own"
CERTS=$WORK/certs LOG=$WORK/reviews HOOK=$(free_port)
mkdir "$CERTS"
quiet() { "$@" 2>/dev/null; }
quiet openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=hook-ca -keyout "$CERTS/ca.key" -out "$CERTS/ca.crt"
quiet openssl req -newkey rsa:2048 -nodes -subj /CN=hook -keyout "$CERTS/hook.key" -out "$CERTS/hook.csr"
quiet openssl x509 -req -days 2 -in "$CERTS/hook.csr" -CA "$CERTS/ca.crt" -CAkey "$CERTS/ca.key" -CAcreateserial \
    -out "$CERTS/hook.crt" -extfile <(echo "subjectAltName=DNS:localhost,IP:127.0.0.1,DNS:hook.hooks.svc")
quiet openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=other-ca -keyout "$CERTS/o.key" -out "$CERTS/other.crt"
CA=$(base64 -w0 <"$CERTS/ca.crt") OTHER_CA=$(base64 -w0 <"$CERTS/other.crt")
touch "$LOG"
python3 "$HERE/server.py" "$CERTS/hook.crt" "$CERTS/hook.key" "$LOG" "127.0.0.1:$HOOK" "127.244.7.7:$HOOK" >"$WORK/hook.out" &
WEBHOOK=$!
trap 'kill -9 "$WEBHOOK" "$SERVER" 2>/dev/null || true; rm -rf "$WORK" "$AUDIT" "$AUDIT_LOG"' EXIT
retry 10 grep -q ready "$WORK/hook.out"

# hook KIND NAME PATH [FIELDS]: a configuration with one webhook, about configmaps unless FIELDS say otherwise
hook() {
    local kind=$1 name=$2 path=$3 fields=${4:-}
    case $fields in *rules:*) ;; *) fields="$fields
  rules: [{apiGroups: [''], apiVersions: [v1], operations: ['*'], resources: [configmaps]}]" ;; esac
    case $fields in *clientConfig:*) ;; *) fields="$fields
  clientConfig: {url: 'https://127.0.0.1:$HOOK/$path', caBundle: $CA}" ;; esac
    case $fields in *sideEffects:*) ;; *) fields="$fields
  sideEffects: None" ;; esac
    case $fields in *admissionReviewVersions:*) ;; *) fields="$fields
  admissionReviewVersions: [v1]" ;; esac
    cat <<YAML
apiVersion: admissionregistration.k8s.io/v1
kind: ${kind}WebhookConfiguration
metadata: {name: $name}
webhooks:
- name: $name.hooks.test
  namespaceSelector: {matchExpressions: [{key: hooks, operator: NotIn, values: ["off"]}]}$fields
YAML
}
apply() { hook "$@" | kubectl apply -f - >/dev/null; }
gone() { kubectl delete validatingwebhookconfigurations,mutatingwebhookconfigurations --all >/dev/null; }
forget() { : >"$LOG"; }
# asked EXPRESSION: the python expression over `reviews` is true
asked() {
    python3 - "$LOG" "$1" <<'PY' || fail "not so: $1: $(cat "$LOG")"
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
reviews = [line["review"]["request"] for line in lines]
sys.exit(not eval(sys.argv[2]))
PY
}
# audited TEXT: the audit log says it
audited() { retry 10 grep -qF -- "$1" "$AUDIT_LOG"; }
packed() { printf %s "$1" | base64 -w0 | tr '+/' '-_' | tr -d =; }
map() { kubectl create configmap "$@" >/dev/null; }
field() { kubectl get "$1" -o "jsonpath={$2}"; }
is() { [ "$1" = "$2" ] || fail "expected «$2», got «$1»"; }

say "a denial, in the webhook's words"
apply Validating v deny
expect_error 'admission webhook "v.hooks.test" denied the request: the webhook says no' kubectl create configmap a
apply Validating v deny-bare
expect_error 'denied the request without explanation' kubectl create configmap a
apply Validating v deny-code
expect_error '410 Gone' kubectl create configmap a -v=6
expect_error 'denied the request: too much' kubectl create configmap a
kubectl create secret generic a >/dev/null

say "what a review says"
forget
apply Validating v warn
map a --from-literal=k=v 2>"$WORK/warnings"
grep_for 'Warning: a word from the webhook' "$WORK/warnings"
audited '"v.hooks.test/seen":"yes"'
asked 'lines[0]["path"] == "/warn" and lines[0]["query"] == "timeout=10s"'
asked 'lines[0]["review"]["apiVersion"] == "admission.k8s.io/v1" and lines[0]["review"]["kind"] == "AdmissionReview"'
asked 'reviews[0]["kind"] == reviews[0]["requestKind"] == {"group": "", "version": "v1", "kind": "ConfigMap"}'
asked 'reviews[0]["resource"] == reviews[0]["requestResource"] == {"group": "", "version": "v1", "resource": "configmaps"}'
asked 'reviews[0]["operation"] == "CREATE" and (reviews[0]["name"], reviews[0]["namespace"]) == ("a", "default")'
asked 'reviews[0]["userInfo"]["username"] == "kubernetes-admin" and "system:masters" in reviews[0]["userInfo"]["groups"]'
asked 'reviews[0]["object"]["data"] == {"k": "v"} and reviews[0]["object"]["metadata"]["uid"] and reviews[0]["oldObject"] is None'
asked 'reviews[0]["dryRun"] is False and reviews[0]["options"]["kind"] == "CreateOptions"'
asked 'reviews[0]["options"]["fieldManager"] == "kubectl-create" and reviews[0]["options"]["fieldValidation"] == "Strict"'
forget
quiet kubectl patch configmap a --type=merge -p '{"data": {"k": "w"}}' >/dev/null
asked 'reviews[0]["operation"] == "UPDATE" and reviews[0]["options"]["kind"] == "UpdateOptions"'
asked 'reviews[0]["object"]["data"] == {"k": "w"} and reviews[0]["oldObject"]["data"] == {"k": "v"}'
forget
quiet kubectl delete configmap a >/dev/null
asked 'reviews[0]["operation"] == "DELETE" and reviews[0]["object"] is None and reviews[0]["options"]["kind"] == "DeleteOptions"'
asked 'reviews[0]["oldObject"]["data"] == {"k": "w"}'
quiet map one; quiet map two
forget
kubectl delete --raw "/api/v1/namespaces/default/configmaps?fieldSelector=metadata.name!=kube-root-ca.crt" >/dev/null
asked '[r["name"] for r in reviews] == ["one", "two"]'
forget
apply Validating v beta "
  admissionReviewVersions: [v9, v1beta1]"
map old
asked 'lines[0]["review"]["apiVersion"] == "admission.k8s.io/v1beta1"'
gone

say "a webhook that is in the way of a deletion"
map kept
apply Validating v deny "
  rules: [{apiGroups: [''], apiVersions: [v1], operations: [DELETE], resources: [configmaps]}]"
expect_error 'the webhook says no' kubectl delete configmap kept
expect_error 'the webhook says no' kubectl delete configmaps --all
gone

kubectl create serviceaccount default >/dev/null # which nobody else makes here
say "an object changed, all or nothing, and defaulted afterwards"
apply Mutating m "patch/$(packed '[{"op": "add", "path": "/data", "value": {"by": "webhook"}}]')"
map b
is "$(field configmap/b .data.by)" webhook
audited '"mutation.webhook.admission.k8s.io/round_0_index_0":"{\"configuration\":\"m\",\"webhook\":\"m.hooks.test\",\"mutated\":true}"'
audited '"patch.webhook.admission.k8s.io/round_0_index_0":'
apply Mutating m "patch/$(packed '[{"op": "add", "path": "/data", "value": {"by": "x"}}, {"op": "remove", "path": "/nothing"}]')"
expect_error 'Internal error occurred' kubectl create configmap c
apply Mutating m "patch/$(packed '[{"op": "add", "path": "/data", "value": {"by": 5}}]')"
expect_error 'Internal error occurred' kubectl create configmap c
apply Mutating m "patch/$(packed '{"op": "add"}')"
expect_error 'received undecodable patch in webhook response' kubectl create configmap c
apply Mutating m "patch/$(packed '[{"op": "add", "path": "/spec/initContainers", "value": [{"name": "first", "image": "i"}]}]')" "
  rules: [{apiGroups: [''], apiVersions: [v1], operations: [CREATE], resources: [pods]}]"
kubectl create -f - >/dev/null <<'YAML'
apiVersion: v1
kind: Pod
metadata: {name: p}
spec: {containers: [{name: c, image: i}]}
YAML
is "$(field pod/p .spec.initContainers[0].terminationMessagePolicy)" File
gone

say "dry runs reach only webhooks without side effects"
apply Validating v allow
kubectl create configmap d --dry-run=server >/dev/null
asked 'reviews[-1]["dryRun"] is True and reviews[-1]["options"]["dryRun"] == ["All"]'
hook Validating v allow "
  admissionReviewVersions: [v1]
  sideEffects: Some" | expect_error 'Unsupported value' kubectl apply -f -
gone

say "failures: refused, or passed over"
failing() { # TEXT PATH [FIELDS]
    apply Validating v "$2" "${3:-}"
    expect_error "Internal error occurred: failed calling webhook \"v.hooks.test\": $1" kubectl create configmap f
    apply Validating v "$2" "${3:-}
  failurePolicy: Ignore"
    kubectl create configmap f --dry-run=server >/dev/null || fail "$1: not passed over"
}
failing "failed to call webhook: an error on the server (" code/500
failing "failed to call webhook: the server could not find the requested resource" code/404
failing "failed to call webhook: couldn't get version/kind; json parse error" garbage
failing "received invalid webhook response: webhook response was absent" empty
failing "received invalid webhook response: expected response.uid=" other-uid
failing "received invalid webhook response: validating webhook may not return response.patch" no-type
failing "failed to call webhook: Post \"https://127.0.0.1:$HOOK/slow?timeout=1s\": context deadline exceeded" slow "
  timeoutSeconds: 1"
failing "failed to call webhook: Post \"https://127.0.0.1:1/x?timeout=10s\": dial tcp 127.0.0.1:1: connect: connection refused" x "
  clientConfig: {url: 'https://127.0.0.1:1/x', caBundle: $CA}"
failing "failed to call webhook: Post \"https://localhost:$HOOK/allow?timeout=10s\": tls: failed to verify certificate: x509: certificate signed by unknown authority" x "
  clientConfig: {url: 'https://localhost:$HOOK/allow', caBundle: $OTHER_CA}"
failing "failed to call webhook: Post \"https://hook.hooks.svc:443/allow?timeout=10s\": service \"hook\" not found" x "
  clientConfig: {service: {namespace: hooks, name: hook, path: /allow}, caBundle: $CA}"
map open
audited '"failed-open.validating.webhook.admission.k8s.io/round_0_index_0":"v.hooks.test"'
curl_metrics() { kubectl get --raw /metrics | grep_for "$1"; }
curl_metrics 'apiserver_admission_webhook_fail_open_count{name="v.hooks.test",type="validating"}'
curl_metrics 'apiserver_admission_webhook_rejection_count{.*error_type="calling_webhook_error",name="v.hooks.test",operation="CREATE",rejection_code="503",type="validating"}'
gone

say "a service leads to its endpoints"
kubectl create namespace hooks >/dev/null
kubectl label namespace hooks hooks=off >/dev/null
kubectl create -f - >/dev/null <<YAML
apiVersion: v1
kind: Service
metadata: {name: hook, namespace: hooks}
spec: {ports: [{name: https, port: 8443, targetPort: $HOOK}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: hook-1, namespace: hooks, labels: {kubernetes.io/service-name: hook}}
addressType: IPv4
ports: [{name: https, port: $HOOK}]
endpoints: [{addresses: [127.244.7.7]}]
YAML
apply Validating v x "
  clientConfig: {service: {namespace: hooks, name: hook, path: /deny, port: 8443}, caBundle: $CA}"
expect_error 'the webhook says no' kubectl create configmap s
kubectl create configmap s -n hooks >/dev/null || fail "the namespace is not asked for"
failing "failed to call webhook: Post \"https://hook.hooks.svc:444/x?timeout=10s\": no service port 444 found for service \"hook\"" x "
  clientConfig: {service: {namespace: hooks, name: hook, path: /x, port: 444}, caBundle: $CA}"
gone

say "which requests a webhook is asked about"
apply Validating v deny "
  objectSelector: {matchLabels: {guarded: 'yes'}}"
map free
expect_error 'the webhook says no' kubectl label configmap free guarded=yes
apply Validating v deny "
  matchConditions: [{name: not-me, expression: 'object.metadata.name != \"skip-me\"'}]"
map skip-me
expect_error 'the webhook says no' kubectl create configmap g
apply Validating v deny "
  matchConditions: [{name: mine, expression: 'authorizer.group(\"\").resource(\"configmaps\").namespace(\"default\").check(\"create\").allowed() && request.userInfo.username == \"kubernetes-admin\"'}]"
expect_error 'the webhook says no' kubectl create configmap g
apply Validating v deny "
  matchConditions: [{name: broken, expression: 'object.data.nothing == \"x\"'}]"
expect_error 'configmaps "g" is forbidden' kubectl create configmap g
apply Validating v deny "
  failurePolicy: Ignore
  matchConditions: [{name: broken, expression: 'object.data.nothing == \"x\"'}]"
map g
hook Validating w deny "
  matchConditions: [{name: bad, expression: '1 +'}]" | expect_error 'compilation failed' kubectl create -f -
hook Mutating w deny "
  matchConditions: [{name: bad, expression: 'object.x'}]" | expect_error 'must evaluate to bool but got dyn' kubectl create -f -
apply Validating v deny "
  rules: [{apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*/*'], scope: Cluster}]"
expect_error 'the webhook says no' kubectl create namespace other
map h
gone

say "other versions of the same objects"
rule_v1="
  rules: [{apiGroups: [autoscaling], apiVersions: [v1], operations: ['*'], resources: [horizontalpodautoscalers]}]"
scaler() {
    kubectl create -f - <<YAML
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: $1}
spec:
  maxReplicas: 3
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 50}}}]
YAML
}
forget
apply Mutating m "patch/$(packed '[{"op": "replace", "path": "/spec/targetCPUUtilizationPercentage", "value": 60}]')" "$rule_v1
  matchConditions: [{name: old, expression: 'object.spec.targetCPUUtilizationPercentage == 50'}]"
scaler e >/dev/null
asked 'reviews[0]["kind"]["version"] == reviews[0]["resource"]["version"] == "v1"'
asked 'reviews[0]["requestKind"]["version"] == reviews[0]["requestResource"]["version"] == "v2"'
asked 'reviews[0]["object"]["apiVersion"] == "autoscaling/v1" and reviews[0]["object"]["spec"]["targetCPUUtilizationPercentage"] == 50'
is "$(kubectl get hpa.v2.autoscaling e -o 'jsonpath={.spec.metrics[0].resource.target.averageUtilization}')" 60
gone
apply Validating v deny "$rule_v1
  matchPolicy: Exact"
scaler exact >/dev/null
expect_error 'the webhook says no' kubectl create -f - <<'YAML'
apiVersion: autoscaling/v1
kind: HorizontalPodAutoscaler
metadata: {name: x}
spec: {maxReplicas: 3, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}}
YAML
gone

say "webhooks in the order of their names, and once more if they want"
forget
apply Mutating m-1 "patch-if/again/$(packed '[{"op": "add", "path": "/data", "value": {"seen": "again"}}]')" "
  reinvocationPolicy: IfNeeded"
apply Mutating m-2 "patch/$(packed '[{"op": "add", "path": "/metadata/labels", "value": {"again": "yes"}}]')"
map i
asked '[line["path"].split("/")[1] for line in lines] == ["patch-if", "patch", "patch-if"]'
is "$(field configmap/i .data.seen)" again
audited '"mutation.webhook.admission.k8s.io/round_1_index_0"'
gone

say "configurations are out of webhooks' reach"
rule_own="
  rules: [{apiGroups: [admissionregistration.k8s.io], apiVersions: ['*'], operations: ['*'], resources: ['*']}]"
apply Validating v deny "$rule_own"
apply Mutating m "patch/$(packed '[{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}]')" "$rule_own"
apply Mutating bare allow
is "$(kubectl get mutatingwebhookconfiguration bare -o 'jsonpath={.metadata.labels}')" ""
gone

say "subresources: status, scale, binding, eviction, attach"
kubectl create deployment d --image=i >/dev/null
any="
  rules: [{apiGroups: ['', apps, policy, autoscaling], apiVersions: ['*'], operations: ['*'], resources: ['*/*']}]"
apply Validating v allow "$any"
forget
kubectl scale deployment d --replicas=2 >/dev/null
asked 'reviews[0]["subResource"] == reviews[0]["requestSubResource"] == "scale" and reviews[0]["operation"] == "UPDATE"'
asked 'reviews[0]["kind"] == {"group": "autoscaling", "version": "v1", "kind": "Scale"}'
asked 'reviews[0]["object"]["spec"]["replicas"] == 2 and reviews[0]["oldObject"]["spec"]["replicas"] == 1'
asked 'reviews[0]["object"]["kind"] == "Scale" and reviews[0]["resource"]["resource"] == "deployments"'
forget
kubectl patch deployment d --subresource=status --type=merge -p '{"status": {"replicas": 1}}' >/dev/null
asked 'reviews[0]["subResource"] == "status" and reviews[0]["kind"]["kind"] == "Deployment"'
forget
kubectl create --raw /api/v1/namespaces/default/pods/p/binding -f - >/dev/null <<'YAML'
{"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}
YAML
asked 'reviews[0]["subResource"] == "binding" and reviews[0]["operation"] == "CREATE" and reviews[0]["oldObject"] is None'
asked 'reviews[0]["object"]["kind"] == "Binding" and reviews[0]["object"]["target"]["name"] == "n"'
forget
kubectl attach p >/dev/null 2>&1 || true
asked 'reviews[0]["subResource"] == "attach" and reviews[0]["operation"] == "CONNECT"'
asked 'reviews[0]["object"]["kind"] == reviews[0]["kind"]["kind"] == "PodAttachOptions" and reviews[0]["name"] == "p"'
forget
kubectl create --raw /api/v1/namespaces/default/pods/p/eviction -f - >/dev/null <<'YAML'
{"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "p"}}
YAML
asked '[(r["subResource"], r["operation"], r["kind"]["kind"]) for r in reviews] == [("eviction", "CREATE", "Eviction")]'
asked 'reviews[0]["kind"]["group"] == "policy" and reviews[0]["object"]["metadata"]["name"] == "p"'
gone
apply Validating v deny "
  rules: [{apiGroups: [''], apiVersions: [v1], operations: [CONNECT], resources: [pods/attach]}]"
kubectl run q --image=i >/dev/null
expect_error 'the webhook says no' kubectl attach q
apply Validating v deny "
  rules: [{apiGroups: ['*'], apiVersions: ['*'], operations: [UPDATE], resources: [deployments/scale]}]"
expect_error 'the webhook says no' kubectl scale deployment d --replicas=3
apply Mutating m "patch/$(packed '[{"op": "replace", "path": "/spec/replicas", "value": 7}]')" "
  rules: [{apiGroups: ['*'], apiVersions: ['*'], operations: [UPDATE], resources: [deployments/scale]}]"
kubectl delete validatingwebhookconfiguration v >/dev/null
kubectl scale deployment d --replicas=3 >/dev/null
is "$(field deployment/d .spec.replicas)" 7
gone

say "custom resources: mutated, pruned, and in another version than the stored one"
kubectl apply -f "$HERE/crd.yaml" >/dev/null
kubectl wait --for=condition=Established crd/lamps.hooks.test --timeout=10s >/dev/null
retry 5 quiet kubectl get lamps
apply Mutating m "patch/$(packed '[{"op": "add", "path": "/data/second", "value": "2"}, {"op": "add", "path": "/data/unknown", "value": "x"}]')" "
  rules: [{apiGroups: [hooks.test], apiVersions: [v1], operations: [CREATE], resources: [lamps]}]"
forget
lamp() { printf 'apiVersion: hooks.test/%s\nkind: Lamp\nmetadata: {name: %s}\ndata: {first: "1"}\n' "$1" "$2" | kubectl create -f -; }
lamp v1 a >/dev/null
is "$(field lamp/a .data)" '{"first":"1","second":"2"}'
lamp v2 b >/dev/null
asked '[r["object"]["apiVersion"] for r in reviews] == ["hooks.test/v1", "hooks.test/v1"]'
is "$(field lamp/b .data)" '{"first":"1","second":"2"}'
apply Validating v deny "
  rules: [{apiGroups: [hooks.test], apiVersions: ['*'], operations: ['*'], resources: ['*']}]"
expect_error 'the webhook says no' kubectl patch lamp a --type=merge -p '{"data": {"first": "3"}}'
expect_error 'the webhook says no' kubectl delete lamp a
gone

say "what is configured is in force after a crash"
apply Validating v deny
restart_server
expect_error 'the webhook says no' kubectl create configmap z
gone
map z
stop_server
echo "webhooks: ok"
