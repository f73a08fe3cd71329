#!/usr/bin/env bash
# What goes wrong in a call: the request's Status, the counters, and that nobody else notices.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

start_server apiserver
more='{"match": {"resources": ["configmaps"], "namespaces": ["default"]}, "limits": {"memory": "1Mi", "deadline": "50ms"}'
kubectl create namespace other

# create NAME [NAMESPACE]: the request as it is, so that the answer's Status is shown as it is
create() {
    printf '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "%s"}}' "$1" >"$WORK/object.json"
    kubectl create --raw "/api/v1/namespaces/${2:-default}/configmaps" -f "$WORK/object.json"
}

# check STAGE GUEST ERROR [REASON]: the request's error, and the reason that is counted
n=0
check() {
    local stage=$1 guest=$2 error=$3 reason=${4:-}
    n=$((n + 1))
    plugin bad "$stage" "$GUESTS/$guest.wasm" "$more}"
    loaded bad
    expect_error "$error" create "c$n"
    create "c$n" other >/dev/null # others are untouched
    if [ -n "$reason" ]; then
        local series="portcullis_plugin_errors_total{plugin=\"bad\",stage=\"$stage\",reason=\"$reason\"}"
        [ "$(metric "$series")" -ge 1 ] || fail "$guest: no $series"
    fi
    # With the other failure policy the request goes on as if the plugin were not there; a refusal stays one.
    plugin bad "$stage" "$GUESTS/$guest.wasm" "$more, \"failurePolicy\": \"Ignore\"}"
    loaded bad
    if [ -n "$reason" ]; then
        create "c$n" >/dev/null
    else
        expect_error "$error" create "c$n"
    fi
}

internal='Error from server (InternalError): Internal error occurred: plugin "bad" failed:'
for stage in validator mutator objectValidator; do
    say "$stage"
    file=${stage/objectValidator/object-validator}
    check "$stage" "$file-trap" "$internal the policy trapped: wasm trap: wasm \`unreachable\` instruction executed" Trap
    check "$stage" "$file-loop" 'Error from server (Timeout): plugin "bad" failed: the policy did not answer within 50ms' DeadlineExceeded
    check "$stage" "$file-memory" "$internal the policy needed more than its 1048576 bytes of memory" MemoryExceeded
    check "$stage" "$file-recurse" "$internal the policy trapped: wasm trap: call stack exhausted" Trap
    check "$stage" "$file-oversize" "$internal the policy's answer cannot be used: more than 8388608 bytes in one call" BadOutput
done

say "patches that do not apply"
check mutator mutator-bad-path "$internal the policy's answer cannot be used: " BadOutput
check mutator mutator-nowhere "$internal the policy's answer cannot be used: " BadOutput

say "refusals"
check validator validator-deny 'is forbidden: plugin "bad" denied the request: no such thing here'
check mutator mutator-deny 'plugin "bad" denied the request: no such thing here'
check objectValidator object-validator-refuse 'no such thing here: Required value'

say "the status tells of it"
plugin bad validator "$GUESTS/validator-trap.wasm" "$more}"
loaded bad
for n in 1 2 3; do expect_error 'failed: the policy trapped' create "s$n"; done
counted() { kubectl get plugin bad -o 'jsonpath={.status.calls} {.status.errors} {.status.errorsByReason.Trap}' | grep_for '^3 3 3$'; }
export -f counted
retry 15 counted
kubectl get plugins bad | grep_for 'validator *True *True *Enforce *0 *3 *3 *[0-9]*µs' || fail "$(kubectl get plugins bad)"
stop_server
echo "bad-calls: ok"
