#!/usr/bin/env bash
# `plugin replay`: a candidate against recent requests and against what is stored, before it is applied.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

start_server apiserver
known=$(push "$FIRST/known-team.wasm")
match='"match": {"resources": ["configmaps"], "namespaces": ["default"]}'
plugin teams validator "$known" "{\"config\": {\"teams\": [\"red\", \"blue\"]}, $match}"
loaded teams
team() {
    kubectl create -f - <<<"{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"$1\", \"labels\": {\"team\": \"$2\"}}}"
}
team a red >/dev/null
team b blue >/dev/null
replay() { "$PORTCULLIS" plugin replay "$@"; }
cat >"$WORK/plugin.yaml" <<'YAML'
apiVersion: plugins.portcullis.dev/v1alpha1
kind: Plugin
metadata: {name: teams}
spec:
  stage: validator
  source: {digest: "sha256:0000000000000000000000000000000000000000000000000000000000000000"}
  config: {teams: [red]}
  match: {resources: [configmaps], namespaces: [default]}
YAML

say "without recorded requests, what is stored is looked at"
replay "$FIRST/known-team.wasm" --plugin teams >"$WORK/out" 2>"$WORK/err"
grep_for "requests are replayed: .*start the server with --plugin-replay-bytes" <"$WORK/err" || fail "$(cat "$WORK/err")"
grep_for "^0 requests and 2 stored objects: 0 decisions would change with $known" <"$WORK/out" || fail "$(cat "$WORK/out")"
replay "$FIRST/known-team.wasm" --manifest "$WORK/plugin.yaml" >"$WORK/out" 2>/dev/null
grep_for '^stored CREATE configmaps default/b: allowed -> denied: team "blue" is not one of: red' <"$WORK/out" || fail "$(cat "$WORK/out")"
grep_for "2 stored objects: 1 decisions would change" <"$WORK/out" || fail "$(cat "$WORK/out")"
expect_error "1 decisions would change" replay "$FIRST/known-team.wasm" --manifest "$WORK/plugin.yaml" --exit-code
replay "$GUESTS/validator-trap.wasm" --plugin teams --no-objects >/dev/null 2>&1 || fail "nothing to look at is no failure"
expect_error "not found" replay "$FIRST/known-team.wasm" --plugin none
expect_error "say which Plugin" replay "$FIRST/known-team.wasm"
stop_server

say "recorded requests, those that were refused among them"
FLAGS=(--plugin-replay-bytes 100000)
launch
expect_error 'team "green" is not one of: red, blue' team c green
team d blue >/dev/null
kubectl create secret generic hidden --from-literal=password=very-secret >/dev/null
kubectl get --raw /portcullis/admission-requests | grep_for '"name":"d"' || fail "requests are not kept"
if kubectl get --raw /portcullis/admission-requests | grep_for very-secret; then fail "a secret is kept"; fi
expect_error "forbidden" kubectl get --raw /portcullis/admission-requests --as=jo
expect_error "since must be a number" kubectl get --raw "/portcullis/admission-requests?since=soon"
sed -i 's/teams: \[red\]/teams: [red, green]/' "$WORK/plugin.yaml"
replay "$FIRST/known-team.wasm" --manifest "$WORK/plugin.yaml" --no-objects >"$WORK/out"
grep_for ' CREATE configmaps default/c by kubernetes-admin: denied: team "green" is not one of: red, blue -> allowed' <"$WORK/out" || fail "$(cat "$WORK/out")"
grep_for ' CREATE configmaps default/d by kubernetes-admin: allowed -> denied: team "blue" is not one of: red, green' <"$WORK/out" || fail "$(cat "$WORK/out")"
grep_for "^2 requests and 0 stored objects: 2 decisions would change" <"$WORK/out" || fail "$(cat "$WORK/out")"
sleep 2
replay "$FIRST/known-team.wasm" --manifest "$WORK/plugin.yaml" --no-objects --since 1s | grep_for "^0 requests" || fail "--since is not looked at"

say "the bound is kept"
for n in $(seq 1 12); do kubectl create configmap "large-$n" -n kube-system --from-literal=k="$(head -c 20000 /dev/zero | tr '\0' x)" >/dev/null; done
[ "$(kubectl get --raw /portcullis/admission-requests | wc -c)" -le 100000 ] || fail "more is kept than may be"

say "a mutator: what it would change in what is stored"
"$PORTCULLIS" plugin replay "$GUESTS/mutator-mark.wasm" --manifest <(sed 's/stage: validator/stage: mutator/; s/name: teams/name: marks/; s/config: .*/config: {}/' "$WORK/plugin.yaml") \
    >"$WORK/out"
grep_for '^stored CREATE configmaps default/a: allowed -> changed by \[{"op":"add","path":"/data","value":{"marked":"yes"}}\]' <"$WORK/out" || fail "$(cat "$WORK/out")"
stop_server
echo "replay: ok"
