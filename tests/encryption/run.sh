#!/usr/bin/env bash
# Encryption at rest, on both engines: every provider, rotation from each to the next, what is tampered with, files that
# are wrong, files that change, and a KMS plugin that comes late, changes its key, fails and comes back.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/../lib/server.sh"
. "$HERE/../lib/etcd.sh"
SCRATCH=$(mktemp -d)
CONFIG=$SCRATCH/config.yaml
PYTHON=$ROOT/target/tools/venv/bin/python

# config PROVIDER… : a file for secrets and the custom resource; each provider a line of YAML
config() {
    {
        printf 'kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources:\n'
        printf -- '- resources: [%s]\n  providers:\n' "${RESOURCES:-secrets, widgets.example.com}"
        printf -- '  - %s\n' "$@"
    } >"$CONFIG.new"
    mv "$CONFIG.new" "$CONFIG"
}

secret_of() { head -c "$1" < <(yes "$2") | base64 -w0; }
keys() { echo "$1: {keys: [{name: $2, secret: $(secret_of "$3" "$2")}]}"; }
IDENTITY='identity: {}'

# All bytes of the store, to look for text in
stored() {
    if [ "$STORE" = etcd ]; then
        ETCDCTL_API=3 etcdctl --endpoints "$ETCD_URL" get --prefix / --print-value-only
    else
        cat "$DATA"/store/wal-*
    fi
}
value_of() { ETCDCTL_API=3 etcdctl --endpoints "$ETCD_URL" get --print-value-only "$1"; }
version_of() { kubectl get "$@" -o 'jsonpath={.metadata.resourceVersion}'; }
secret() { kubectl create secret generic "$1" --from-literal=password="plain-$1" >/dev/null; }
reads() { [ "$(kubectl get secret "$1" -o 'jsonpath={.data.password}' | base64 -d)" = "plain-$1" ]; }
rewrite() { kubectl get "$@" -o json | kubectl replace -f - >/dev/null; }
export -f reads version_of

# rotate_to PREFIX: restarts with what $CONFIG is now; all is read, and the unchanged object is written anew with it, once
rotate_to() {
    restart_server
    for name in first $ROTATED; do reads "$name" || fail "$name cannot be read"; done
    local before after
    before=$(version_of secret first)
    rewrite secret first
    after=$(version_of secret first)
    [ "$before" != "$after" ] || fail "a stale value was not written anew"
    rewrite secret first
    [ "$(version_of secret first)" = "$after" ] || fail "a current value was written anew"
    before=$(version_of configmap plain)
    rewrite configmap plain
    [ "$before" = "$(version_of configmap plain)" ] || fail "what is not encrypted was written anew"
    if [ "$STORE" = etcd ]; then
        value_of /registry/secrets/default/first | head -c 200 | grep_for "^$1" || fail "not stored as $1"
    fi
    name=after-$(kubectl get secrets -o name | wc -l)
    secret "$name"
    reads "$name"
    ROTATED+=" $name"
}

start_plugin() {
    mkdir -p "$SCRATCH/kms"
    rm -f "$SCRATCH/kms.sock"
    "$PYTHON" "$HERE/kms_plugin.py" "$SCRATCH/kms.sock" "$SCRATCH/kms" 2>"$SCRATCH/kms.log" &
    PLUGIN=$!
}
kill_plugin() {
    [ -z "${PLUGIN:-}" ] || { kill -9 "$PLUGIN" 2>/dev/null || true; wait "$PLUGIN" 2>/dev/null || true; }
    PLUGIN=
}
healthy() { kubectl get --raw /healthz/kms-providers >/dev/null 2>&1; }
clean_up() {
    kill -9 "$SERVER" 2>/dev/null || true
    kill_plugin
    [ -z "${ETCD_PID:-}" ] || kill -9 "$ETCD_PID" 2>/dev/null || true
    rm -rf "$WORK" "${ETCD_WORK:-$WORK}"
}
calls() { grep -c "^$1" "$SCRATCH/kms/calls" || true; }

