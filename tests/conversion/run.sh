#!/usr/bin/env bash
# Custom resources in two versions with kubectl, converted by nobody, by a component, and by a webhook over TLS: read,
# listed, watched, written, applied, scaled and deleted in each version; what is stored stays in the storage version, and
# what goes wrong changes nothing.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"
HERE=$(cd "$(dirname "$0")" && pwd)
GUESTS=$ROOT/target/guests
CRD=crontabs.stable.example.com
V1=crontabs.v1.stable.example.com V2=crontabs.v2.stable.example.com

start_server apiserver

crontab() { printf '{apiVersion: stable.example.com/%s, kind: CronTab, metadata: {name: %s}, spec: %s}' "$1" "$2" "$3"; }
# is RESOURCE NAME JSONPATH EXPECTED
is() {
    local found
    found=$(kubectl get "$1" "$2" -o "jsonpath=$3") || fail "$1 $2 cannot be read"
    [ "$found" = "$4" ] || fail "$1 $2 $3: expected «$4», got «$found»"
}
stores() {
    kubectl patch crd $CRD --type=json -p "[{\"op\": \"test\", \"path\": \"/spec/versions/0/name\", \"value\": \"v1\"},
        {\"op\": \"replace\", \"path\": \"/spec/versions/0/storage\", \"value\": $([ "$1" = v1 ] && echo true || echo false)},
        {\"op\": \"replace\", \"path\": \"/spec/versions/1/storage\", \"value\": $([ "$1" = v2 ] && echo true || echo false)}]"
}
# A raw watch of the collection in a version, into a file, until it is killed.
watch() { kubectl get --raw "/apis/stable.example.com/$1/namespaces/default/crontabs?watch=1&$3" >"$2" & }
requests() { wc -l <"$WORK/requests" 2>/dev/null || echo 0; }

# What holds whoever converts.
conversions() {
    say "written in one version, read in the other"
    crontab v1 old '{hostPort: "a.example:80"}' | kubectl apply -f -
    crontab v2 new '{host: b.example, port: 81}' | kubectl apply -f -
    is $V2 old '{.spec.host} {.spec.port} {.spec.hostPort}' 'a.example 80 '
    is $V1 new '{.spec.hostPort} {.spec.host}' 'b.example:81 '
    is $V1 new '{.metadata.generation}' 1
    kubectl get $V2 old -o jsonpath='{.apiVersion}' | grep_for 'stable.example.com/v2'
    kubectl get $V2 -o json | python3 -c '
import json, sys
items = {i["metadata"]["name"]: i for i in json.load(sys.stdin)["items"]}
assert sorted(items) == ["new", "old"], items
assert all(i["apiVersion"] == "stable.example.com/v2" for i in items.values()), items
assert items["old"]["spec"]["host"] == "a.example" and items["new"]["spec"]["port"] == 81, items'

    say "patched, replaced and scaled in the version that is not stored"
    kubectl patch $V2 old --type=merge -p '{"spec": {"port": 8080}}'
    is $V1 old '{.spec.hostPort} {.metadata.generation}' 'a.example:8080 2'
    kubectl get $V2 old -o json | sed 's/a\.example/c.example/' | kubectl replace -f -
    is $V1 old '{.spec.hostPort}' c.example:8080
    kubectl scale $V2 old --replicas=3
    is $V1 old '{.spec.replicas} {.spec.hostPort}' '3 c.example:8080'
    kubectl patch $V2 old --subresource=status --type=merge -p '{"status": {"replicas": 2}, "spec": {"port": 1}}'
    is $V1 old '{.status.replicas} {.spec.hostPort}' '2 c.example:8080'
    kubectl patch $V2 old --type=merge -p '{"spec": {"port": 8080}}' | grep_for 'no change'

    say "fields are selected in the version that is asked"
    [ "$(kubectl get $V2 --field-selector spec.host=b.example -o name)" = crontab.stable.example.com/new ] || fail "v2"
    [ "$(kubectl get $V1 --field-selector spec.hostPort=b.example:81 -o name)" = crontab.stable.example.com/new ] || fail "v1"
    expect_error 'field label not supported: spec.hostPort' kubectl get $V2 --field-selector spec.hostPort=x

    say "watched in both versions"
    watch v1 "$WORK/watch1" timeoutSeconds=60; local first=$!
    watch v2 "$WORK/watch2" timeoutSeconds=60; local second=$!
    watch v2 "$WORK/watch3" "timeoutSeconds=60&fieldSelector=spec.host%3Dd.example"; local third=$!
    sleep 1
    crontab v1 seen '{hostPort: "d.example:90"}' | kubectl create -f -
    kubectl patch $V1 seen --type=merge -p '{"spec": {"hostPort": "e.example:90"}}'
    kubectl delete $V2 seen
    sleep 1
    kill $first $second $third; wait $first $second $third || true
    WORK=$WORK python3 - <<'EOF'
import json, os
def events(name):
    lines = [json.loads(line) for line in open(os.path.join(os.environ["WORK"], name))]
    return [(e["type"], e["object"]["apiVersion"][-2:], e["object"]["spec"]) for e in lines
            if e["object"]["metadata"]["name"] == "seen"]
one, two, three = events("watch1"), events("watch2"), events("watch3")
assert [(t, v, s["hostPort"]) for t, v, s in one] == [
    ("ADDED", "v1", "d.example:90"), ("MODIFIED", "v1", "e.example:90"), ("DELETED", "v1", "e.example:90")], one
assert [(t, v, s["host"], s["port"]) for t, v, s in two] == [
    ("ADDED", "v2", "d.example", 90), ("MODIFIED", "v2", "e.example", 90), ("DELETED", "v2", "e.example", 90)], two
# What no longer matches is deleted for this watcher, and looks as it was known.
assert [(t, s["host"]) for t, _, s in three] == [("ADDED", "d.example"), ("DELETED", "d.example")], three
EOF

    say "applied in both versions: owners keep their own version's paths"
    crontab v1 shared '{hostPort: "a.example:80"}' | kubectl apply --server-side --field-manager=one -f -
    crontab v2 shared '{replicas: 5}' | kubectl apply --server-side --field-manager=two -f -
    is $V1 shared '{.spec.hostPort} {.spec.replicas}' 'a.example:80 5'
    crontab v2 shared '{port: 99}' | expect_error 'conflict with "one"' kubectl apply --server-side --field-manager=two -f -
    # What an applier no longer names goes, in whichever version it named it.
    crontab v2 shared '{host: z.example, port: 7}' | kubectl apply --server-side --force-conflicts --field-manager=two -f -
    is $V1 shared '{.spec.hostPort} {.spec.replicas}' 'z.example:7 1'
    kubectl get $V1 shared -o json --show-managed-fields | python3 -c '
import json, sys
owners = {f["manager"]: f for f in json.load(sys.stdin)["metadata"]["managedFields"]}
assert "one" not in owners, owners
assert owners["two"]["apiVersion"] == "stable.example.com/v2", owners
assert set(owners["two"]["fieldsV1"]["f:spec"]) == {"f:host", "f:port"}, owners'

    say "a map named selector is owned key by key"
    crontab v1 shared '{selector: {a: "1"}}' | kubectl apply --server-side --field-manager=three -f -
    crontab v1 shared '{selector: {b: "2"}}' | kubectl apply --server-side --field-manager=four -f -
    is $V2 shared '{.spec.selector}' '{"a":"1","b":"2"}'

    say "another storage version"
    stores v2
    retry 5 bash -c "kubectl get crd $CRD -o 'jsonpath={.status.storedVersions}' | grep_for 'v1.*v2'"
    crontab v1 third '{hostPort: "f.example:70"}' | kubectl create -f -
    is $V1 old '{.spec.hostPort}' c.example:8080
    is $V2 old '{.spec.host}' c.example
    is $V1 third '{.spec.hostPort}' f.example:70
    is $V2 third '{.spec.host}' f.example
    [ "$(kubectl get $V1 -o name | wc -l)" = 4 ] || fail "not all are listed"
    expect_error 'missing from spec.versions' kubectl patch crd $CRD --type=json -p '[{"op": "remove", "path": "/spec/versions/0"}]'
    restart_server
    is $V1 third '{.spec.hostPort}' f.example:70
    is $V1 old '{.spec.hostPort}' c.example:8080
    stores v1

    say "deleted in either version"
    kubectl delete $V2 old new
    kubectl delete $V2 --all
    [ -z "$(kubectl get $V1 -o name)" ] || fail "something is left"
}

say "nobody converts: only the name of the version changes, and each version keeps its own fields"
kubectl apply -f "$HERE/crd.yaml"
kubectl wait --for=condition=Established crd/$CRD --timeout=10s
retry 5 kubectl get $V2
crontab v1 plain '{hostPort: "a.example:80", replicas: 2}' | kubectl apply -f -
is $V2 plain '{.spec.hostPort}{.spec.replicas}' 2
is $V1 plain '{.spec.hostPort}' a.example:80
kubectl delete $V1 plain

say "a component that is not there converts nothing"
kubectl annotate crd $CRD plugins.portcullis.dev/converter=crontab-versions
crontab v1 stored '{hostPort: "a.example:80"}' | kubectl create -f -
is $V1 stored '{.spec.hostPort}' a.example:80
expect_error 'conversion by plugin "crontab-versions" for stable.example.com/v2, Kind=CronTab failed: there is no plugin' \
    kubectl get $V2 stored
expect_error 'there is no plugin' kubectl get $V2
crontab v2 refused '{host: x}' | expect_error 'there is no plugin' kubectl create -f -
[ "$(kubectl get $V1 -o name)" = crontab.stable.example.com/stored ] || fail "half applied"

say "a component converts"
plugin() {
    printf '{apiVersion: plugins.portcullis.dev/v1alpha1, kind: Plugin, metadata: {name: crontab-versions}, spec: %s}' \
        "{stage: converter, source: {file: $GUESTS/crontab-versions.wasm}, match: $1}" | kubectl apply -f -
}
plugin '{apiGroups: [stable.example.com], resources: [others]}'
retry 10 bash -c "kubectl get $V2 stored 2>&1 | grep_for 'its match does not let'"
plugin '{apiGroups: [stable.example.com], resources: [crontabs]}'
retry 10 kubectl get $V2 stored
is $V2 stored '{.spec.host}:{.spec.port}' a.example:80
crontab v1 bad '{hostPort: "a:b"}' | kubectl create -f -
expect_error 'conversion by plugin "crontab-versions" for stable.example.com/v1, Kind=CronTab failed: bad: spec.hostPort' \
    kubectl get $V2 bad
expect_error 'has no port' kubectl get $V2
kubectl delete $V1 bad stored
conversions

say "a webhook converts, spoken to in either version of ConversionReview"
kubectl delete plugin crontab-versions
kubectl annotate crd $CRD plugins.portcullis.dev/converter-
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$WORK/key.pem" -out "$WORK/cert.pem" 2>/dev/null
python3 "$HERE/webhook.py" "$WORK/cert.pem" "$WORK/key.pem" "$WORK/requests" >"$WORK/port" &
WEBHOOK=$!
trap 'kill -9 "$SERVER" "$WEBHOOK" 2>/dev/null || true; rm -rf "$WORK"' EXIT
retry 10 test -s "$WORK/port"
url=https://127.0.0.1:$(cat "$WORK/port")/convert
by_webhook() {
    kubectl patch crd $CRD --type=merge -p "{\"spec\": {\"conversion\": {\"strategy\": \"Webhook\", \"webhook\": {
        \"conversionReviewVersions\": [\"$1\"],
        \"clientConfig\": {\"url\": \"$url\", \"caBundle\": \"$(base64 -w0 "$WORK/cert.pem")\"}}}}}"
    sleep 1
}
for review in v1beta1 v1; do
    by_webhook $review
    : >"$WORK/requests"
    conversions
    grep_for "^$review v2" "$WORK/requests"
    [ "$(cut -d' ' -f1 "$WORK/requests" | sort -u)" = $review ] || fail "another version of ConversionReview was spoken"
done

say "a list is one batch, and a conversion is asked for once"
for i in $(seq 1 5); do crontab v1 "n$i" '{hostPort: "a.example:80"}'; echo; echo ---; done | kubectl create -f -
is $V1 n1 '{.metadata.annotations.converted}' ''
: >"$WORK/requests"
[ "$(kubectl get $V2 -o name | wc -l)" = 5 ] || fail "not all are listed"
for _ in 1 2 3; do kubectl get $V2 n1 -o name; kubectl get $V2 -o name; done
[ "$(cat "$WORK/requests")" = "v1 v2 5" ] || fail "asked for: $(cat "$WORK/requests")"
is $V2 n1 '{.metadata.annotations.converted}' yes

say "mistakes are told, and nothing is stored"
mistake() {
    echo "$1" >"$WORK/mode"
    kubectl label $V1 n1 --overwrite mistake="$1" >/dev/null
    expect_error "$2" kubectl get $V2 n1
    crontab v2 wrong '{host: x}' | expect_error 'conversion webhook for stable.example.com/v2, Kind=CronTab' kubectl create -f -
    expect_error 'not found' kubectl get $V1 wrong
}
of='conversion webhook for stable.example.com/v1, Kind=CronTab'
mistake failed "$of failed: not today"
mistake uid "$of failed: expected response.uid="
mistake count "$of returned 0 objects, expected 1"
mistake name "$of returned invalid object: must have the same name: n1 != other"
mistake version "$of returned invalid object at index 0: invalid groupVersion (expected stable.example.com/v2, received stable.example.com/v9)"
mistake 500 "$of failed: "
rm "$WORK/mode"
is $V2 n1 '{.spec.host}' a.example
kill $WEBHOOK; wait $WEBHOOK || true
kubectl label $V1 n2 x=y
expect_error "$of failed: Post \"$url?timeout=30s\": dial tcp" kubectl get $V2 n2
is $V1 n2 '{.spec.hostPort}' a.example:80

say "a definition ends with its instances, though nobody can convert them"
kubectl delete crd $CRD --timeout=20s
stop_server
echo "conversion: ok"
