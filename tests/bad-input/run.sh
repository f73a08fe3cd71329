#!/usr/bin/env bash
# Bad requests against the real binary, and the Status of each.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"

start_server apiserver
# A restart forgets the watch window, so that revision 1 is surely too old for a watch.
kubectl create configmap filler -n default --from-literal=a=b >/dev/null
restart_server
kubectl config view --raw -o json >"$WORK/kubeconfig.json"
python3 "$(dirname "$0")/check.py" "$WORK/kubeconfig.json"
stop_server
echo "bad input: ok"