flow() {
    STORE=$1
    local flags=(--encryption-provider-config "$CONFIG")
    if [ "$STORE" = etcd ]; then
        start_etcd
        flags+=(--store etcd --etcd-servers "$ETCD_URL")
    fi

    say "$STORE: in plain text, then with every provider in turn"
    config "$IDENTITY"
    start_server apiserver "${flags[@]}"
    trap 'clean_up; rm -rf "$SCRATCH"' EXIT
    kubectl create configmap plain --from-literal=a=plain-text >/dev/null
    secret first
    ROTATED=
    stored | grep_for "$(echo -n plain-first | base64)" || fail "without encryption it should be there to see"
    config "$(keys aescbc a 32)" "$IDENTITY"
    rotate_to k8s:enc:aescbc:v1:a:
    config "$(keys aesgcm b 16)" "$(keys aescbc a 32)"
    rotate_to k8s:enc:aesgcm:v1:b:
    config "$(keys aesgcm c 24)" "$(keys aesgcm b 16)" "$(keys aescbc a 32)"
    rotate_to k8s:enc:aesgcm:v1:c:
    config "$(keys secretbox d 32)" "$(keys aesgcm c 24)" "$(keys aesgcm b 16)" "$(keys aescbc a 32)"
    rotate_to k8s:enc:secretbox:v1:d:
    config "$IDENTITY" "$(keys secretbox d 32)" "$(keys aesgcm c 24)" "$(keys aesgcm b 16)" "$(keys aescbc a 32)"
    rotate_to '{"kind":"Secret"'
    if [ "$STORE" = etcd ]; then
        value_of /registry/secrets/default/after-2 | grep_for '^k8s:enc:aesgcm:v1:b:' || fail "the old form is gone"
    fi

    say "$STORE: nothing of a secret is there to see, nor of a custom resource"
    config "$(keys aesgcm c 24)" "$(keys secretbox d 32)" "$(keys aesgcm b 16)" "$(keys aescbc a 32)" "$IDENTITY"
    restart_server
    kubectl apply -f - >/dev/null <<'CRD'
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, singular: widget, kind: Widget, listKind: WidgetList}
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
CRD
    retry 10 kubectl get widgets
    kubectl apply -f - >/dev/null <<<'{"kind":"Widget","apiVersion":"example.com/v1","metadata":{"name":"w"},"spec":{"note":"hidden-widget"}}'
    kubectl get secrets -w -o name >"$WORK/watched" &
    local watch=$!
    secret hidden
    kubectl patch secret hidden --type=merge -p '{"stringData":{"more":"hidden-more"}}' >/dev/null
    retry 5 grep_for secret/hidden "$WORK/watched"
    kill "$watch"
    local text
    for text in "$(echo -n plain-hidden | base64)" "$(echo -n hidden-more | base64)" hidden-widget; do
        if stored | grep_for "$text"; then fail "$text is stored in plain text"; fi
    done
    stored | grep_for plain-text || fail "a ConfigMap should be in plain text"
    restart_server
    reads hidden
    kubectl get widget w -o json | grep_for hidden-widget
    expect_error 'already exists' secret hidden

    say "$STORE: without the keys"
    config "$(keys aesgcm other 32)"
    restart_server
    expect_error 'Internal error occurred: no matching key was found for the provided AES transformer' kubectl get secret hidden
    expect_error 'Internal error occurred: unable to transform key "/registry/secrets/default/after-' kubectl get secrets
    expect_error 'Internal error occurred' kubectl delete secret hidden
    expect_error 'already exists' secret hidden
    secret readable
    reads readable
    kubectl get configmaps >/dev/null
    kubectl delete secret readable >/dev/null
    config "$IDENTITY"
    restart_server
    expect_error 'Internal error occurred: no matching prefix found' kubectl get secret hidden
    RESOURCES=pods config "$IDENTITY"
    restart_server
    expect_error 'Internal error occurred: identity transformer tried to read encrypted data' kubectl get secret hidden
    config "$(keys aesgcm c 24)" "$(keys secretbox d 32)" "$(keys aesgcm b 16)" "$(keys aescbc a 32)" "$IDENTITY"
    restart_server
    [ "$(kubectl get secrets -o name | wc -l)" = 7 ] || fail "not all secrets are there: $(kubectl get secrets -o name)"

    if [ "$STORE" = etcd ]; then
        say "etcd: what somebody else has changed"
        value_of /registry/secrets/default/hidden | head -c -1 >"$WORK/value"
        local put=(etcdctl --endpoints "$ETCD_URL" put)
        ETCDCTL_API=3 "${put[@]}" /registry/secrets/default/moved <"$WORK/value" >/dev/null
        retry 5 bash -c 'kubectl get secret moved 2>&1 | grep_for "cipher: message authentication failed"'
        expect_error 'unable to transform key "/registry/secrets/default/moved": [cipher: message authentication failed' kubectl get secrets
        reads hidden
        ETCDCTL_API=3 etcdctl --endpoints "$ETCD_URL" del /registry/secrets/default/moved >/dev/null
        retry 5 bash -c 'kubectl get secrets >/dev/null 2>&1'
    fi

    say "$STORE: a KMS plugin that comes late"
    rm -rf "$SCRATCH/kms"; mkdir "$SCRATCH/kms"; echo key-1 >"$SCRATCH/kms/key"; : >"$SCRATCH/kms/calls"
    local kms="kms: {apiVersion: v2, name: vault, endpoint: 'unix://$SCRATCH/kms.sock', timeout: 1s}"
    config "$kms" "$(keys aesgcm c 24)" "$(keys secretbox d 32)" "$(keys aesgcm b 16)" "$(keys aescbc a 32)" "$IDENTITY"
    kill -9 "$SERVER"; wait "$SERVER" 2>/dev/null || true
    start_without_ready
    expect_error 'Internal error occurred: got unexpected nil transformer' secret late
    reads hidden
    if healthy; then fail "a plugin that is not there is healthy"; fi
    curl -sk "https://127.0.0.1:$PORT/readyz?verbose" | grep_for '\[-\]kms-providers failed' || fail "readyz says nothing"
    curl -sk "https://127.0.0.1:$PORT/livez?verbose" | grep_for kms-providers && fail "livez is about the server alone"
    start_plugin
    retry 20 healthy
    retry 20 secret late
    reads late
    [ "$(calls 'encrypt key-1')" = 1 ] || fail "a seed was not used again"

    say "$STORE: another seed for each start, asked for once; another key of the plugin's"
    rotate_to k8s:enc:kms:v2:vault:
    : >"$SCRATCH/kms/calls"
    restart_server
    reads first && reads late
    kubectl get secrets >/dev/null
    secret second-start
    local asked; asked=$(calls 'decrypt key-1')
    [ "$asked" = 2 ] || fail "the plugin was asked $asked times for two seeds"
    echo key-2 >"$SCRATCH/kms/key"
    restart_server
    local before; before=$(version_of secret late)
    rewrite secret late
    [ "$before" != "$(version_of secret late)" ] || fail "a value of the plugin's old key was not written anew"
    reads late && reads second-start
    local seen; seen=$(calls 'encrypt key-2')
    [ "$seen" = 1 ] || fail "the plugin encrypted $seen seeds with its new key"

    say "$STORE: a plugin that fails, and a key that it has lost"
    kill_plugin
    secret coasting || fail "a plugin that is away for a moment stops writes"
    restart_server_unready
    expect_error 'Internal error occurred' kubectl get secret coasting
    expect_error 'Internal error occurred' kubectl get secrets
    kubectl get configmaps >/dev/null
    start_plugin
    retry 20 healthy
    retry 20 reads coasting
    retry 20 bash -c 'kubectl get secrets >/dev/null 2>&1'
    echo key-1 >"$SCRATCH/kms/lost"
    restart_server
    expect_error 'Internal error occurred: failed to decrypt DEK, error: rpc error: code = FailedPrecondition desc = the key is lost' kubectl get secret second-start
    reads coasting
    reads late
    rm "$SCRATCH/kms/lost"
    retry 40 bash -c 'reads second-start 2>/dev/null'
    echo ill >"$SCRATCH/kms/health"
    restart_server_unready
    if healthy; then fail "a plugin that says that it is ill is healthy"; fi
    rm "$SCRATCH/kms/health"
    retry 20 healthy

    say "$STORE: a file that changes"
    FLAGS+=(--encryption-provider-config-automatic-reload)
    config "$(keys aesgcm c 24)" "$IDENTITY"
    kill_plugin
    restart_server
    expect_error 'Internal error occurred' kubectl get secrets
    healthy || fail "with reload there is always a check"
    start_plugin
    config "$kms" "$(keys aesgcm c 24)" "$(keys secretbox d 32)" "$(keys aesgcm b 16)" "$(keys aescbc a 32)" "$IDENTITY"
    retry 30 bash -c 'kubectl get secrets >/dev/null 2>&1'
    before=$(version_of secret hidden)
    rewrite secret hidden
    [ "$before" != "$(version_of secret hidden)" ] || fail "what became stale by a new file was not written anew"
    echo 'kind: nonsense' >"$CONFIG"
    failed() { kubectl get --raw /metrics | grep_for 'automatic_reloads_total{status="failure"} [1-9]'; }
    retry 30 failed
    secret still
    reads still
    kill_plugin
    stop_server
    [ "$STORE" = embedded ] || stop_etcd
    rm -rf "$WORK"
}

