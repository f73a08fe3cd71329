#!/usr/bin/env bash
# kubectl's commands, one by one, against the real binary: with the kubectl of a known version, and once more with the
# machine's own where that is another one. Pods "run" on a hollow node (tests/lib/hollow_node.py).
#
# Each file of this folder is a part: it runs in a fresh namespace, $NS, and cleans up what has none.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"
HERE=$(cd "$(dirname "$0")" && pwd)

# KEEP_GOING=1 shows all failures instead of ending with the first.
FAILURES=0
if [ -n "${KEEP_GOING:-}" ]; then
    fail() { echo "FAILED: $*" >&2; FAILURES=$((FAILURES + 1)); }
fi

# says PATTERN COMMAND…: the command succeeds, and a line of what it prints fits the pattern (extended)
says() {
    local pattern=$1 out; shift
    out=$("$@" 2>&1) || { fail "$*: $out"; return; }
    grep -qE -- "$pattern" <<<"$out" || fail "$*: expected «$pattern», got: $out"
}
# is EXPECTED COMMAND…: the command succeeds and prints just that
is() {
    local expected=$1 out; shift
    out=$("$@" 2>&1) || { fail "$*: $out"; return; }
    [ "$out" = "$expected" ] || fail "$*: expected «$expected», got «$out»"
}
# refused PATTERN COMMAND…: the command fails, and a line of what it prints fits the pattern
refused() {
    local pattern=$1 out; shift
    if out=$("$@" 2>&1); then fail "should have failed: $*: $out"; return; fi
    grep -qE -- "$pattern" <<<"$out" || fail "$*: expected «$pattern», got: $out"
}
# field PATH OBJECT…: a field of an object
field() { local path=$1; shift; kubectl get "$@" -o "jsonpath={$path}"; }
# soon EXPECTED PATH OBJECT…: a field has this value soon
soon() {
    local expected=$1 path=$2 until=$((SECONDS + 20)); shift 2
    until [ "$(field "$path" "$@" 2>/dev/null)" = "$expected" ]; do
        [ "$SECONDS" -lt "$until" ] || { fail "$* $path is «$(field "$path" "$@" 2>&1)», not «$expected»"; return; }
        sleep 0.2
    done
}

if takes --no-kubelet; then start_server up --no-kubelet; else start_server up; fi
start_hollow_node hollow
cd "$WORK"

all_parts() {
    local part version
    version=$(kubectl version --client -o json | python3 -c 'import json, sys; print(json.load(sys.stdin)["clientVersion"]["gitVersion"])')
    for part in "$HERE"/*.sh; do
        [ "$part" = "$HERE/run.sh" ] && continue
        [ -z "${PARTS:-}" ] || [[ " $PARTS " == *" $(basename "$part" .sh) "* ]] || continue
        NS=$(basename "$part" .sh)$1
        say "kubectl $version: $(basename "$part" .sh)"
        kubectl create namespace "$NS" >out
        kubectl config set-context --current --namespace "$NS" >out
        . "$part"
        kubectl delete namespace "$NS" --wait=false >out
    done
}

all_parts 1
known=$(readlink -f "$(command -v kubectl)")
other=$(PATH=${PATH#"$ROOT/target/tools/bin:"} command -v kubectl || true)
if [ -n "$other" ] && [ "$(readlink -f "$other")" != "$known" ]; then
    mkdir bin && ln -s "$other" bin/kubectl
    PATH=$WORK/bin:$PATH
    hash -r
    all_parts 2
fi
stop_server
[ "$FAILURES" = 0 ] || exit 1
echo "kubectl: ok"
