#!/usr/bin/env bash
# An application that nobody here wrote: the Deployments, Services and Helm chart that the npm package of Redis Commander
# ships, applied as they are. Every object is accepted and every pod bound.
#
# The containers are OCI images. Until there is a runtime for those, a pod's node says so in an event; a build without
# the node agent has no node at all, so one is drawn on the map for the scheduler, and nothing is said about containers.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"
HERE=$(cd "$(dirname "$0")" && pwd)
APP=$ROOT/target/tools/npm/redis-commander/k8s
[ -d "$APP" ] || fail "$APP is not there: scripts/deps.sh build test"

start_server up
has_agent() { [ -n "$(kubectl get nodes -o name)" ]; }
AGENT=
if takes --no-kubelet; then
    retry 20 has_agent
    AGENT=yes
else
    kubectl create -f "$HERE/node.yaml"
fi

generation_of() { kubectl get -f "$1" -o 'jsonpath={.metadata.generation}'; }

# accepted FILE…: applies files one by one; each object they hold is there afterwards as it was sent
accepted() {
    local file generation
    for file in "$@"; do
        kubectl apply --validate=strict -f "$file"
        kubectl diff -f "$file" || fail "$file: what is stored is not what was sent"
        # kubectl says "configured" where it wrote a number otherwise than the server keeps it (1000m for 1).
        generation=$(generation_of "$file")
        kubectl apply -f "$file"
        [ "$(generation_of "$file")" = "$generation" ] || fail "$file: a second apply changed something"
    done
}

# all_bound COUNT: so many pods are there, and each has a node
all_bound() {
    local nodes
    nodes=$(kubectl get pods -o 'jsonpath={range .items[*]}{.spec.nodeName}{"\n"}{end}')
    [ "$(wc -l <<<"$nodes")" = "$1" ] && ! grep -qx '' <<<"$nodes"
}

say "a Redis and its Commander, as published"
accepted "$APP"/redis/deployment.yaml "$APP"/redis/service.yaml \
    "$APP"/redis-commander/deployment.yaml "$APP"/redis-commander/service.yaml
retry 20 all_bound 2
for deployment in redis redis-commander; do
    kubectl get deployment "$deployment" -o 'jsonpath={.status.updatedReplicas}' | grep_for '^1$' ||
        fail "$deployment has no pod of its present template"
done
[ "$(kubectl get service redis -o 'jsonpath={.spec.ports[0].targetPort}')" = redis ] || fail "a port lost its name"

if [ -n "$AGENT" ]; then
    say "the containers wait for a runtime of OCI images, with an event"
    waits() { kubectl get events --field-selector involvedObject.kind=Pod,type=Warning -o 'jsonpath={.items[*].message}' | grep_for '[Rr]untime'; }
    retry 20 waits
    [ -z "$(kubectl get pods --no-headers --field-selector=status.phase=Running)" ] || fail "a pod of an image that nothing can run is Running"
fi

say "the other variant, over the first one: a new revision of each"
accepted "$APP"/redis/deployment-with-password.yaml "$APP"/redis-commander/deployment-password-protected-redis.yaml
for deployment in redis redis-commander; do
    retry 20 bash -c "[ \"\$(kubectl rollout history deployment $deployment | grep -c '^[12] ')\" = 2 ]"
done
# Four pods of these sizes need more than a small machine has; the drawn node has room for all.
[ -n "$AGENT" ] || retry 20 all_bound 4
kubectl get pods -o wide

say "what is of an API that is gone is refused, and says so"
expect_error extensions/v1beta1 kubectl apply --validate=false -f "$APP/redis-commander/ingress.yml"

say "gone without a trace"
kubectl delete -f "$APP/redis" -f "$APP/redis-commander/deployment.yaml" -f "$APP/redis-commander/service.yaml" \
    --ignore-not-found
if [ -z "$AGENT" ]; then
    # Nobody is there to stop the containers.
    kubectl delete pods --all --force --grace-period=0 >"$WORK/out" 2>&1
fi
retry 30 bash -c '[ -z "$(kubectl get deployments,replicasets,pods -o name)" ]'
stop_server
echo "manifests: ok"
