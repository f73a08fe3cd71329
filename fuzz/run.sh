#!/usr/bin/env bash
# Fuzzes each target for a while, one after the other, on one core:
#   run.sh SECONDS [TARGET…]
# Starts from fuzz/seeds/TARGET, and from the golden vectors where their folder is present; keeps what it found in
# target/fuzz/corpus, and inputs that fail in target/fuzz/failures. The stable compiler will do: the instrumentation is
# LLVM's, and there is nothing unsafe for a sanitizer to look at.
set -euo pipefail
cd "$(dirname "$0")/.."
time=${1:?how many seconds for each target}; shift
if [ $# -eq 0 ]; then set -- $(sed -n 's/^path = "fuzz_targets\/\(.*\)\.rs"/\1/p' fuzz/Cargo.toml); fi

target=$(rustc -vV | sed -n 's/^host: //p')
out=$PWD/target/fuzz
export RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
 -Cllvm-args=-sanitizer-coverage-trace-compares --cfg fuzzing"
cargo build --release --locked --manifest-path fuzz/Cargo.toml --target-dir "$out" --target "$target" $(printf -- '--bin %s ' "$@")

# What the vectors are to a target: whole documents, messages, or nothing.
vectors=${PORTCULLIS_SHARED:-../shared}/kubernetes-1.36/wire
seed_vectors() {
    [ -d "$vectors" ] || return 0
    case $1 in
    json | yaml) cp "$vectors"/*.json "$2/" ;;
    protobuf) for file in "$vectors"/*.pb; do { printf '\377'; cat "$file"; } >"$2/$(basename "$file")"; done ;;
    esac
}

failed=()
for name in "$@"; do
    corpus=$out/corpus/$name failures=$out/failures/$name
    mkdir -p "$corpus" "$failures" "fuzz/seeds/$name"
    if [ -z "$(ls "$corpus")" ]; then seed_vectors "$name" "$corpus"; fi
    dictionary=()
    if [ -f "fuzz/seeds/$name.dict" ]; then dictionary=(-dict="fuzz/seeds/$name.dict"); fi
    echo "--- $name, for $time s"
    if "$out/$target/release/$name" "$corpus" "fuzz/seeds/$name" -max_total_time="$time" -timeout=20 -rss_limit_mb=4096 \
        -max_len=16384 -artifact_prefix="$failures/" -print_final_stats=1 "${dictionary[@]}" >"$out/$name.log" 2>&1; then
        grep -E '^stat::number_of_executed_units' "$out/$name.log"
        echo "$(find "$corpus" "fuzz/seeds/$name" -type f | wc -l) inputs kept"
    else
        tail -n 40 "$out/$name.log"
        failed+=("$name")
    fi
done
[ ${#failed[@]} -eq 0 ] || { echo "fuzz: failed: ${failed[*]}; the inputs are in $out/failures" >&2; exit 1; }
echo "fuzz: no panic in $# targets"
