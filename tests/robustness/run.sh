#!/usr/bin/env bash
# Clients and faults against the real binary, on the embedded engine and on three members of etcd; then every answer and
# every event is checked. `soak.sh` does the same for hours.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"
. "$(dirname "$0")/lib.sh"

say "embedded engine"
robustness --engine embedded --seconds "${EMBEDDED_SECONDS:-20}"
if [ -n "$(etcd_versions)" ]; then
    say "three members of etcd, two API servers"
    robustness --engine etcd --seconds "${ETCD_SECONDS:-40}"
else
    echo "SKIPPED: no etcd is installed; make test-deps installs it"
fi
say "a disk that is full, or fails"
"$(dirname "$0")/disk.sh"
say "watchers that do not read"
"$(dirname "$0")/watchers.sh"
echo "robustness: ok"
