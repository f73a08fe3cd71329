#!/usr/bin/env bash
# The plugin runtime and the Plugin resource end to end: kubectl against the binary. Each file beside this one is a test
# with a server of its own; name some to run only those (`run.sh modules swap`).
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)

# Components that do one thing wrong, assembled from text.
(cd "$ROOT" && target/release/examples/test-guests target/test-guests)

tests=("$@")
[ ${#tests[@]} -gt 0 ] || tests=(modules authorizers authenticators bad-modules bad-calls recovery audit swap)
for test in "${tests[@]}"; do
    echo "=== plugins: $test"
    bash "$HERE/$test.sh"
done
echo "plugins: ok"
