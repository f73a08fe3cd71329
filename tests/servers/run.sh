#!/usr/bin/env bash
# Two API servers on one etcd, with two schedulers and two sets of controllers: what one server writes the other one shows,
# nothing is handed out twice, who leads is settled by Leases, and the servers are replaced one after another under load.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/../lib/server.sh"
. "$HERE/../lib/etcd.sh"

start_etcd
WORK=$(mktemp -d)
OTHERS=
trap 'kill -9 ${OTHERS:-} "${A_PID:-}" "${B_PID:-}" "$ETCD_PID" 2>/dev/null || true; rm -rf "$WORK" "$ETCD_WORK"' EXIT
PORT=$(free_port)

# server NAME ADDRESS: starts (again) the API server of this name, and sets NAME_PID
server() {
    "$PORTCULLIS" apiserver --data-dir "$WORK/$1" --bind "$2:$PORT" --store etcd --etcd-servers "$ETCD_URL" \
        --shutdown-delay-duration 1s >>"$WORK/$1.log" 2>&1 &
    eval "$1_PID=$!"
    retry 60 curl -sfk "https://$2:$PORT/readyz" -o /dev/null
}
at() { local name=$1; shift; KUBECONFIG="$WORK/$name/admin.kubeconfig" kubectl "$@"; }
export -f at
export WORK PORT

say "two servers with one set of CAs and keys"
server A 127.0.0.1
mkdir -p "$WORK/B/pki"
for file in "$WORK"/A/pki/{ca,client-ca,front-proxy-ca}.{crt,key} "$WORK"/A/pki/sa.*; do cp "$file" "$WORK/B/pki/"; done
server B 127.0.0.2
endpoints() { at A get endpoints kubernetes -o 'jsonpath={.subsets[0].addresses[*].ip}'; }
export -f endpoints
retry 20 bash -c '[ "$(endpoints)" = "127.0.0.1 127.0.0.2" ]'
retry 5 bash -c '[ "$(at B get endpointslice kubernetes -o "jsonpath={.endpoints[*].addresses[0]}")" = "127.0.0.1 127.0.0.2" ]'
at A get leases -n kube-system -l apiserver.kubernetes.io/identity=kube-apiserver -o name | grep_for '^lease.coordination.k8s.io/apiserver-' ||
    fail "no server has a Lease"

# role NAME SERVER LOG FLAGS…: starts a role, and sets STARTED
role() {
    local name=$1 server=$2 log=$3; shift 3
    "$PORTCULLIS" "$name" --kubeconfig "$WORK/$server/$name.kubeconfig" --secure-port "$(free_port)" \
        --leader-elect-lease-duration 3s --leader-elect-renew-deadline 2s --leader-elect-retry-period 500ms "$@" \
        >"$WORK/$log" 2>&1 &
    STARTED=$!
    OTHERS="$OTHERS $STARTED"
}
say "two schedulers and two sets of controllers"
at A create -f "$HERE/../roles/node.yaml"
role controller-manager A controllers-a.log; controllers=$STARTED
sleep 1
role controller-manager B controllers-b.log
role scheduler B scheduler-b.log --data-dir "$WORK/scheduler-b"; scheduler=$STARTED
sleep 1
role scheduler A scheduler-a.log --data-dir "$WORK/scheduler-a"

say "what is written at one is there at the other at once, and its tokens are good there"
for n in $(seq 1 15); do
    at A create configmap "from-a-$n" --from-literal=n="$n" >/dev/null
    at B get configmap "from-a-$n" >/dev/null || fail "from-a-$n is not there at B"
    at B patch configmap "from-a-$n" --type merge -p '{"data":{"n":"x"}}' >/dev/null
    [ "$(at A get configmap "from-a-$n" -o 'jsonpath={.data.n}')" = x ] || fail "the patch of from-a-$n is not seen at A"
done
at A create serviceaccount reader
token=$(at A create token reader)
at B create clusterrole readers --verb=list --resource=configmaps
at B create clusterrolebinding readers --clusterrole=readers --serviceaccount=default:reader
for address in 127.0.0.1 127.0.0.2; do
    retry 5 curl -sfk -H "Authorization: Bearer $token" "https://$address:$PORT/api/v1/configmaps?limit=1" -o /dev/null
done

say "node ports, cluster addresses and quotas under creates at both: nothing twice, nothing too much"
at A create namespace shared
at A create quota -n shared few --hard=configmaps=21
retry 10 bash -c '[ "$(at B get quota few -n shared -o "jsonpath={.status.hard.configmaps}")" = 21 ]'
service() { printf '{"kind":"Service","apiVersion":"v1","metadata":{"name":"s-%s"},"spec":{"type":"NodePort","ports":[{"port":80}]}}' "$1"; }
for from in 1 7 13 19; do
    creates=()
    for n in $(seq "$from" $((from + 5))); do
        if [ $((n % 2)) = 0 ]; then one=A; else one=B; fi
        service "$n" | at "$one" create -n shared -f - >/dev/null &
        creates+=($!)
        at "$one" create configmap -n shared "c-$n" >/dev/null 2>&1 &
        creates+=($!)
    done
    # The last ones are over the quota.
    for create in "${creates[@]}"; do wait "$create" || true; done
