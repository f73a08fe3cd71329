# Starts and stops an etcd server for the test scripts. Source it after server.sh.
#   start_etcd [BINARY]   starts it on free ports with fresh data; its URL is $ETCD_URL
#   kill_etcd, launch_etcd   SIGKILL, and start again with the same data and ports
#   stop_etcd             at the end: server.sh's own trap knows nothing of it

launch_etcd() {
    "$ETCD" --name m --data-dir "$ETCD_WORK/data" --log-level error \
        --listen-client-urls "$ETCD_URL" --advertise-client-urls "$ETCD_URL" \
        --listen-peer-urls "$ETCD_PEER" --initial-advertise-peer-urls "$ETCD_PEER" --initial-cluster "m=$ETCD_PEER" \
        >>"$ETCD_WORK/log" 2>&1 &
    ETCD_PID=$!
    for _ in $(seq 1 100); do
        if curl -sf "$ETCD_URL/health" >/dev/null; then return 0; fi
        kill -0 "$ETCD_PID" 2>/dev/null || { cat "$ETCD_WORK/log" >&2; fail "etcd ended"; }
        sleep 0.1
    done
    fail "etcd did not become healthy"
}

start_etcd() {
    ETCD=${1:-$(command -v etcd)} || fail "no etcd is installed: make test-deps"
    ETCD_WORK=$(mktemp -d)
    ETCD_URL=http://127.0.0.1:$(free_port)
    ETCD_PEER=http://127.0.0.1:$(free_port)
    launch_etcd
}

kill_etcd() {
    kill -9 "$ETCD_PID"
    wait "$ETCD_PID" 2>/dev/null || true
}

stop_etcd() {
    kill_etcd
    rm -rf "$ETCD_WORK"
}
