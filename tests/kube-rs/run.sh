#!/usr/bin/env bash
# kube-rs against the real binary.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"

export CARGO_TARGET_DIR=$ROOT/target/kube-rs
cd "$ROOT/tests/kube-rs"
say "building the kube-rs tests"
cargo test --quiet --locked --no-run
start_server up
cargo test --locked
stop_server
echo "kube-rs: ok"
