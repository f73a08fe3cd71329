#!/usr/bin/env bash
# The quickstart from one end to the other, as README walks through it:
#   run.sh [FLAGS…]      flags go to `portcullis up`, for example --store etcd --etcd-servers http://127.0.0.1:2379
set -euo pipefail
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/../../tests/lib/server.sh"
GUESTS=$ROOT/target/guests

push() { "$PORTCULLIS" plugin push "$GUESTS/$1.wasm" --kubeconfig "$KUBECONFIG"; }

# serves NAME DIGEST: the Plugin's new version is what serves
serves() {
    [ "$(kubectl get plugin "$1" -o 'jsonpath={.status.activeDigest} {.metadata.generation}')" = \
      "$2 $(kubectl get plugin "$1" -o 'jsonpath={.status.observedGeneration}')" ]
}

say "1. a cluster in one process"
start_server up "$@"

say "2. a Deployment of a Wasm web server, and a Service"
sed "s#HELLO_DIGEST#$(push web)#" "$HERE/hello.yaml" | kubectl apply -f -
kubectl rollout status deployment hello --timeout=60s
ip=$(kubectl get pods -l app=hello -o 'jsonpath={.items[0].status.podIP}')
retry 10 bash -c "curl -sf http://$ip:8080/ | grep_for 'welcome to the quickstart'"
kubectl get --raw /api/v1/namespaces/default/services/hello:http/proxy/ | grep_for 'welcome to the quickstart' ||
    fail "the Service does not lead to the web server"
kubectl logs deployment/hello >/dev/null

say "3. a policy, and a pod that it refuses with a message"
kubectl create namespace guarded
team_label=$(push team-label) known_team=$(push known-team) pack_nodes=$(push pack-nodes)
sed "s#TEAM_LABEL_DIGEST#$team_label#" "$HERE/policy-v1.yaml" | kubectl apply -f -
retry 10 serves team "$team_label"
expect_error 'every pod carries the label "team": whose is this one?' \
    kubectl -n guarded run whose --image=example.test/c:1
kubectl -n guarded run mine --image=example.test/c:1 --labels=team=green

say "4. the policy swapped for a stricter version under load: no create fails, and none slips through"
kubectl config view --raw -o json >"$WORK/kubeconfig.json"
python3 "$HERE/load.py" --kubeconfig-json "$WORK/kubeconfig.json" --namespace guarded \
    --begin "$WORK/begin" --done "$WORK/done" --seconds 2 &
load=$!
sleep 2
touch "$WORK/begin"
sed "s#KNOWN_TEAM_DIGEST#$known_team#" "$HERE/policy-v2.yaml" | kubectl apply -f -
retry 10 serves team "$known_team"
touch "$WORK/done"
wait "$load" || fail "the swap was noticed by a create"
expect_error 'team "green" is not one of: red, blue' \
    kubectl -n guarded run another --image=example.test/c:1 --labels=team=green

say "5. the scheduler's policy swapped while 200 pods are placed: all bound, none twice"
for node in drawn-1 drawn-2 drawn-3; do sed "s#NODE#$node#g" "$HERE/node.yaml" | kubectl create -f -; done
placing() { sed "s#PACK_NODES_DIGEST#$pack_nodes#; s#WEIGHT#$1#" "$HERE/scheduling.yaml"; }
kubectl create namespace crowd
kubectl apply -f "$HERE/crowd.yaml"
for weight in 10 1000 100 5000 1; do placing "$weight" | kubectl apply -f -; done
kubectl delete plugin placing
placing 3 | kubectl apply -f -
bound() { kubectl -n crowd get pods -o 'jsonpath={range .items[?(@.spec.nodeName)]}{.metadata.uid}{"\n"}{end}' | wc -l; }
retry 60 bash -c "$(declare -f bound); [ \"\$(bound)\" = 200 ]"
# The scheduler writes one event for each binding that the server took.
scheduled() { kubectl -n crowd get events --field-selector reason=Scheduled -o 'jsonpath={range .items[*]}{.involvedObject.uid}{" "}{.count}{"\n"}{end}'; }
retry 20 bash -c "$(declare -f scheduled); [ \"\$(scheduled | wc -l)\" -ge 200 ]"
[ "$(scheduled | sort | uniq | wc -l)" = 200 ] && [ "$(scheduled | awk '{n += $2} END {print n}')" = 200 ] ||
    fail "a pod was bound more than once: $(scheduled | sort | uniq -c | awk '$1 > 1 || $3 > 1')"

say "6. kill -9, and nothing is lost"
# What changes by itself (pods that are started again, leases, events) is left out.
everything() {
    kubectl get -A -o 'jsonpath={range .items[*]}{.kind} {.metadata.namespace} {.metadata.name} {.metadata.uid} {.spec}{"\n"}{end}' \
        namespaces,deployments,replicasets,services,plugins,configmaps,secrets,serviceaccounts,nodes,clusterroles,pods | sort
}
# The taints of new nodes go when the nodes turn out to be ready.
tainted() { kubectl get nodes -o 'jsonpath={.items[*].spec.taints}'; }
retry 60 bash -c "$(declare -f tainted); [ -z \"\$(tainted)\" ]"
everything >"$WORK/before"
restart_server
everything >"$WORK/after"
diff "$WORK/before" "$WORK/after" || fail "the state differs after kill -9"
kubectl rollout status deployment hello --timeout=60s
ip=$(kubectl get pods -l app=hello -o 'jsonpath={.items[0].status.podIP}')
retry 30 bash -c "curl -sf http://$ip:8080/ | grep_for 'welcome to the quickstart'"
expect_error 'is not one of: red, blue' kubectl -n guarded run after --image=example.test/c:1 --labels=team=green
stop_server
echo "quickstart: ok"
