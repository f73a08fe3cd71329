#!/usr/bin/env bash
# API aggregation: APIServices of what is served here, and a real extension server behind another, through kubectl.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"

HERE=$(cd "$(dirname "$0")" && pwd)
GROUP=wardle.example.com
NAME=v1alpha1.$GROUP
ROOT_PATH=/apis/$GROUP/v1alpha1
# Loopback addresses that pods may have: the extension server is one of theirs.
ADDRESS=127.244.77.7

condition() { kubectl get apiservice "$1" -o jsonpath='{.status.conditions[?(@.type=="Available")].'"$2"'}'; }
says() { [ "$(condition "$1" reason)" = "$2" ]; }

# The extension server's certificate, of a CA of its own.
make_certificates() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=wardle-ca \
        -keyout "$WORK/ca.key" -out "$WORK/ca.crt" 2>/dev/null
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=wardle \
        -keyout "$WORK/wardle.key" -out "$WORK/wardle.csr" 2>/dev/null
    printf 'subjectAltName=DNS:wardle.extension.svc\nextendedKeyUsage=serverAuth\n' >"$WORK/wardle.ext"
    openssl x509 -req -extfile "$WORK/wardle.ext" -in "$WORK/wardle.csr" -CA "$WORK/ca.crt" -CAkey "$WORK/ca.key" \
        -CAcreateserial -days 1 -out "$WORK/wardle.crt" 2>/dev/null
}

start_extension() {
    kubectl get configmap -n kube-system extension-apiserver-authentication \
        -o jsonpath='{.data.requestheader-client-ca-file}' >"$WORK/front-proxy-ca.crt"
    python3 "$HERE/extension.py" "$ADDRESS" "$EXTENSION_PORT" "$WORK/wardle.crt" "$WORK/wardle.key" \
        "$WORK/front-proxy-ca.crt" >"$WORK/extension.log" 2>&1 &
    EXTENSION=$!
    trap 'kill -9 "$EXTENSION" "$SERVER" 2>/dev/null || true; rm -rf "$WORK"' EXIT
    retry 10 python3 -c "import socket; socket.create_connection(('$ADDRESS', $EXTENSION_PORT), 1)" 2>/dev/null
}

stop_extension() {
    kill -9 "$EXTENSION"
    wait "$EXTENSION" 2>/dev/null || true
}

local_services() {
    say "every version that is served has an APIService"
    for gv in $(kubectl api-versions | grep -v '^apiregistration.k8s.io/'); do
        local name="${gv##*/}.${gv%/*}"
        [ "$gv" != v1 ] || name=v1.
        kubectl get apiservice "$name" --no-headers | grep -qE ' +Local +True ' || fail "$name is not there"
    done
    expect_error "already exists" kubectl create -f - <<YAML
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.apps}
spec: {group: apps, version: v1, groupPriorityMinimum: 1, versionPriority: 1}
YAML
    say "those of custom resources come and go with their definitions"
    kubectl create -f - >/dev/null <<YAML
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.stable.example.com}
spec:
  group: stable.example.com
  scope: Namespaced
  names: {plural: crontabs, kind: CronTab}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
YAML
    retry 10 kubectl get apiservice v1.stable.example.com >/dev/null 2>&1
    kubectl delete apiservice v1.stable.example.com >/dev/null
    retry 10 kubectl get apiservice v1.stable.example.com >/dev/null 2>&1
    kubectl delete crd crontabs.stable.example.com >/dev/null
    gone() { ! kubectl get apiservice "$1" >/dev/null 2>&1; }
    retry 10 gone v1.stable.example.com
    say "one that somebody makes stays until somebody deletes it"
    kubectl create -f - >/dev/null <<YAML
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: v1.nothing.example.com}
spec: {group: nothing.example.com, version: v1, groupPriorityMinimum: 1, versionPriority: 1}
YAML
    says v1.nothing.example.com Local || fail "a local APIService is not available"
    kubectl delete apiservice v1.nothing.example.com >/dev/null
}

unavailable() {
    say "a server that is not there"
    kubectl create namespace extension >/dev/null
    kubectl create -f - >/dev/null <<YAML
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: $NAME}
spec:
  group: $GROUP
  version: v1alpha1
  groupPriorityMinimum: 2000
  versionPriority: 200
  caBundle: $(base64 -w0 <"$WORK/ca.crt")
  service: {namespace: extension, name: wardle, port: 7443}
