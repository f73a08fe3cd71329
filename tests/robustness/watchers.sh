#!/usr/bin/env bash
# Watchers that do not read cost the server a bounded amount of memory and are cut with 410, and one user may have so many
# watches open and no more.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"

HERE=$(cd "$(dirname "$0")" && pwd)
TOKENS=$(mktemp)
echo 'secret-of-alice,alice,1' >"$TOKENS"
start_server apiserver --max-watches-per-user 5 --token-auth-file "$TOKENS"
trap 'kill -9 "$SERVER" 2>/dev/null || true; rm -rf "$WORK" "$TOKENS"' EXIT
kubectl create clusterrolebinding alice --clusterrole=cluster-admin --user=alice >/dev/null
kubectl config view --raw -o json >"$WORK/kubeconfig.json"
python3 "$HERE/watchers.py" "$WORK/kubeconfig.json" "$SERVER"
stop_server
echo "watchers: ok"
