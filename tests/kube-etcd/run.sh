#!/usr/bin/env bash
# An etcd that kube-apiserver wrote: the key of every resource, values in protobuf and in other versions, and what is written
# there in turn. The recorded objects of ../shared are read too, where they are.
set -euo pipefail
HERE=$(cd "$(dirname "$0")" && pwd)
. "$HERE/../lib/server.sh"
. "$HERE/../lib/etcd.sh"
VECTORS=$ROOT/../shared/kubernetes-1.36/wire

check() { "$ROOT/target/tools/venv/bin/python" "$HERE/check.py" "$@"; }

start_etcd
export ETCD_URL STATE
start_server apiserver --store etcd --etcd-servers "$ETCD_URL" --runtime-config api/all=true
STATE=$WORK/state
mkdir "$STATE"
trap 'kill -9 "$SERVER" "$ETCD_PID" 2>/dev/null || true; rm -rf "$WORK" "$ETCD_WORK"' EXIT

say "every resource is at kube-apiserver's key"
check create

say "the same objects as kube-apiserver stores them"
stop_server
check swap
launch
check read
restart_server
kubectl get -n keys thing a -o json | grep_for 'keys.example.com/changed'

say "what nobody can read fails those who ask for it"
ETCDCTL_API=3 etcdctl --endpoints "$ETCD_URL" put /registry/configmaps/keys/odd "$(printf 'k8s\001')" >/dev/null
ETCDCTL_API=3 etcdctl --endpoints "$ETCD_URL" put /registry/deployments/keys/old \
    '{"kind":"Deployment","apiVersion":"apps/v1beta1","metadata":{"name":"old","namespace":"keys"}}' >/dev/null
sleep 1
expect_error 'Internal error occurred' kubectl get -n keys configmap odd
expect_error 'unable to transform key "/registry/configmaps/keys/odd"' kubectl get -n keys configmaps
expect_error 'this server knows how to read apps/v1' kubectl get -n keys deployment old
kubectl get -n keys configmap a >/dev/null
for key in configmaps/keys/odd deployments/keys/old; do ETCDCTL_API=3 etcdctl --endpoints "$ETCD_URL" del "/registry/$key" >/dev/null; done

if [ -d "$VECTORS" ]; then
    say "recorded objects, in protobuf"
    stop_server
    check vectors "$VECTORS"
    launch
    check read-vectors
else
    say "SKIPPED: the recorded objects are not there"
fi
stop_server
stop_etcd
echo "kube-etcd: ok"
