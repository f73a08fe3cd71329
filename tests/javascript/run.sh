#!/usr/bin/env bash
# The JavaScript client against the real binary: objects, watches and informers, custom resources, workloads and their
# logs, who is asking, and a restart of the server under an informer.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"
cd "$(dirname "$0")"

start_server up
# A key of somebody's own, and the request to sign it.
export KEY=$WORK/ann.key REQUEST=$WORK/ann.csr STEPS=file:$ROOT/target/guests/steps.wasm
openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/O=crew/CN=ann" -keyout "$KEY" -out "$REQUEST" 2>/dev/null
say "an informer over kill -9"
timeout 120 node restart.mjs "$WORK/synced" "$WORK/restarted" &
informer=$!
retry 20 test -e "$WORK/synced"
restart_server
touch "$WORK/restarted"
wait "$informer" || fail "the informer did not get over the restart"

# After a restart, the changes from before it can no longer be watched: the tests have versions that are too old.
say "objects, watches, custom resources, workloads, users"
node --test -- *.test.mjs
stop_server
echo "javascript: ok"