YAML
    retry 10 says $NAME ServiceNotFound
    [ "$(condition $NAME message)" = 'service/wardle in "extension" is not present' ] || fail "$(condition $NAME message)"
    expect_error "currently unable to handle the request" kubectl get --raw $ROOT_PATH
    [ "$(curl -sk -w ' %{http_code}' -H "Authorization: Bearer $TOKEN" "https://127.0.0.1:$PORT$ROOT_PATH")" = \
        $'service unavailable\n 503' ] || fail "not the reference's answer"
    kubectl get --raw /apis | grep_for "\"$GROUP\""
    kubectl create -f - >/dev/null <<YAML
apiVersion: v1
kind: Service
metadata: {name: wardle, namespace: extension}
spec: {ports: [{name: https, port: 443, targetPort: $EXTENSION_PORT}]}
YAML
    retry 10 says $NAME ServicePortError
    kubectl patch service -n extension wardle --type merge \
        -p '{"spec":{"ports":[{"name":"https","port":7443,"targetPort":'"$EXTENSION_PORT"'}]}}' >/dev/null
    retry 10 says $NAME EndpointsNotFound
    slice '[]'
    retry 10 says $NAME MissingEndpoints
    slice '[{addresses: ['"$ADDRESS"'], conditions: {ready: true}}]'
    retry 10 says $NAME FailedDiscoveryCheck
    condition $NAME message | grep -qE "^failing or missing response from https://$ADDRESS:$EXTENSION_PORT$ROOT_PATH: .*connection refused$" ||
        fail "$(condition $NAME message)"
}

slice() {
    kubectl apply -f - >/dev/null <<YAML
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
addressType: IPv4
metadata: {name: wardle-1, namespace: extension, labels: {kubernetes.io/service-name: wardle}}
endpoints: $1
ports: [{name: https, port: $EXTENSION_PORT, protocol: TCP}]
YAML
}

requests() {
    say "a server that is there"
    start_extension
    retry 40 says $NAME Passed
    kubectl get apiservices | grep -qE "^$NAME +extension/wardle +True " || fail "$(kubectl get apiservice $NAME)"
    found() { kubectl api-resources --api-group $GROUP | grep -qE '^flunders +fl +wardle.example.com/v1alpha1 +true +Flunder'; }
    retry 10 found
    kubectl get --raw /apis/$GROUP | grep_for '"preferredVersion":{"groupVersion":"wardle.example.com/v1alpha1"'
    aggregated() {
        curl -sk -H "Authorization: Bearer $TOKEN" "https://127.0.0.1:$PORT/apis" \
            -H 'Accept: application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList' |
            python3 -c 'import json, sys
groups = json.load(sys.stdin)["items"]
found = [g for g in groups if g["metadata"]["name"] == "wardle.example.com"]
assert found and found[0]["versions"][0]["freshness"] == sys.argv[1], found
names = [g["metadata"]["name"] for g in groups]
assert names.index("storagemigration.k8s.io" if "storagemigration.k8s.io" in names else "apps") < names.index("wardle.example.com")' "$1"
    }
    aggregated Current

    kubectl create -f - >/dev/null <<YAML
apiVersion: $GROUP/v1alpha1
kind: Flunder
metadata: {name: one, namespace: extension}
spec: {reference: two}
YAML
    kubectl get flunders -n extension one -o yaml | grep_for 'made-by: kubernetes-admin'
    kubectl get fl -A -o name | grep_for flunder.wardle.example.com/one
    kubectl patch flunder -n extension one --type merge -p '{"spec":{"reference":"three"}}' >/dev/null
    [ "$(kubectl get fl -n extension one -o jsonpath='{.spec.reference}')" = three ] || fail "not patched"
    kubectl explain flunders.spec.reference | grep_for "Another flunder's name"
    # The server does not say that it knows field validation, so kubectl checks by itself.
    expect_error 'unknown field "nothing" in com.example.wardle.v1alpha1.Flunder.spec' kubectl create -f - <<YAML
apiVersion: $GROUP/v1alpha1
kind: Flunder
metadata: {name: two, namespace: extension}
spec: {nothing: x}
YAML
    kubectl get --raw /openapi/v2 | grep_for com.example.wardle.v1alpha1.Flunder

    say "a watch streams"
    kubectl get flunders -n extension --watch -o name >"$WORK/watch.txt" &
    local watch=$!
    retry 10 grep -q /one "$WORK/watch.txt"
    kubectl create -f - >/dev/null <<YAML
apiVersion: $GROUP/v1alpha1
kind: Flunder
metadata: {name: two, namespace: extension}
YAML
    retry 10 grep -q /two "$WORK/watch.txt"
    kill "$watch"
    kubectl delete flunder -n extension two >/dev/null

    say "the user is passed on, credentials and claims are not"
    kubectl create clusterrolebinding developers --clusterrole cluster-admin --group developers >/dev/null
    kubectl get --raw $ROOT_PATH/identity --as jane --as-group developers --as-uid 42 --as-user-extra scopes=a >"$WORK/who.json"
    python3 - "$WORK/who.json" <<'PY'
import json, sys
headers = [tuple(h) for h in json.load(open(sys.argv[1]))["headers"]]
for wanted in [("x-remote-user", "jane"), ("x-remote-group", "developers"), ("x-remote-group", "system:authenticated"),
               ("x-remote-uid", "42"), ("x-remote-extra-scopes", "a")]:
    assert wanted in headers, (wanted, headers)
assert not [h for h in headers if h[0] == "authorization" or h[0].startswith("impersonate")], headers
PY
    curl -sk -H "Authorization: Bearer $TOKEN" -H 'X-Remote-User: admin' -H 'X-Remote-Group: system:masters' \
        "https://127.0.0.1:$PORT$ROOT_PATH/identity" >"$WORK/who.json"
    python3 - "$WORK/who.json" <<'PY'
import json, sys
headers = [tuple(h) for h in json.load(open(sys.argv[1]))["headers"]]
assert [h for h in headers if h[0] == "x-remote-user"] == [("x-remote-user", "system:serviceaccount:extension-callers:caller")], headers
assert ("x-remote-group", "system:masters") not in headers, headers
assert not [h for h in headers if h[0] == "authorization"], headers
PY
    expect_error "forbidden" kubectl get flunders -n extension --as nobody
    curl -sk -H "Authorization: Bearer $TOKEN" "https://127.0.0.1:$PORT$ROOT_PATH/away" |
        grep_for 'attempted to redirect this request, which is not permitted'

    say "a connection is upgraded"
    python3 - "$PORT" "$TOKEN" "$ROOT_PATH/echo" <<'PY'
import socket, ssl, sys
context = ssl._create_unverified_context()
with context.wrap_socket(socket.create_connection(("127.0.0.1", int(sys.argv[1])))) as s:
    s.sendall(f"GET {sys.argv[3]} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {sys.argv[2]}\r\n"
              "Connection: Upgrade\r\nUpgrade: echo\r\n\r\n".encode())
    head = b""
    while b"\r\n\r\n" not in head:
        head += s.recv(1)
    assert head.startswith(b"HTTP/1.1 101 "), head
    s.sendall(b"hello")
    assert s.recv(5) == b"hello"
PY
}

