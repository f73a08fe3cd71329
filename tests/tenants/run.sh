#!/usr/bin/env bash
# Three control planes in one process, on the embedded store and on etcd: definitions of one name with different schemas,
# users, tokens, policies and objects that are nothing to one another.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/../lib/server.sh"
. "$HERE/../lib/etcd.sh"

of() { local tenant=$1; shift; KUBECONFIG="$DATA/tenants/$tenant/admin.kubeconfig" kubectl "$@"; }
# as CERTIFICATES PATH: what curl gets with the administrator's certificate of a data directory
as() { curl -sk -o /dev/null -w '%{http_code}' --cert "$1/pki/admin.crt" --key "$1/pki/admin.key" "https://127.0.0.1:$PORT$2"; }

flow() {
    start_server up --no-kubelet --tenants red,blue "$@"
    trap 'kill -9 "$SERVER" ${ETCD_PID:-} 2>/dev/null || true; rm -rf "$WORK" ${ETCD_WORK:-}' EXIT
    export DATA PORT
    export -f of

    say "definitions of one name with different schemas"
    of red create -f "$HERE/red.yaml"
    of blue create -f "$HERE/blue.yaml"
    red='{"apiVersion":"example.test/v1","kind":"Widget","metadata":{"name":"one"},"spec":{"size":3}}'
    blue='{"apiVersion":"example.test/v1","kind":"Widget","metadata":{"name":"one","namespace":"default"},"spec":{"size":"large"}}'
    retry 10 bash -c "of red create -f - <<<'$red' 2>/dev/null"
    retry 10 bash -c "of blue create -f - <<<'$blue' 2>/dev/null"
    expect_error 'spec.size' of red create -f - <<<"${red/3/\"large\"}"
    expect_error 'Unsupported value: "huge"' of blue create -f - <<<"${blue/large/huge}"
    [ "$(of red get widgets -o 'jsonpath={.items[*].spec.size}')" = 3 ] || fail "red does not see its own widget"
    [ "$(of blue get widgets -A -o 'jsonpath={.items[*].spec.size}')" = large ] || fail "blue does not see its own widget"
    expect_error "the server doesn't have a resource type" kubectl get widgets
    of red explain widgets.spec.size | grep_for 'integer' || fail "red is told of another schema"
    of blue explain widgets.spec.size | grep_for 'string' || fail "blue is told of another schema"

    say "objects of one name, and controllers of each tenant's own"
    for tenant in red blue; do
        of "$tenant" create namespace work
        of "$tenant" create deployment web -n work --image="example.test/$tenant:1"
    done
    for tenant in red blue; do
        retry 20 bash -c "[ \"\$(of $tenant get pods -n work -o 'jsonpath={.items[*].spec.containers[0].image}')\" = example.test/$tenant:1 ]"
    done
    expect_error 'not found' kubectl get namespace work
    of red delete namespace work --wait
    [ "$(of blue get pods -n work -o name | wc -l)" = 1 ] || fail "a namespace of another tenant was emptied"

    say "who is somebody in one is nobody in the others"
    [ "$(as "$DATA" /api/v1/namespaces)" = 200 ] || fail "the administrator is not let in"
    for other in /tenants/red /tenants/blue; do
        [ "$(as "$DATA" "$other/api/v1/namespaces")" = 401 ] || fail "the default tenant's certificate is good at $other"
    done
    [ "$(as "$DATA/tenants/red" /tenants/red/api/v1/namespaces)" = 200 ] || fail "red's administrator is not let in"
    [ "$(as "$DATA/tenants/red" /tenants/blue/api/v1/namespaces)" = 401 ] || fail "red's certificate is good at blue"
    [ "$(as "$DATA/tenants/red" /api/v1/namespaces)" = 401 ] || fail "red's certificate is good at the default tenant"
    [ "$(as "$DATA/tenants/red" /tenants/red/../blue/api/v1/namespaces)" != 200 ] || fail "a path leads out of a tenant"
    [ "$(as "$DATA" /tenants/green/api)" = 404 ] || fail "there is a tenant green"
    token=$(of red create token default)
    code() { curl -sk -o /dev/null -w '%{http_code}' -H "Authorization: Bearer $token" "https://127.0.0.1:$PORT$1/api"; }
    [ "$(code /tenants/red) $(code /tenants/blue) $(code '')" = '200 401 401' ] ||
        fail "red's token: $(code /tenants/red) $(code /tenants/blue) $(code '')"

    say "policies of one tenant are none of the others'"
    of red apply -f "$HERE/policy.yaml"
    retry 10 bash -c '! of red create configmap forbidden 2>/dev/null || { of red delete configmap forbidden; false; }'
    of blue create configmap forbidden
    kubectl create configmap forbidden
    digest=$("$PORTCULLIS" plugin push "$ROOT/target/guests/team-label.wasm" --kubeconfig "$DATA/tenants/blue/admin.kubeconfig")
    sed "s#DIGEST#$digest#" "$HERE/plugin.yaml" | of blue apply -f -
    retry 20 bash -c 'of blue run bare --image=a.test/a --dry-run=server 2>&1 | grep_for "every pod carries the label"'
    of red run bare --image=a.test/a --dry-run=server >/dev/null || fail "a plugin of blue decides in red"
    # What one tenant pushed is not there for another, even for who knows the digest.
    sed "s#DIGEST#$digest#" "$HERE/plugin.yaml" | of red apply -f -
    retry 10 bash -c 'of red get plugin team -o "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}" | grep_for False'

    say "a definition that is deleted takes the tenant's own objects along and no others; and all of it outlives a kill -9"
    of red delete -f "$HERE/red.yaml"
    restart_server
    [ "$(of blue get widgets -A -o 'jsonpath={.items[*].spec.size}')" = large ] || fail "blue has lost its widget"
    expect_error 'could not find the requested resource' of red get --raw /apis/example.test/v1/widgets
    [ "$(as "$DATA/tenants/red" /tenants/red/readyz)" = 200 ] || fail "red is not ready"
}

(flow)

start_etcd
(
    flow --store etcd --etcd-servers "$ETCD_URL"
    say "keys"
    # keys PREFIX: how many keys begin with it
    keys() {
        curl -sf "$ETCD_URL/v3/kv/range" -d "{\"key\":\"$(printf %s "$1/" | base64 -w0)\",\"range_end\":\"$(printf %s "${1}0" | base64 -w0)\",\"count_only\":true}" |
            python3 -c 'import json, sys; print(json.load(sys.stdin).get("count", 0))'
    }
    [ "$(keys /registry/~tenants/blue/registry/example.test/widgets)" = 1 ] || fail "blue's widget is not where it should be"
    [ "$(keys /registry/example.test)" = 0 ] || fail "a tenant's objects are among the default one's"
)
echo "tenants: ok"
