#!/usr/bin/env bash
# What run.sh does, for SECONDS_ seconds (four hours), with other choices each time and every version of etcd in turn; and
# the embedded engine killed while it writes.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"
. "$(dirname "$0")/lib.sh"

lasts=${SECONDS_:-14400}
began=$SECONDS
each=$((lasts < 1200 ? lasts / 4 + 1 : 300))
rounds=0
while [ $((SECONDS - began)) -lt "$lasts" ]; do
    for engine in embedded $(etcd_versions | sort -u); do
        [ $((SECONDS - began)) -lt "$lasts" ] || break
        say "$((SECONDS - began)) of $lasts seconds: $engine"
        case $engine in
            embedded) robustness --engine embedded --seconds "$each" ;;
            *) robustness --engine etcd --etcd "$engine" --seconds "$each" ;;
        esac
        rounds=$((rounds + 1))
    done
    say "kill -9 of the embedded engine"
    (cd "$ROOT" && PORTCULLIS_CRASH_SECONDS=$((each / 2)) cargo test --release --locked -q -p portcullis-storage --test crash)
done
echo "soak: $rounds runs, ok"
