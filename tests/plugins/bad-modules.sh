#!/usr/bin/env bash
# What does not load: what the Plugin's status says, and that the version before goes on serving.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

start_server apiserver
plugin bad validator "$GUESTS/validator-deny.wasm" '{"match": {"resources": ["configmaps"]}}'
loaded bad
served=$(kubectl get plugin bad -o 'jsonpath={.status.activeDigest}')
generation=$(kubectl get plugin bad -o 'jsonpath={.status.activeGeneration}')
printf 'not a component' >"$WORK/text.wasm"
: >"$WORK/empty.wasm"

# check FILE REASON MESSAGE [MORE SPEC]: the new version does not load for this reason, and the old one serves
check() {
    local file=$1 reason=$2 message=$3 more=${4:-"{}"}
    plugin bad validator "$file" "$(python3 -c 'import json,sys; print(json.dumps({"match": {"resources": ["configmaps"]}, **json.loads(sys.argv[1])}))' "$more")"
    retry 10 has_condition bad Loaded "False $reason"
    has_condition bad Loaded "$message" || fail "$file: expected «$message», got: $(condition bad Loaded)"
    has_condition bad Ready "True Serving $served serves" || fail "$file: $(condition bad Ready)"
    [ "$(kubectl get plugin bad -o 'jsonpath={.status.activeGeneration}')" = "$generation" ] ||
        fail "$file: the active generation moved"
    expect_error 'plugin "bad" denied the request: no such thing here' kubectl create configmap x
}

say "modules that are none"
check "$WORK/text.wasm" NotAComponent 'the module is not a WebAssembly component: it does not start with the magic number \0asm of WebAssembly'
check "$WORK/empty.wasm" NotAComponent 'the module is not a WebAssembly component: the file is empty'
check "$GUESTS/core-module.wasm" NotAComponent 'it is a core module: make a component of it with `wasm-tools component new`'
check "$GUESTS/truncated.wasm" CompileFailed 'the component cannot be compiled: '
check "$WORK/none.wasm" ModuleUnreadable "cannot read the module $WORK/none.wasm: No such file or directory"
check "sha256:$(printf '0%.0s' {1..64})" UnknownDigest 'upload it with `portcullis plugin push FILE.wasm`'

say "modules of another world, and imports that are not given"
check "$GUESTS/mutator-allow.wasm" WrongWorld 'the component is not of the world portcullis:policy/validator-policy@0.1.0: it exports the interface of mutator: set spec.stage to mutator, or build it for portcullis:policy/validator-policy@0.1.0'
check "$GUESTS/foreign-import.wasm" UnknownImport 'the component imports test:foreign/files, which a policy of the stage validator is not given'
check "$GUESTS/cluster-reader.wasm" MissingGrant 'set spec.grants.clusterRead to true'

say "modules that do not start"
check "$GUESTS/configure-refuse.wasm" ConfigRefused 'the policy refuses its configuration (spec.config): no such thing here'
check "$GUESTS/configure-loop.wasm" ConfigDeadlineExceeded 'the policy did not accept its configuration within 200ms' '{"limits": {"configureDeadline": "200ms"}}'
check "$GUESTS/configure-trap.wasm" ConfigTrapped 'the policy trapped while it started: wasm trap: wasm `unreachable` instruction executed'
check "$GUESTS/configure-recurse.wasm" ConfigTrapped 'the policy trapped while it started: wasm trap: call stack exhausted'
check "$GUESTS/configure-memory.wasm" ConfigMemoryExceeded 'the policy needs more than 1048576 bytes of memory to start: raise spec.limits.memory' '{"limits": {"memory": "1Mi"}}'
check "$GUESTS/bad-path.wasm" InvalidDeclaration 'the policy declares the path "object/x", which cannot be used'
check "$GUESTS/validator-allow.wasm" InvalidLimit 'spec.limits.memory: must be from 64Ki to' '{"limits": {"memory": "2Gi"}}'
check "$FIRST/known-team.wasm" ConfigRefused 'teams: name at least one' '{"config": {"teams": []}}'

say "what a Plugin cannot say is refused at once"
refused() { expect_error "$1" plugin bad validator "$GUESTS/validator-deny.wasm" "$2"; }
refused 'spec.limits.deadline: Invalid value: "soon": "soon" is not a duration such as 50ms or 2s' '{"limits": {"deadline": "soon"}}'
refused 'spec.limits.memory: Invalid value: "1": "1" is not a quantity of at least 64Ki' '{"limits": {"memory": "1"}}'
refused 'spec.stage: Unsupported value: "bouncer": supported values: "authenticator"' '{"stage": "bouncer"}'
refused 'spec.source: Invalid value: ' '{"source": {"file": "/a", "embedded": "pod-security"}}'
refused 'spec.failurePolicy: Unsupported value: "Maybe": supported values: "Fail", "Ignore"' '{"failurePolicy": "Maybe"}'
refused 'spec.source.digest: Invalid value: "sha256:1"' '{"source": {"digest": "sha256:1"}}'
refused 'spec.match.objectSelector: Invalid value' '{"match": {"objectSelector": {"matchExpressions": [{"key": "a", "operator": "Near"}]}}}'
refused 'unknown field "spec.colour"' '{"colour": "red"}'
expect_error 'metadata.name: Invalid value: "Bad_Name"' plugin Bad_Name validator "$GUESTS/validator-deny.wasm"
expect_error 'plugin "bad" denied the request: no such thing here' kubectl create configmap x

say "a good version after all that"
plugin bad validator "$GUESTS/validator-allow.wasm" '{"match": {"resources": ["configmaps"]}}'
loaded bad
kubectl create configmap x

say "a restart with a version that does not load comes back with the last that did"
plugin bad validator "$GUESTS/validator-deny.wasm" '{"match": {"resources": ["configmaps"]}}'
loaded bad
plugin bad validator "$GUESTS/core-module.wasm" '{"match": {"resources": ["configmaps"]}}'
retry 10 has_condition bad Loaded "False NotAComponent"
restart_server
expect_error 'plugin "bad" denied the request: no such thing here' kubectl create configmap y
kubectl delete plugin bad
retry 5 kubectl create configmap y
plugin bad validator "$GUESTS/core-module.wasm"
retry 10 has_condition bad Loaded "False NotAComponent"
restart_server
kubectl create configmap z # what served under a deleted Plugin of the same name is not brought back
stop_server
echo "bad-modules: ok"
