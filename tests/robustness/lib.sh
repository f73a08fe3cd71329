# For run.sh and soak.sh, after lib/server.sh.
#   etcd_versions      the versions of etcd that are installed
#   robustness FLAGS…  runs the tool, in a network namespace of its own where that can be had

ROBUSTNESS=$ROOT/target/release/portcullis-robustness
[ -x "$ROBUSTNESS" ] || fail "$ROBUSTNESS is not there: make test-robustness builds it"

etcd_versions() {
    local etcd
    for etcd in "$ROOT"/target/tools/etcd-*/etcd "$(command -v etcd || true)"; do
        [ -x "$etcd" ] || continue
        "$etcd" --version | sed -n 's/^etcd Version: //p'
    done
}

robustness() {
    if unshare --net ip link add probe type veth peer name other 2>/dev/null; then
        unshare --net sh -c 'ip link set lo up && exec "$0" "$@"' "$ROBUSTNESS" --binary "$PORTCULLIS" --partitions "$@"
    else
        echo "SKIPPED: no network namespaces can be made here (root makes them), so the network is left whole"
        "$ROBUSTNESS" --binary "$PORTCULLIS" "$@"
    fi
}
