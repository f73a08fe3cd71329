#!/usr/bin/env bash
# Each role in a process of its own: API server, scheduler, controllers, each with its own kubeconfig; and a second
# scheduler that takes over when the first one dies.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"
HERE=$(cd "$(dirname "$0")" && pwd)

start_server apiserver
trap 'kill -9 "$SERVER" ${OTHERS:-} 2>/dev/null || true; rm -rf "$WORK"' EXIT
OTHERS=

# role NAME PORT LOG FLAGS…: starts a role, and sets STARTED
role() {
    local name=$1 port=$2 log=$3; shift 3
    "$PORTCULLIS" "$name" --kubeconfig "$DATA/$name.kubeconfig" --secure-port "$port" "$@" >"$WORK/$log" 2>&1 &
    STARTED=$!
    OTHERS="$OTHERS $STARTED"
    retry 20 curl -sfk "https://127.0.0.1:$port/readyz" -o "$WORK/out"
}
election=(--leader-elect-lease-duration 3s --leader-elect-renew-deadline 2s --leader-elect-retry-period 500ms)

say "controllers alone, and two schedulers"
controllers_port=$(free_port) first_port=$(free_port) second_port=$(free_port)
role controller-manager "$controllers_port" controllers.log "${election[@]}"
role scheduler "$first_port" first.log --data-dir "$WORK/first" "${election[@]}"
first=$STARTED
leads() { curl -sk "https://127.0.0.1:$1/metrics" | grep_for 'leader_election_master_status{name="kube-scheduler"} 1'; }
export -f leads
retry 20 leads "$first_port"
role scheduler "$second_port" second.log --data-dir "$WORK/second" "${election[@]}"
second=$STARTED
sleep 1
if leads "$second_port"; then fail "two schedulers lead"; fi
[ "$(curl -sk "https://127.0.0.1:$controllers_port/healthz")" = ok ] || fail "the controllers are not well"

say "they work"
kubectl create -f "$HERE/node.yaml"
kubectl create deployment web --image=example.test/web:1 --replicas=3
bound() { [ "$(kubectl get pods -l app=web -o 'jsonpath={range .items[?(@.spec.nodeName)]}x{end}')" = "$1" ]; }
export -f bound
retry 20 bound xxx
curl -sk "https://127.0.0.1:$first_port/metrics" | grep_for 'scheduler_schedule_attempts_total{result="scheduled"} 3' ||
    fail "the scheduler's numbers are not right"

say "a scheduler component that the cluster's Plugins name is loaded by the scheduler's process"
sed "s#FILE#$ROOT/target/guests/pack-nodes.wasm#" "$HERE/packing.yaml" | kubectl apply -f -
kubectl create deployment more --image=example.test/web:1
retry 20 bash -c '[ -n "$(kubectl get pods -l app=more -o "jsonpath={.items[*].spec.nodeName}")" ]'
retry 10 bash -c "ls '$WORK'/first/plugins/packing.json >/dev/null"

say "the first scheduler dies, and the second one goes on"
kill -9 "$first"
kubectl scale deployment web --replicas=4
retry 20 bound xxxx
leads "$second_port" || fail "the second scheduler does not lead"

say "a leader that was paused for too long does not go on as if nothing had happened"
role scheduler "$(free_port)" third.log --data-dir "$WORK/third" "${election[@]}"
third=$STARTED
kill -STOP "$second"
kubectl scale deployment web --replicas=5
retry 20 bound xxxxx
kill -CONT "$second"
retry 20 bash -c "! kill -0 $second 2>/dev/null"
grep_for 'lost the lease' "$WORK/second.log" || fail "the paused scheduler did not say why it ended"

say "SIGTERM ends each role cleanly"
kill -TERM "$third"
wait "$third" || fail "the scheduler ended with $?"
stop_server
echo "roles: ok"
