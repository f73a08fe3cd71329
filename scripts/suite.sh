#!/usr/bin/env bash
# Runs one suite, tests/NAME/run.sh, up to TRIES times, and says how long it took. A suite that passes at a later try than
# its first is written down in target/unsound.
set -uo pipefail
cd "$(dirname "$0")/.."
name=$1 tries=${2:-1}
for ((try = 1; try <= tries; try++)); do
  echo "tests/$name/run.sh"
  SECONDS=0
  if "tests/$name/run.sh"; then
    echo "tests/$name/run.sh: passed after $SECONDS s"
    [ "$try" = 1 ] || echo "$name" >> target/unsound
    exit 0
  fi
  echo "tests/$name/run.sh: FAILED after $SECONDS s (try $try of $tries)"
done
exit 1