goes_away() {
    say "a server that goes away"
    stop_extension
    kubectl annotate service -n extension wardle looked-at=now >/dev/null
    retry 40 says $NAME FailedDiscoveryCheck
    expect_error "currently unable to handle the request" kubectl get --raw $ROOT_PATH
    aggregated Stale
    kubectl get pods -n extension >/dev/null 2>&1
    say "with another certificate authority it is not believed"
    start_extension
    retry 40 says $NAME Passed
    kubectl patch apiservice $NAME --type merge -p '{"spec":{"caBundle":"'"$(base64 -w0 <"$DATA/pki/ca.crt")"'"}}' >/dev/null
    retry 10 says $NAME FailedDiscoveryCheck
    condition $NAME message | grep_for 'certificate signed by unknown authority'
    kubectl patch apiservice $NAME --type merge -p '{"spec":{"caBundle":null,"insecureSkipTLSVerify":true}}' >/dev/null
    retry 40 says $NAME Passed
    say "after a restart it is all as it was"
    restart_server
    retry 40 kubectl get flunders -n extension >/dev/null 2>&1
    say "a deleted APIService leads nowhere"
    kubectl delete apiservice $NAME >/dev/null
    nothing() { ! kubectl get --raw $ROOT_PATH >/dev/null 2>&1 && ! kubectl get --raw /apis | grep_for $GROUP; }
    retry 10 nothing
}

start_server apiserver
make_certificates
EXTENSION_PORT=$(free_port)
local_services
kubectl create namespace extension-callers >/dev/null
prepare_caller() {
    kubectl create serviceaccount -n "$1" caller >/dev/null
    kubectl create clusterrolebinding caller --clusterrole cluster-admin --serviceaccount "$1:caller" >/dev/null
    kubectl create token -n "$1" caller
}
TOKEN=$(prepare_caller extension-callers)
unavailable
requests
goes_away
stop_extension
stop_server
say "aggregation: all well"
