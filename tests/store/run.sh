#!/usr/bin/env bash
# The store's commands, on both engines: a snapshot under load has everything that was acknowledged before it, a restored
# store is a later one for every client, archives go from one engine to the other, and damage is found.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/../lib/server.sh"
. "$HERE/../lib/etcd.sh"
SCRATCH=$(mktemp -d)
PYTHON=$ROOT/target/tools/venv/bin/python

store() { "$PORTCULLIS" store "$@"; }
settings() { kubectl create configmap "$1" --from-literal=a="$1" >/dev/null; }
version() { kubectl get --raw '/api/v1/configmaps?limit=1' | "$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["metadata"]["resourceVersion"])'; }
everything() {
    kubectl get configmaps,secrets,serviceaccounts,clusterroles,services,namespaces,customresourcedefinitions,leases -A \
        -o 'jsonpath={range .items[*]}{.kind} {.metadata.namespace} {.metadata.name} {.metadata.uid}{"\n"}{end}' | sort
}
names() { kubectl get configmaps -o 'jsonpath={range .items[*]}{.metadata.name}{"\n"}{end}' | sort; }
clean_up() {
    kill -9 "$SERVER" "${WRITER:-$SERVER}" "${INFORMER:-$SERVER}" 2>/dev/null || true
    [ -z "${ETCD_PID:-}" ] || kill -9 "$ETCD_PID" 2>/dev/null || true
    rm -rf "$SCRATCH" "$WORK" "${ETCD_WORK:-$SCRATCH}"
}

# Writes the name of each ConfigMap once it has been acknowledged
load() { for at in $(seq 1 2000); do settings "load-$at" && echo "load-$at" >>"$SCRATCH/acknowledged"; done; }

# place ENGINE: the flags that name its store
place() { if [ "$1" = etcd ]; then echo --store etcd --etcd-servers "$ETCD_URL"; else echo --data-dir "$DATA"; fi; }

# restart_from ENGINE ARCHIVE: the same server (its certificates too) over a store restored from the archive. etcd has to be
# brought to the revision write by write, so it is not far away
restart_from() {
    kill -9 "$SERVER"; wait "$SERVER" 2>/dev/null || true
    if [ "$1" = etcd ]; then
        [ -z "${ETCD_PID:-}" ] || stop_etcd
        start_etcd
        FLAGS=(--store etcd --etcd-servers "$ETCD_URL")
    else
        rm -rf "$DATA/store"
        FLAGS=()
    fi
    # shellcheck disable=SC2046
    store restore "$2" $(place "$1") --bump-revision 5000
    launch
}

flow() {
    local engine=$1 other=$2
    say "$engine: a snapshot under load"
    ETCD_PID=
    if [ "$engine" = etcd ]; then
        start_etcd
        start_server apiserver --store etcd --etcd-servers "$ETCD_URL"
    else
        start_server apiserver
    fi
    trap clean_up EXIT
    settings first
    kubectl create secret generic s --from-literal=a=b >/dev/null
    kubectl apply -f "$HERE/../custom-resources/crd.yaml" >/dev/null
    kubectl create -f - >/dev/null <<<'{"kind":"Event","apiVersion":"v1","metadata":{"name":"e"},"involvedObject":{"namespace":"default","name":"x"},"type":"Normal"}'
    : >"$SCRATCH/acknowledged"; : >"$SCRATCH/seen"
    load & WRITER=$!
    local archive
    for archive in one two three; do
        sleep 2
        cp "$SCRATCH/acknowledged" "$SCRATCH/before-$archive"
        # shellcheck disable=SC2046
        store snapshot "$SCRATCH/$archive" $(place "$engine")
    done
    # It is what a client at that moment could have seen, not more than one write further.
    kill "$WRITER"; wait "$WRITER" 2>/dev/null || true
    # shellcheck disable=SC2046
    expect_error 'exists' store snapshot "$SCRATCH/one" $(place "$engine")
    store check "$SCRATCH/three" | grep_for 'every checksum is right'
    # shellcheck disable=SC2046
    store check $(place "$engine")
    everything >"$SCRATCH/before"

    say "$engine: an informer, and a restored store under it"
    "$PYTHON" "$HERE/informer.py" "$SCRATCH/seen" "$SCRATCH/relisted" &
    INFORMER=$!
    retry 60 grep_for "^first\$" "$SCRATCH/seen"
    local old; old=$(version)
    restart_from "$engine" "$SCRATCH/three"
    comm -23 <(sort "$SCRATCH/before-three") <(names) >"$SCRATCH/missing"
    [ ! -s "$SCRATCH/missing" ] || fail "acknowledged before the snapshot, and gone: $(head -3 "$SCRATCH/missing")"
    everything >"$SCRATCH/after"
    comm -13 "$SCRATCH/before" "$SCRATCH/after" >"$SCRATCH/new"
    grep -v -e '^Event' -e '^Lease' "$SCRATCH/new" >"$SCRATCH/strange" || true
    [ ! -s "$SCRATCH/strange" ] || fail "objects that were never there: $(head -3 "$SCRATCH/strange")"
    [ "$(version)" -gt "$old" ] || fail "the revision is $(version), and was $old"
    kubectl get --raw "/api/v1/configmaps?watch=1&resourceVersion=$old&timeoutSeconds=2" >"$SCRATCH/watched" 2>&1 || true
    grep_for '"code":410' "$SCRATCH/watched" || grep_for -i 'too old\|Expired\|Gone' "$SCRATCH/watched" ||
        fail "a watch from before goes on: $(cat "$SCRATCH/watched")"
    settings after-restore
    retry 20 grep_for '^after-restore$' "$SCRATCH/seen"
    retry 10 test -s "$SCRATCH/relisted"
    kubectl get event e >/dev/null
    kill "$INFORMER"; wait "$INFORMER" 2>/dev/null || true

    say "$engine → $other: the archive of the one in the other, and back"
    everything >"$SCRATCH/before"
    # shellcheck disable=SC2046
    store snapshot "$SCRATCH/there" $(place "$engine")
    restart_from "$other" "$SCRATCH/there"
    everything >"$SCRATCH/after"
    diff "$SCRATCH/before" "$SCRATCH/after" || fail "something has changed on the way to $other"
    settings "on-$other"
    # shellcheck disable=SC2046
    store snapshot "$SCRATCH/back" $(place "$other")
    restart_from "$engine" "$SCRATCH/back"
    names | grep_for "^on-$other\$" || fail "what was written on $other is lost"
    kubectl get event e >/dev/null

    say "$engine: archives that are damaged"
    local size; size=$(stat -c %s "$SCRATCH/back")
    flip "$SCRATCH/back" $((size / 2)) "$SCRATCH/flipped"
    store check "$SCRATCH/flipped" >"$SCRATCH/report" && fail "a flipped bit was not found"
    grep_for '^DAMAGED' "$SCRATCH/report"
    expect_error 'nothing was restored' store restore "$SCRATCH/flipped" --data-dir "$SCRATCH/none"
    [ ! -e "$SCRATCH/none/store" ] || fail "something was restored"
    head -c $((size - 1)) "$SCRATCH/back" >"$SCRATCH/short"
    expect_error 'nothing was restored' store restore "$SCRATCH/short" --data-dir "$SCRATCH/none"
    expect_error 'no archive' store restore "$HERE/run.sh" --data-dir "$SCRATCH/none"

    if [ "$engine" = embedded ]; then
        say "embedded: compaction, and a log that is damaged"
        expect_error 'is not empty' store restore "$SCRATCH/back" --data-dir "$DATA"
        expect_error 'a server compacts by itself' store compact --data-dir "$DATA"
        stop_server
        store compact --data-dir "$DATA"
        store check --data-dir "$DATA" | grep_for 'every checksum is right'
        launch
        names | grep_for '^on-etcd$' || fail "compaction lost something"
        stop_server
        local log at; log=$(ls "$DATA"/store/wal-*)
        cp "$log" "$SCRATCH/log"
        for at in 100 5000 $(($(stat -c %s "$log") / 2)); do
            flip "$SCRATCH/log" "$at" "$log"
            store check --data-dir "$DATA" >"$SCRATCH/report" && fail "a flipped bit at $at was not found"
            grep_for 'DAMAGED stored data is corrupt' "$SCRATCH/report"
        done
        stop_etcd
        ETCD_PID=
    else
        say "etcd: its own snapshot, and what is in the way of a restore"
        # shellcheck disable=SC2046
        expect_error 'already' store restore "$SCRATCH/back" $(place etcd)
        # shellcheck disable=SC2046
        store compact $(place etcd)
        # shellcheck disable=SC2046
        store snapshot --etcd-db "$SCRATCH/etcd.db" $(place etcd)
        store check "$SCRATCH/etcd.db" | grep_for 'its checksum is right'
        ETCDCTL_API=3 etcdctl snapshot status "$SCRATCH/etcd.db" -w json | grep_for totalKey
        flip "$SCRATCH/etcd.db" 4000 "$SCRATCH/flipped.db"
        if store check "$SCRATCH/flipped.db" >/dev/null; then fail "a flipped bit was not found"; fi
        ETCDCTL_API=3 etcdctl --endpoints "$ETCD_URL" put /registry/configmaps/default/odd '{"kind":"Config' >/dev/null
        # shellcheck disable=SC2046
        store check $(place etcd) >"$SCRATCH/report" && fail "a value that nobody can read was not found"
        grep_for 'DAMAGED /registry/configmaps/default/odd' "$SCRATCH/report"
        stop_server
        stop_etcd
        ETCD_PID=
    fi
    rm -rf "$WORK" "${SCRATCH:?}"/*
}

# flip FILE OFFSET TO: a copy with one bit changed
flip() {
    "$PYTHON" - "$@" <<'FLIP'
import sys
data, at = bytearray(open(sys.argv[1], "rb").read()), int(sys.argv[2])
data[at] ^= 4
open(sys.argv[3], "wb").write(data)
FLIP
}

flow embedded etcd
flow etcd embedded
rm -rf "$SCRATCH"
echo "store: ok"
