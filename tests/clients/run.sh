#!/usr/bin/env bash
# kubectl and the Python client against the real binary.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"
HERE=$(cd "$(dirname "$0")" && pwd)

start_server up
say "kubectl reads"
kubectl version >/dev/null
[ "$(kubectl get namespaces -o name | wc -l)" = 4 ] || fail "a new cluster has four namespaces"
kubectl api-resources --cached=false | grep_for '^plugins ' || fail "api-resources does not list plugins"
kubectl explain plugin.spec.limits | grep_for deadline || fail "explain does not know a Plugin's limits"
kubectl get plugins | grep_for 'validate-objects.*True' || fail "the first-party plugins are not ready"

say "kubectl writes"
kubectl apply -f "$HERE/web.yaml"
kubectl apply -f "$HERE/web.yaml" | grep_for 'web unchanged' || fail "a second apply changed something"
retry 10 bash -c '[ "$(kubectl get pods -l app=web -o name | wc -l)" = 3 ]'
kubectl scale deployment web --replicas=2
retry 10 bash -c '[ "$(kubectl get pods -l app=web -o name | wc -l)" = 2 ]'
kubectl label deployment web tier=front
kubectl annotate deployment web note=x --overwrite
kubectl patch deployment web --type=json -p '[{"op":"replace","path":"/spec/replicas","value":1}]'
kubectl patch deployment web --type=merge -p '{"spec":{"replicas":2}}'
kubectl patch deployment web -p '{"spec":{"template":{"spec":{"containers":[{"name":"c","env":[{"name":"A","value":"b"}]}]}}}}'
[ "$(kubectl get deployment web -o 'jsonpath={.spec.template.spec.containers[0].image}')" = example.test/web:1 ] ||
    fail "a strategic merge patch replaced the container"
kubectl apply --server-side --field-manager=other -f "$HERE/config.yaml"
kubectl get configmap settings -o 'jsonpath={.metadata.managedFields[*].manager}' --show-managed-fields | grep_for other ||
    fail "server-side apply recorded no owner"

say "bad input is answered as Kubernetes answers it"
expect_error 'spec.template.spec.containers[0].name: Required value' kubectl apply -f "$HERE/bad-deployment.yaml"
expect_error 'unknown field "spec.replicaz"' kubectl apply --validate=strict -f "$HERE/unknown-field.yaml"
expect_error 'cannot list resource "secrets"' kubectl get secrets --as=nobody
expect_error 'not found' kubectl get pod nothing
# Its namespace comes with it, and the controllers have to make the service account first.
kubectl apply -f "$HERE/privileged.yaml" >/dev/null 2>&1 || true
retry 20 kubectl get serviceaccount default -n guarded -o name
expect_error 'violates PodSecurity "baseline:latest"' kubectl apply -f "$HERE/privileged.yaml"
expect_error 'spec.source' kubectl apply -f "$HERE/bad-plugin.yaml"

say "a module that is no component leaves the cluster as it was, and says why"
printf 'not a component' >"$WORK/bad.wasm"
sed "s#FILE#$WORK/bad.wasm#" "$HERE/plugin.yaml" | kubectl apply -f -
retry 10 bash -c 'kubectl get plugin test -o jsonpath="{.status.conditions[?(@.type==\"Loaded\")].message}" | grep_for "not a WebAssembly component"'
kubectl delete plugin test

say "the Python client"
"$ROOT/target/tools/venv/bin/python" "$HERE/client.py"

say "kill -9 loses nothing"
kubectl apply -f "$HERE/kept.yaml"
restart_server
kubectl get configmap kept >/dev/null
kubectl get deployment web >/dev/null
kubectl delete deployment web
retry 15 bash -c '[ -z "$(kubectl get replicasets,pods -l app=web -o name)" ]'
kubectl delete namespace guarded --timeout=20s
stop_server
echo "clients: ok"
