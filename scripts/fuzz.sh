#!/usr/bin/env bash
# Runs every fuzz target for some seconds (20 unless given), guided by coverage, with the stable compiler:
#   fuzz.sh [SECONDS]
# What cargo-fuzz adds is the address sanitizer, which needs a nightly compiler; the targets are safe Rust throughout.
set -euo pipefail
cd "$(dirname "$0")/../fuzz"
seconds=${1:-20}
export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table -Ccodegen-units=1"
# A target is named, so that build scripts and macros are built without coverage.
target=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}
cargo build --quiet --release --target "$target"
for name in tape json parsers patches cel; do
    corpus=$CARGO_TARGET_DIR/corpus/$name
    mkdir -p "$corpus"
    echo "fuzz: $name"
    "$CARGO_TARGET_DIR/$target/release/$name" -max_total_time="$seconds" -max_len=4096 -verbosity=0 \
        -print_final_stats=1 -artifact_prefix="$CARGO_TARGET_DIR/$name-" "$corpus" 2>&1 | grep -E 'number_of_executed|ERROR|panicked' || true
    if compgen -G "$CARGO_TARGET_DIR/$name-crash-*" >/dev/null; then
        echo "fuzz: $name failed; the input is in fuzz/$CARGO_TARGET_DIR" >&2
        exit 1
    fi
done
