#!/usr/bin/env bash
# Helm against the real binary: a chart made here with hooks and tests, and one that somebody else
# published. Pods "run" on a hollow node (tests/lib/hollow_node.py).
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"
HERE=$(cd "$(dirname "$0")" && pwd)

if takes --no-kubelet; then start_server up --no-kubelet; else start_server up; fi
start_hollow_node hollow
export HELM_CACHE_HOME=$WORK/helm/cache HELM_CONFIG_HOME=$WORK/helm/config HELM_DATA_HOME=$WORK/helm/data
cp -r "$HERE/chart" "$WORK/chart"
CHART=$WORK/chart

# status_of RELEASE: what `helm list` says of it
status_of() { helm list -o json | python3 -c 'import json, sys; print(next((r["status"] + " " + r["revision"] for r in json.load(sys.stdin) if r["name"] == sys.argv[1]), ""))' "$1"; }
state() { [ "$(status_of "$1")" = "$2" ] || fail "$1 is «$(status_of "$1")», not «$2»"; }
replicas() { kubectl get deployment "$1" -o 'jsonpath={.status.readyReplicas}'; }

say "install, with the server's and with the client's apply"
helm lint "$CHART"
helm template web "$CHART" | grep_for 'name: web-site'
helm install web "$CHART" --dry-run=server | grep_for 'kind: Deployment'
[ -z "$(helm list -q)" ] || fail "a dry run installed something"
helm install web "$CHART" --wait --timeout 60s
state web 'deployed 1'
[ "$(replicas web-site)" = 1 ] || fail "--wait did not wait"
helm status web | grep_for 'STATUS: deployed'
helm get manifest web | grep_for 'name: web-site'
helm get hooks web | grep_for 'pre-install'
# The hook before the installation ran to its end before anything else was made, and is kept.
[ "$(kubectl get job web-before -o 'jsonpath={.status.succeeded}')" = 1 ] || fail "the hook did not run"
# That after it is deleted when it succeeds.
[ -z "$(kubectl get jobs -o name -l step=after)" ] || fail "the second hook is still there"
helm install second "$CHART" --server-side=false --wait --timeout 60s
state second 'deployed 1'
expect_error 'still in use' helm install web "$CHART"

say "upgrade, history, rollback"
helm upgrade web "$CHART" --set replicas=3 --wait --timeout 60s
[ "$(replicas web-site)" = 3 ] || fail "the upgrade did not scale"
helm upgrade web "$CHART" --set replicas=3 --set message=changed --wait --timeout 60s
[ "$(kubectl get configmap web-site -o 'jsonpath={.data.message}')" = changed ] || fail "the upgrade changed nothing"
helm rollback web 1 --wait --timeout 60s
[ "$(replicas web-site)" = 1 ] || fail "the rollback did not scale"
state web 'deployed 4'
[ "$(helm history web -o json | python3 -c 'import json, sys; print(" ".join(r["status"] for r in json.load(sys.stdin)))')" = \
    'superseded superseded superseded deployed' ] || fail "the history is wrong"
helm upgrade second "$CHART" --set replicas=2 --wait --timeout 60s
helm upgrade --install third "$CHART" --wait --timeout 60s
helm uninstall third --wait --timeout 60s

say "a failed upgrade is rolled back"
if helm upgrade web "$CHART" --set failing=true --rollback-on-failure --timeout 15s; then fail "it should have failed"; fi
state web 'deployed 6'
if helm install broken "$CHART" --set failing=true --rollback-on-failure --timeout 15s; then fail "it should have failed"; fi
[ -z "$(status_of broken)" ] || fail "a failed installation stayed"

say "tests of the release"
helm test web --timeout 60s | grep_for 'Phase: *Succeeded'
if helm test web --filter name=none --timeout 5s | grep_for Failed; then fail "a test that was not asked for ran"; fi

say "uninstall"
helm uninstall web --wait --timeout 60s
[ -z "$(kubectl get all,configmaps,serviceaccounts -l app.kubernetes.io/instance=web -o name)" ] || fail "something is left"
helm uninstall second --keep-history
helm list --uninstalled -q | grep_for second

say "a chart that somebody else published"
commander=$ROOT/target/tools/npm/redis-commander/k8s/helm-chart/redis-commander
helm install commander "$commander" --wait --timeout 60s
helm upgrade commander "$commander" --set replicaCount=2 --wait --timeout 60s
helm test commander --timeout 60s
helm rollback commander 1 --wait --timeout 60s
helm uninstall commander --wait --timeout 60s
stop_server
echo "helm: ok"
