#!/usr/bin/env bash
# Custom resources with kubectl: a definition applied, explained and served; schema, rules and an admission policy
# enforced; a restart; and the definition deleted with its instances.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"
HERE=$(cd "$(dirname "$0")" && pwd)

start_server apiserver
boat() { printf '{apiVersion: harbour.example.test/v1, kind: Boat, metadata: {name: %s}, spec: %s}' "$1" "$2"; }

say "a definition is established and served"
kubectl apply -f "$HERE/crd.yaml"
kubectl wait --for=condition=Established crd/boats.harbour.example.test --timeout=10s
retry 5 kubectl get boats
kubectl api-resources --api-group=harbour.example.test | grep_for 'boats *bt *harbour.example.test/v1 *true *Boat'
kubectl explain boat.spec.length | grep_for 'Its length in metres'
kubectl explain boat --recursive | grep_for 'crew'

say "instances are defaulted, validated and applied"
boat dinghy '{length: 4, flag: nl, crew: [{name: a}]}' | kubectl apply --server-side -f -
[ "$(kubectl get bt dinghy -o 'jsonpath={.spec.sails}{.spec.crew[0].rank}')" = 1sailor ] || fail "no defaults"
boat dinghy '{length: 4, flag: nl, crew: [{name: a}, {name: b, rank: captain}]}' | kubectl apply --server-side -f -
kubectl get harbour dinghy --no-headers | grep_for 'dinghy *4 '
[ "$(kubectl get bt --field-selector spec.flag=nl -o name)" = boat.harbour.example.test/dinghy ] || fail "not selected"
refused() { boat wreck "$2" | expect_error "$1" kubectl create -f -; }
refused 'spec.length in body must be of type integer: "string"' '{length: long}'
refused 'spec.length: Required value' '{}'
refused 'Unsupported value: "cook"' '{length: 4, crew: [{name: a, rank: cook}]}'
refused 'spec.crew[1]: Duplicate value' '{length: 4, crew: [{name: a}, {name: a}]}'
refused 'too many sails for the length' '{length: 4, sails: 3}'
refused 'unknown field "spec.keel"' '{length: 4, keel: deep}'
expect_error 'a flag is not struck' kubectl patch bt dinghy --type=json -p '[{"op": "remove", "path": "/spec/flag"}]'

say "status and scale are their own"
kubectl patch bt dinghy --subresource=status --type=merge -p '{"status": {"sails": 1}, "spec": {"length": 9}}'
[ "$(kubectl get bt dinghy -o 'jsonpath={.spec.length} {.metadata.generation}')" = "4 2" ] || fail "status wrote more"
kubectl scale bt dinghy --replicas=2
[ "$(kubectl get bt dinghy -o 'jsonpath={.spec.sails}')" = 2 ] || fail "not scaled"

say "a policy in CEL"
kubectl apply -f "$HERE/policy.yaml"
refused 'the harbour takes 50 m, not 51' '{length: 51}'
kubectl delete -f "$HERE/policy.yaml"

say "a bad rule is told at once"
sed 's/self.length >= self.sails/self.draught >= self.sails/; s/boats/ships/; s/Boat/Ship/; s/bt/sh/' "$HERE/crd.yaml" |
    expect_error "undefined field 'draught'" kubectl create -f -

say "all of it is there after a crash"
restart_server
[ "$(kubectl get bt -o name)" = boat.harbour.example.test/dinghy ] || fail "lost"

say "a definition ends with its instances"
kubectl delete crd boats.harbour.example.test --timeout=20s
expect_error 'could not find the requested resource' kubectl get boats
kubectl apply -f "$HERE/crd.yaml"
retry 5 kubectl get boats
[ -z "$(kubectl get boats -o name)" ] || fail "an instance outlived its definition"
stop_server
echo "custom resources: ok"
