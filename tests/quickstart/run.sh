#!/usr/bin/env bash
# The quickstart that README walks through, on each of the stores.
set -euo pipefail
ROOT=$(cd "$(dirname "$0")/../.." && pwd)

"$ROOT/examples/quickstart/run.sh"
