#!/usr/bin/env bash
# The quickstart that README walks through, on each of the stores.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"
. "$(dirname "$0")/../lib/etcd.sh"

"$ROOT/examples/quickstart/run.sh"
say "the same on etcd"
start_etcd
trap 'kill -9 "$ETCD_PID" 2>/dev/null || true; rm -rf "$ETCD_WORK"' EXIT
"$ROOT/examples/quickstart/run.sh" --store etcd --etcd-servers "$ETCD_URL"
stop_etcd
echo "quickstart on both stores: ok"
