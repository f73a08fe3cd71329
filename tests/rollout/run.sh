#!/usr/bin/env bash
# Policies changed live: modes, canaries that are promoted or taken back by themselves, history and undo, replay and
# explanations. Each file beside this one is a test with a server of its own; name some to run only those.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)

# Components that do one thing each, assembled from text.
(cd "$ROOT" && cargo run --quiet --release --locked -p portcullis-policy --example test-guests -- target/test-guests)

tests=("$@")
[ ${#tests[@]} -gt 0 ] || tests=(modes canary history servers observe replay)
for test in "${tests[@]}"; do
    echo "=== rollout: $test"
    bash "$HERE/$test.sh"
done
echo "rollout: ok"
