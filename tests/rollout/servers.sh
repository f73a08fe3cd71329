#!/usr/bin/env bash
# Two servers on one etcd: both follow one canary, agree on who meets it, count together, and one ends it for both.
set -euo pipefail
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/../lib/etcd.sh"

start_etcd
WORK=$(mktemp -d)
trap 'kill -9 "${A_PID:-}" "${B_PID:-}" "$ETCD_PID" 2>/dev/null || true; rm -rf "$WORK" "$ETCD_WORK"' EXIT
PORT=$(free_port)
server() {
    "$PORTCULLIS" apiserver --data-dir "$WORK/$1" --bind "$2:$PORT" --store etcd --etcd-servers "$ETCD_URL" >>"$WORK/$1.log" 2>&1 &
    eval "$1_PID=$!"
    retry 60 curl -sfk "https://$2:$PORT/readyz" -o /dev/null
}
at() { local name=$1; shift; KUBECONFIG="$WORK/$name/admin.kubeconfig" kubectl "$@"; }
export -f at
export WORK
server A 127.0.0.1
mkdir -p "$WORK/B/pki"
for file in "$WORK"/A/pki/{ca,client-ca,front-proxy-ca}.{crt,key} "$WORK"/A/pki/sa.*; do cp "$file" "$WORK/B/pki/"; done
server B 127.0.0.2
export KUBECONFIG=$WORK/A/admin.kubeconfig

allow=$(push "$GUESTS/validator-allow.wasm")
deny=$(push "$GUESTS/validator-deny.wasm")
only='"match": {"resources": ["configmaps"]}'
# count SERVER CANDIDATE: calls at one of the servers
count() {
    at "$1" get --raw /metrics | grep -F "portcullis_plugin_calls_total{plugin=\"rule\",stage=\"validator\"$2}" | sed 's/.* //'
}
counted() { [ "$(count "$1" "$2")" = "$3" ]; }
export -f count counted
plugin rule validator "$allow" "{$only}"
loaded rule
retry 5 bash -c '[ -n "$(field rule .status.activeRevision)" ]'
retry 10 counted B "" 0

say "both servers come to the same share"
plugin rule validator "$deny" "{$(canary '{"percent": 50, "promoteAfter": {"calls": 1000}}'), $only}"
becomes rule .status.rollout.phase Progressing
retry 10 counted A ',candidate="true"' 0
retry 10 counted B ',candidate="true"' 0
for n in $(seq 1 24); do
    a=$(at A create configmap "both-$n" --dry-run=server 2>&1 | grep -c created || true)
    b=$(at B create configmap "both-$n" --dry-run=server 2>&1 | grep -c created || true)
    [ "$a" = "$b" ] || fail "both-$n is let in by one server alone"
done
calls=$(count A ',candidate="true"')
[ "$calls" = "$(count B ',candidate="true"')" ] && [ "$calls" -ge 4 ] || fail "the servers met the canary $calls and $(count B ',candidate="true"') times"

say "their counts are added up"
becomes rule .status.rollout.calls $((2 * calls))
[ "$(field rule .status.rollout.servers | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))')" = 2 ] ||
    fail "not both servers count: $(field rule .status.rollout)"

say "one takes it back, and both obey"
plugin rule validator "$deny" "{$(canary '{"percent": 50, "promoteAfter": {"calls": 1000}, "maxDisagreements": 2}'), $only}"
retry 10 counted B ',candidate="true"' "$calls"
sleep 1
for n in $(seq 1 24); do at B create configmap "bad-$n" --dry-run=server >/dev/null 2>&1 || true; done
becomes rule .status.rollout.phase RolledBack
[ "$(field rule .status.rollout.disagreements)" = 3 ] || fail "$(field rule .status.rollout)"
retry 10 counted A ',candidate="true"' ""
for n in $(seq 1 12); do at A create configmap "good-$n" --dry-run=server >/dev/null || fail "A still follows the canary"; done

say "a server that comes later follows too"
kill -9 "$A_PID"; wait "$A_PID" 2>/dev/null || true
rm -rf "$WORK/A/plugins" "$WORK/A/modules" "$WORK/A/compiled"
server A 127.0.0.1
for n in $(seq 1 12); do at A create configmap "late-$n" --dry-run=server >/dev/null || fail "the new server follows the canary"; done
counted A "" 12 || fail "the version before does not serve at the new server"
kill "$A_PID" "$B_PID"
wait "$A_PID" "$B_PID" 2>/dev/null || true
stop_etcd
echo "servers: ok"
