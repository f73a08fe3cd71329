#!/usr/bin/env bash
# The behaviour corpus against `portcullis apiserver`, where its folder is present. It must not fall below what has been
# reached (tests/corpus/passed.txt: steps that agree at level `reason`).
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"

CORPUS=${PORTCULLIS_SHARED:-$ROOT/../shared}/behaviour
if [ ! -x "$CORPUS/replay.py" ]; then
    echo "the behaviour corpus is not here: skipped"
    exit 0
fi
start_server apiserver
say "replaying (some minutes)"
python3 "$CORPUS/replay.py" check --kubeconfig "$KUBECONFIG" "$CORPUS/scenarios" --level reason --quiet --jobs 2 \
    >"$WORK/corpus.txt" 2>&1 || true
tail -n 30 "$WORK/corpus.txt"
passed=$(tail -n 1 "$WORK/corpus.txt" | sed -E 's/^([0-9]+) passed.*/\1/')
wanted=$(cat "$(dirname "$0")/passed.txt")
[ "$passed" -ge "$wanted" ] || fail "$passed steps agree, and $wanted have before"
echo "corpus: $passed steps agree at level reason (at least $wanted are wanted)"
