# Starts and stops a server for the test scripts. Source it; it needs bash and `set -euo pipefail`.
#   start_server ROLE [FLAGS…]   starts `portcullis ROLE` on a free port with a fresh $DATA, and waits until it is ready
#   restart_server               kills it with SIGKILL and starts it again with the same data and port
#   stop_server                  SIGTERM, and fails if it does not end cleanly

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
PORTCULLIS=${PORTCULLIS:-$ROOT/target/release/portcullis}
export PATH="$ROOT/target/tools/bin:$PATH"

say() { echo "--- $*"; }
fail() { echo "FAILED: $*" >&2; exit 1; }

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

launch() {
    "$PORTCULLIS" "$ROLE" --data-dir "$DATA" --bind "127.0.0.1:$PORT" "${FLAGS[@]}" >"$DATA.log" 2>&1 &
    SERVER=$!
    for _ in $(seq 1 600); do
        if curl -sfk "https://127.0.0.1:$PORT/readyz" >/dev/null; then return 0; fi
        kill -0 "$SERVER" 2>/dev/null || { cat "$DATA.log" >&2; fail "the server ended"; }
        sleep 0.1
    done
    cat "$DATA.log" >&2
    fail "the server did not become ready"
}

start_server() {
    ROLE=$1; shift
    FLAGS=("$@")
    # Ports of a cluster's other roles, so that clusters can stand beside one another.
    if [ "$ROLE" = up ]; then
        SCHEDULER_PORT=$(free_port) CONTROLLER_MANAGER_PORT=$(free_port) KUBELET_PORT=$(free_port)
        FLAGS+=(--scheduler-secure-port "$SCHEDULER_PORT" --controller-manager-secure-port "$CONTROLLER_MANAGER_PORT")
        if "$PORTCULLIS" up --help | grep_for kubelet-port; then FLAGS+=(--kubelet-port "$KUBELET_PORT"); fi
    fi
    WORK=$(mktemp -d)
    DATA=$WORK/data
    PORT=$(free_port)
    trap 'kill -9 "$SERVER" 2>/dev/null || true; rm -rf "$WORK"' EXIT
    launch
    export KUBECONFIG=$DATA/admin.kubeconfig
}

restart_server() {
    kill -9 "$SERVER"
    wait "$SERVER" 2>/dev/null || true
    launch
}

stop_server() {
    kill -TERM "$SERVER"
    for _ in $(seq 1 100); do
        kill -0 "$SERVER" 2>/dev/null || { wait "$SERVER" || fail "the server ended with $?"; return 0; }
        sleep 0.1
    done
    fail "the server did not stop on SIGTERM"
}

# retry SECONDS COMMAND…: until it succeeds
retry() {
    local until=$((SECONDS + $1)); shift
    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || fail "not within time: $*"
        sleep 0.3
    done
}

# expect_error TEXT COMMAND…: the command fails, and says TEXT
expect_error() {
    local text=$1 out; shift
    if out=$("$@" 2>&1); then fail "should have been refused: $*: $out"; fi
    grep -qF -- "$text" <<<"$out" || fail "$*: expected «$text», got: $out"
}

# grep that reads all of its input: a writer must not end by SIGPIPE, which `pipefail` would take for a failure.
grep_for() { grep -- "$@" >/dev/null; }
export -f grep_for

# start_hollow_node NAME: a node that runs nothing and says it does (see hollow_node.py); ends with the script
start_hollow_node() {
    "$ROOT/target/tools/venv/bin/python" "$ROOT/tests/lib/hollow_node.py" "$1" >"$WORK/$1.log" 2>&1 &
    HOLLOW=$!
    trap 'kill -9 "$HOLLOW" "$SERVER" 2>/dev/null || true; rm -rf "$WORK"' EXIT
    retry 20 bash -c "kubectl get node $1 | grep_for ' Ready '"
}

# takes FLAG: whether `portcullis up` has this flag
takes() { "$PORTCULLIS" up --help | grep_for "$1"; }