# A server whose plugin is away is not ready, and serves.
start_without_ready() {
    "$PORTCULLIS" "$ROLE" --data-dir "$DATA" --bind "127.0.0.1:$PORT" "${FLAGS[@]}" >"$DATA.log" 2>&1 &
    SERVER=$!
    retry 60 curl -sfk -o /dev/null "https://127.0.0.1:$PORT/livez"
}
restart_server_unready() {
    kill -9 "$SERVER"
    wait "$SERVER" 2>/dev/null || true
    start_without_ready
}

say "files that are wrong, and flags that do not go together"
refused() { expect_error "$1" "$PORTCULLIS" apiserver --data-dir "$SCRATCH/data" --bind 127.0.0.1:0 "${@:2}"; }
refused '--encryption-provider-config-automatic-reload must be set with --encryption-provider-config' \
    --encryption-provider-config-automatic-reload
wrong() { refused "$1" --encryption-provider-config "$CONFIG"; }
: >"$CONFIG"
wrong 'is empty'
config 'aescbc: {keys: [{name: a, secret: AAAA}]}'
wrong 'error while parsing file: resources[0].providers[0].aescbc.keys[0].secret: Invalid value: "REDACTED": secret is not of the expected length, got 3, expected one of [16 24 32]'
config "kms: {name: old, endpoint: 'unix:///x'}"
wrong 'KMSv1 is deprecated'
config 'aescbc: {keyz: []}'
wrong 'strict decoding error: unknown field "resources[0].providers[0].aescbc.keyz"'
printf 'kind: EncryptionConfiguration\napiVersion: apiserver.config.k8s.io/v1\nresources: [{resources: ["*."], providers: [{identity: {}}]}, {resources: [secrets], providers: [{identity: {}}]}]' >"$CONFIG"
wrong 'error while building transformers: resource "secrets" is masked by earlier rule "*."'
for store in ${STORES:-embedded etcd}; do flow "$store"; done
rm -rf "$SCRATCH"
echo "encryption: ok"
