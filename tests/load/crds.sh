#!/usr/bin/env bash
# What many definitions of custom resources cost: `tests/load/crds.sh [HOW MANY [IN HOW MANY GROUPS]]`. Creates them one
# after another, and prints for each quarter the server's CPU time for a definition and its memory, then how long
# discovery, OpenAPI and the create of an instance take.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"
start_server apiserver
SERVER=$SERVER python3 "$(dirname "$0")/crds.py" "${1:-1000}" "${2:-0}"
stop_server
