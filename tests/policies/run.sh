#!/usr/bin/env bash
# Admission policies in CEL with kubectl: validating ones with parameters, bindings, warnings, audit annotations and types
# checked in their status; mutating ones with both kinds of patches, reinvoked; and what becomes of policies that fail.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"
HERE=$(cd "$(dirname "$0")" && pwd)
NOTES=$(mktemp -d)

start_server up --audit-policy-file "$HERE/audit.yaml" --audit-log-path "$NOTES/audit.log"
retry 20 kubectl get namespace default
deployment() {
    kubectl create deployment "$1" --image=i --replicas="$2" -n "$3" --dry-run=client -o yaml
}
create() { deployment "$1" "$2" "$3" | kubectl create -f -; }
space() { kubectl create namespace "$1"; kubectl label namespace "$1" "$2=yes" team=blue; }
space guarded guarded
space warned warned
space mutated mutated

say "a policy with parameters refuses, and says it in its own words"
kubectl apply -f "$HERE/validating.yaml"
create small 3 guarded
expect_error "denied request: at most 3 replicas for team blue" create many 5 guarded
expect_error 'Error from server (Forbidden)' create many 5 guarded
create free 5 guarded
kubectl patch configmap limits --type=merge -p '{"data": {"max": "6"}}'
retry 5 create many 5 guarded
kubectl patch configmap limits --type=merge -p '{"data": {"max": "3"}}'
expect_error 'at most 3' kubectl patch deployment small -n guarded --type=merge -p '{"spec": {"replicas": 4}}'

say "a binding may only warn"
create many 5 warned 2>"$NOTES/warning"
grep_for "Warning: Validation failed for ValidatingAdmissionPolicy 'replicas.example.test' with binding 'replicas-warn': at most 3" "$NOTES/warning"

say "a condition leaves objects out"
deployment exempt 9 guarded | kubectl label --local -f - exempt=yes -o yaml | kubectl create -f -

say "the audit log has annotations"
grep_for '"replicas.example.test/replicas":"replicas: 3"' "$NOTES/audit.log"
grep -F 'validation.policy.admission.k8s.io/validation_failure' "$NOTES/audit.log" |
    grep_for 'expressionIndex.*replicas-deny'

say "no parameters where they must be"
kubectl delete configmap limits
expect_error 'failed to configure binding: no params found for policy binding with `Deny`' create more 1 guarded
kubectl delete -f "$HERE/validating.yaml" --ignore-not-found

say "the status says what is wrong with the types"
policy() { # NAME EXPRESSION FAILURE-POLICY
    cat <<YAML
---
{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicy, metadata: {name: $1},
 spec: {failurePolicy: $3,
  matchConstraints: {matchPolicy: Equivalent, resourceRules: [{apiGroups: [autoscaling], apiVersions: [v1],
    operations: [CREATE], resources: [horizontalpodautoscalers]}]},
  validations: [{expression: "$2"}]}}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingAdmissionPolicyBinding, metadata: {name: $1},
 spec: {policyName: $1, validationActions: [Deny]}}
YAML
}
policy typed "object.spec.maxReplicas > 1 && object.spec.nothing == 1" Fail | kubectl apply -f -
warned() { kubectl get validatingadmissionpolicy "$1" -o 'jsonpath={.status.typeChecking.expressionWarnings}' | grep_for "$2"; }
retry 10 warned typed "spec.validations\[0\].expression.*undefined field 'nothing'"
kubectl get validatingadmissionpolicy typed -o 'jsonpath={.status.observedGeneration}' | grep_for 1
policy typed "1 +" Fail | expect_error 'compilation failed: ERROR: <input>:1:4: Syntax error' kubectl apply -f -

say "a failure policy, and a request in another version than the policy's"
scaler() { printf -- '---\n{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: %s, namespace: default}, spec: {maxReplicas: %s, scaleTargetRef: {kind: Deployment, name: d, apiVersion: apps/v1}}}' "$1" "$2"; }
scaler a 3 | expect_error "resulted in error: no such key: nothing" kubectl create -f -
policy typed "object.spec.maxReplicas > 1 && object.spec.nothing == 1" Ignore | kubectl apply -f -
scaler a 3 | kubectl create -f -
policy typed "object.apiVersion == 'autoscaling/v2'" Fail | kubectl apply -f -
scaler b 3 | expect_error "failed expression: object.apiVersion == 'autoscaling/v2'" kubectl create -f -
kubectl delete validatingadmissionpolicy,validatingadmissionpolicybinding typed

say "policies change objects, again if others have changed them"
kubectl apply -f "$HERE/mutating.yaml"
expect_error "policy 'b-labels.example.test' with binding 'b-labels' denied request: failed to configure binding: no params" \
    create web 1 mutated
kubectl create configmap team -n mutated --from-literal=team=blue
kubectl label configmap team -n mutated params=team
create web 1 mutated
of() { kubectl get deployment web -n mutated -o "jsonpath=$1"; }
[ "$(of '{.spec.template.spec.containers[*].name}')" = "i sidecar" ] || fail "no sidecar: $(of '{.spec}')"
[ "$(of '{.spec.template.spec.containers[1].imagePullPolicy}')" = IfNotPresent ] || fail "not defaulted"
[ "$(of '{.metadata.labels.example\.test/team}')" = blue ] || fail "not labelled: $(of '{.metadata}')"
[ "$(of '{.metadata.annotations.sidecar}')" = sidecar:mutated ] || fail "not annotated"

say "what a mutation may not do"
mutation() { # EXPRESSION
    cat <<YAML
---
{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingAdmissionPolicy, metadata: {name: wrong},
 spec: {reinvocationPolicy: Never,
  matchConstraints: {resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}]},
  mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: '$1'}}]}}
---
{apiVersion: admissionregistration.k8s.io/v1, kind: MutatingAdmissionPolicyBinding, metadata: {name: wrong},
 spec: {policyName: wrong}}
YAML
}
pod() { kubectl run "pod$RANDOM" --image=i -n guarded "$@"; }
refused() { mutation "$1" | kubectl apply -f -; expect_error "$2" pod; }
denied="policy 'wrong' with binding 'wrong' denied request: "
refused 'Object{spec: Object.spec{nodeSelector: {"a": "b"}}}' \
    "${denied}error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.nodeSelector"
refused 'Object{spec: Object.spec{nothing: 1}}' \
    "${denied}error applying patch: failed to convert patch object to typed object: .spec.nothing: field not declared in schema"
refused 'Object{spec: Object.wrong{}}' \
    "${denied}type mismatch: unexpected type name \"Object.wrong\", expected \"Object.spec\""
refused 'Object{spec: Object.spec{priority: int(object.metadata.name)}}' "type conversion error from 'string' to 'int'"
mutation '1' | expect_error 'must evaluate to Object but got int' kubectl apply -f -
kubectl delete mutatingadmissionpolicy,mutatingadmissionpolicybinding wrong
pod
stop_server
rm -rf "$NOTES"
echo "policies: ok"