done
retry 30 bash -c '[ "$(at A get services -n shared -o name | wc -l)" = 24 ]'
for field in 'spec.ports[0].nodePort' 'spec.clusterIP'; do
    twice=$(at B get services -n shared -o "jsonpath={range .items[*]}{.$field}{'\n'}{end}" | sort | uniq -d)
    [ -z "$twice" ] || fail "$field: handed out twice: $twice"
done
[ "$(at A get configmaps -n shared -o name | wc -l)" -le 21 ] || fail "the quota was passed"
retry 10 bash -c '[ "$(at A get quota few -n shared -o "jsonpath={.status.used.configmaps}")" = "$(at A get configmaps -n shared -o name | wc -l)" ]'
taken=$(at A get service s-1 -n shared -o 'jsonpath={.spec.ports[0].nodePort}')
expect_error 'provided port is already allocated' \
    at B create service nodeport again -n shared --tcp=80 --node-port="$taken"
at A delete service s-1 -n shared >/dev/null
at B create service nodeport again -n shared --tcp=80 --node-port="$taken" >/dev/null || fail "a port that was given up cannot be had"

say "a definition made at one is served at the other"
at A create -f "$HERE/definition.yaml"
retry 10 bash -c 'at B create -f "$0" 2>/dev/null' "$HERE/thing.yaml"
expect_error 'spec.size' at A patch thing one --type merge -p '{"spec":{"size":"large"}}'

say "a leader that is paused and comes back"
at A create deployment web --image=example.test/web:1 --replicas=5
bound() { [ "$(at B get pods -l app=web -o 'jsonpath={range .items[?(@.spec.nodeName)]}x{end}')" = "$1" ]; }
export -f bound
retry 20 bound xxxxx
kill -STOP "$controllers" "$scheduler"
at B scale deployment web --replicas=8
retry 30 bound xxxxxxxx
kill -CONT "$controllers" "$scheduler"
retry 20 bash -c "! kill -0 $controllers 2>/dev/null && ! kill -0 $scheduler 2>/dev/null"
at A scale deployment web --replicas=9
retry 20 bound xxxxxxxxx
sleep 1
[ "$(at A get pods -l app=web -o name | wc -l)" = 9 ] || fail "there are more pods than were asked for"
[ "$(at A get replicasets -l app=web -o name | wc -l)" = 1 ] || fail "there is more than one ReplicaSet"
# One pod is scheduled once.
twice=$(at A get events --field-selector reason=Scheduled -o 'jsonpath={range .items[*]}{.involvedObject.uid}{"\n"}{end}' | sort | uniq -d)
[ -z "$twice" ] || fail "scheduled twice: $twice"

say "the servers are replaced one after another under load, and no request fails"
BALANCED=$(free_port)
python3 "$HERE/balancer.py" "$BALANCED" "127.0.0.1:$PORT" "127.0.0.2:$PORT" >"$WORK/balancer.log" 2>&1 &
OTHERS="$OTHERS $!"
at A config view --raw -o json >"$WORK/kubeconfig.json"
at A create namespace rolling
at A create namespace killed
sleep 0.5
# load NAMESPACE FLAGS…
load() {
    local namespace=$1; shift
    python3 "$HERE/load.py" --kubeconfig-json "$WORK/kubeconfig.json" --port "$BALANCED" --namespace "$namespace" \
        --done "$WORK/$namespace.done" "$@" &
    LOAD=$!
    sleep 3
}
ends() { kill -TERM "$1"; wait "$1" || fail "a server ended with $?"; }
load rolling
ends "$A_PID"
[ "$(at B get endpoints kubernetes -o 'jsonpath={.subsets[0].addresses[*].ip}')" = 127.0.0.2 ] || fail "a server that has ended is in the endpoints"
server A 127.0.0.1
sleep 1
ends "$B_PID"
server B 127.0.0.2
sleep 1
touch "$WORK/rolling.done"
wait "$LOAD" || fail "replacing the servers was noticed"

say "a server is killed under load: nothing acknowledged is lost, and watches go on at the other"
load killed --killed
kill -9 "$A_PID"
sleep 3
server A 127.0.0.1
sleep 1
touch "$WORK/killed.done"
wait "$LOAD" || fail "a write was lost, or a watch missed something"

ends "$A_PID"
ends "$B_PID"
echo "servers: ok"
