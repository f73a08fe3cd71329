#!/usr/bin/env bash
# A whole cluster on etcd: kubectl's main flow, with etcd and the server killed in the middle of it, on every etcd that is
# installed.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/../lib/server.sh"
. "$HERE/../lib/etcd.sh"
CLIENTS=$HERE/../clients

pods() { kubectl get pods -l app=web -o name | wc -l; }
export -f pods
settings() { kubectl create configmap "$1" --from-literal=a=b >/dev/null; }
export -f settings

flow() {
    start_etcd "$1"
    start_server up --store etcd --etcd-servers "$ETCD_URL"
    trap 'kill -9 "$SERVER" "$ETCD_PID" "${WATCH:-$SERVER}" 2>/dev/null || true; rm -rf "$WORK" "$ETCD_WORK"' EXIT

    for part in certificate key; do
        kubectl config view --raw -o "jsonpath={.users[0].user.client-$part-data}" | base64 -d >"$WORK/client.$part"
    done
    mv "$WORK/client.certificate" "$WORK/client.crt"

    say "kubectl on $("$ETCD" --version | head -n 1)"
    kubectl apply -f "$CLIENTS/web.yaml"
    retry 20 bash -c '[ "$(pods)" = 3 ]'
    kubectl scale deployment web --replicas=2
    retry 20 bash -c '[ "$(pods)" = 2 ]'
    kubectl patch deployment web --type=merge -p '{"metadata":{"annotations":{"note":"x"}}}'
    kubectl apply --server-side --field-manager=other -f "$CLIENTS/config.yaml"
    expect_error 'not found' kubectl get pod nothing
    expect_error 'already exists' kubectl create -f "$CLIENTS/config.yaml"
    [ "$(kubectl get clusterroles --chunk-size=7 -o name | sort | uniq | wc -l)" -gt 30 ] || fail "pages lost something"

    say "a watch goes on while etcd is killed and comes back"
    kubectl get configmaps --watch-only -o name >"$WORK/watched" 2>"$WORK/watched.err" &
    WATCH=$!
    sleep 1
    settings before
    retry 5 grep_for '/before$' "$WORK/watched"
    kill_etcd
    # kubectl itself tries again for as long as the answer says that it may, so this looks at the answer.
    answer=$(curl -sk -i --cert "$WORK/client.crt" --key "$WORK/client.key" -H 'Content-Type: application/json' \
        -d '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"refused"}}' \
        "https://127.0.0.1:$PORT/api/v1/namespaces/default/configmaps")
    grep_for '"reason": *"ServerTimeout"' <<<"$answer" || fail "without etcd: $answer"
    grep_for '^retry-after: ' <<<"$answer" || fail "a client is not told to try again: $answer"
    settings during &
    local during=$!
    if curl -sfk "https://127.0.0.1:$PORT/readyz" >/dev/null; then fail "the server is ready without etcd"; fi
    launch_etcd
    wait "$during" || fail "kubectl did not outlast a restart of etcd"
    retry 10 settings after
    retry 10 grep_for '/after$' "$WORK/watched"
    kill -0 "$WATCH" || fail "the watch ended: $(cat "$WORK/watched.err")"
    retry 10 curl -sfk "https://127.0.0.1:$PORT/readyz" -o /dev/null

    say "etcd hangs for a while, and is waited for"
    kill -STOP "$ETCD_PID"
    settings patient &
    local patient=$!
    sleep 2
    kill -CONT "$ETCD_PID"
    wait "$patient" || fail "a write did not outlast two seconds without etcd"
    retry 10 grep_for '/patient$' "$WORK/watched"
    kill "$WATCH"

    say "the server killed, etcd killed, both killed: everything is there again"
    kubectl get deployments,replicasets,configmaps,services,clusterroles,plugins -A \
        -o 'jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.uid}{"\n"}{end}' | sort >"$WORK/before"
    restart_server
    kill_etcd
    launch_etcd
    kill_etcd
    kill -9 "$SERVER"
    wait "$SERVER" 2>/dev/null || true
    launch_etcd
    launch
    kubectl get deployments,replicasets,configmaps,services,clusterroles,plugins -A \
        -o 'jsonpath={range .items[*]}{.kind} {.metadata.name} {.metadata.uid}{"\n"}{end}' | sort >"$WORK/after"
    diff "$WORK/before" "$WORK/after" || fail "the state differs"
    kubectl scale deployment web --replicas=3
    retry 20 bash -c '[ "$(pods)" = 3 ]'
    kubectl delete deployment web
    retry 20 bash -c '[ "$(pods)" = 0 ]'
    stop_server
    stop_etcd
}

say "flags that do not go together"
scratch=$(mktemp -d)
refused() { expect_error "$1" "$PORTCULLIS" apiserver --data-dir "$scratch" --bind 127.0.0.1:0 "${@:2}"; }
refused 'needs --store=etcd' --etcd-servers http://127.0.0.1:1
refused 'etcd-servers is needed' --store etcd
refused 'need --etcd-cafile' --store etcd --etcd-servers https://127.0.0.1:1
rm -rf "$scratch"
for etcd in "$(command -v etcd || true)" "$ROOT"/target/tools/etcd-*/etcd; do
    [ -x "$etcd" ] && flow "$etcd"
done
echo "etcd: ok"
