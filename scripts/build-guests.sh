#!/usr/bin/env bash
# Builds every component: plugins/<name>, examples/policies/<name> and examples/workloads/<name> ->
# target/guests/<name>.wasm.
#
# Needs only cargo where rustup can fetch the wasm32-unknown-unknown target. Where it cannot (no way to its servers), it
# takes Debian's compiler, which builds the standard library from its source package; the packages are installed with
# apt-get if they are missing and this runs as root. Nothing is done when nothing changed.
#
# GUEST_TOOLCHAIN=rustup|debian forces one of the two.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
plugins=$root/plugins
out=$root/target/guests
target=wasm32-unknown-unknown
export CARGO_TARGET_DIR=$plugins/target

say() { printf 'guests: %s\n' "$*"; }

# The rustup target is there, or can be had now. Asking the network is slow where it does not answer: a failure is
# remembered for a day.
have_rustup_target() {
    command -v rustup >/dev/null || return 1
    if (cd "$plugins" && rustup target list --installed 2>/dev/null) | grep -qx "$target"; then return 0; fi
    local failed=$CARGO_TARGET_DIR/no-rustup-target
    if [ -n "$(find "$failed" -mmin -1440 2>/dev/null)" ]; then return 1; fi
    say "adding the rustup target $target"
    if (cd "$plugins" && timeout 120 rustup target add "$target") >/dev/null 2>&1; then return 0; fi
    mkdir -p "$CARGO_TARGET_DIR"
    touch "$failed"
    return 1
}

have_debian() { [ -x /usr/bin/rustc ] && [ -x /usr/bin/cargo ] && command -v wasm-ld >/dev/null \
    && [ -e "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library/std/Cargo.toml" ]; }

install_debian() {
    have_debian && return 0
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        say "no way to build for $target: neither 'rustup target add $target' works, nor are Debian's packages" \
            "rustc-web, cargo-web, rust-web-src and lld installed" >&2
        exit 1
    fi
    say "installing Debian's rustc-web, cargo-web, rust-web-src and lld"
    local log
    log=$(mktemp)
    if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends rustc-web cargo-web rust-web-src lld; } >"$log" 2>&1; then
        tail -20 "$log" >&2
        exit 1
    fi
    rm -f "$log"
}

toolchain=${GUEST_TOOLCHAIN:-}
if [ -z "$toolchain" ]; then
    if have_rustup_target; then toolchain=rustup; else toolchain=debian; fi
fi

# The guests are the crates that export a component, which is to say those that build a cdylib: the first-party ones, and
# the examples, which are members of the same workspace.
mapfile -t guests < <(cd "$root" && grep -lE '^crate-type = .*cdylib' -- plugins/*/Cargo.toml examples/*/*/Cargo.toml |
    xargs -n1 dirname | xargs -n1 basename | sort)
packages=()
for guest in "${guests[@]}"; do packages+=(-p "$guest"); done

say "building ${#guests[@]} components ($toolchain)"
cd "$plugins"
if [ "$toolchain" = rustup ]; then
    cargo build --quiet --locked --release --target "$target" "${packages[@]}"
else
    install_debian
    env -u RUSTUP_TOOLCHAIN RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc \
        CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER=wasm-ld \
        /usr/bin/cargo build --quiet --locked --release --target "$target" -Z build-std=std,panic_abort "${packages[@]}"
fi

cargo build --quiet --locked --release -p portcullis-componentize
mkdir -p "$out"
pairs=()
for guest in "${guests[@]}"; do
    pairs+=("$CARGO_TARGET_DIR/$target/release/${guest//-/_}.wasm" "$out/$guest.wasm")
done
"$CARGO_TARGET_DIR/release/portcullis-componentize" "${pairs[@]}"

# A component whose crate is gone must not linger: the server embeds what is in the folder.
for file in "$out"/*.wasm; do
    [ -e "$file" ] || continue
    name=$(basename "$file" .wasm)
    [[ " ${guests[*]} " == *" $name "* ]] || { say "removing $name.wasm, which has no crate any more"; rm -f "$file"; }
done
say "done: $out"
