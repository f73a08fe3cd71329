#!/usr/bin/env bash
# An authenticator that a user adds: a proxy that is known by its certificate says in headers who is calling.
set -euo pipefail
. "$(dirname "$0")/lib.sh"

start_server apiserver
kubectl create clusterrolebinding devs --clusterrole=view --group=devs
# The scheduler's certificate stands for a proxy's: the cluster's client CA signed it.
python3 - "$DATA/scheduler.kubeconfig" "$WORK" <<'PY'
import base64, re, sys
text = open(sys.argv[1]).read()
for field, name in [("client-certificate-data", "cert"), ("client-key-data", "key"), ("certificate-authority-data", "ca")]:
    open(f"{sys.argv[2]}/{name}.pem", "wb").write(base64.b64decode(re.search(field + ": (\\S+)", text).group(1)))
PY
URL=https://127.0.0.1:$PORT/api/v1/namespaces/default/configmaps
code() { curl -s -o "$WORK/answer" -w '%{http_code}' --cacert "$WORK/ca.pem" "$@" "$URL"; }
proxy=(--cert "$WORK/cert.pem" --key "$WORK/key.pem")

say "without the plugin, headers mean nothing"
[ "$(code "${proxy[@]}" -H 'X-Remote-User: jo' -H 'X-Remote-Group: devs')" = 403 ] || fail "$(cat "$WORK/answer")"
grep_for 'system:kube-scheduler' "$WORK/answer" || fail "$(cat "$WORK/answer")"

say "with it, they count from a known proxy"
plugin proxy-headers authenticator "$FIRST/proxy-headers.wasm" \
    '{"order": -5, "config": {"proxies": ["system:kube-scheduler"]}}'
loaded proxy-headers
[ "$(code "${proxy[@]}" -H 'X-Remote-User: jo' -H 'X-Remote-Group: devs')" = 200 ] || fail "$(cat "$WORK/answer")"
[ "$(code "${proxy[@]}" -H 'X-Remote-User: jo')" = 403 ] || fail "a user without the group got in"
grep_for 'User \\"jo\\"' "$WORK/answer" || fail "$(cat "$WORK/answer")"
[ "$(code "${proxy[@]}" -H 'X-Remote-User: jo' -H 'X-Remote-Group: system:masters')" = 401 ] || fail "a proxy made a master"
[ "$(code -H 'X-Remote-User: jo' -H 'X-Remote-Group: devs')" = 403 ] || fail "anybody's headers were believed"
grep_for 'system:anonymous' "$WORK/answer" || fail "$(cat "$WORK/answer")"
kubectl get configmaps >/dev/null # who shows no such header is as before

say "a configuration that it refuses leaves the one before in service"
plugin proxy-headers authenticator "$FIRST/proxy-headers.wasm" '{"order": -5, "config": {"proxies": []}}'
retry 10 has_condition proxy-headers Loaded "False ConfigRefused the policy refuses its configuration (spec.config): config: proxies: name"
has_condition proxy-headers Ready "True Serving" || fail "nothing serves"
[ "$(code "${proxy[@]}" -H 'X-Remote-User: jo' -H 'X-Remote-Group: devs')" = 200 ] || fail "$(cat "$WORK/answer")"
kubectl delete plugin proxy-headers
[ "$(code "${proxy[@]}" -H 'X-Remote-User: jo' -H 'X-Remote-Group: devs')" = 403 ] || fail "a deleted plugin decides"
stop_server
echo "authenticators: ok"
