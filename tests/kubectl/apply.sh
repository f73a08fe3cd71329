# apply by the client and by the server, with pruning, dry runs and diffs; kustomize; edit; replace; patch.
config() { printf 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, labels: {set: one}}\ndata: {a: "%s"}\n---\n' "$1" "$2"; }
{ config first 1; config second 1; } >both.yaml
says 'configmap/first created' kubectl apply -f both.yaml
says 'configmap/second unchanged' kubectl apply -f both.yaml
sed -i 's/a: "1"/a: "2"/' both.yaml
says 'first configured \(server dry run\)' kubectl apply -f both.yaml --dry-run=server
is 1 field .data.a configmap first
if kubectl diff -f both.yaml >out; then fail "diff saw nothing"; fi
says '^\+  a: "2"' cat out
if kubectl diff --server-side -f both.yaml >out; then fail "diff saw nothing"; fi
says 'configmap/second configured' kubectl apply -f both.yaml
kubectl diff -f both.yaml || fail "diff saw something"
config first 2 >first.yaml
says 'configmap/second pruned' kubectl apply -f first.yaml --prune -l set=one --prune-allowlist=core/v1/ConfigMap
says serverside-applied kubectl apply -f first.yaml --server-side
sed -i 's/a: "2"/a: "3"/' first.yaml
refused 'conflict with "kubectl"' kubectl apply -f first.yaml --server-side --field-manager=other
says serverside-applied kubectl apply -f first.yaml --server-side --field-manager=other --force-conflicts
is 3 field .data.a configmap first
export KUBECTL_APPLYSET=true
says 'second created' kubectl apply -f both.yaml --prune --applyset=configmap/set -n "$NS"
config second 2 >second.yaml
says 'first pruned' kubectl apply -f second.yaml --prune --applyset=configmap/set -n "$NS"
unset KUBECTL_APPLYSET
says 'a: "2"' kubectl apply view-last-applied configmap/second
says second kubectl apply set-last-applied -f second.yaml --create-annotation
printf '#!/bin/sh\nsed -i %s "$1"\n' "'s/a: .2.$/a: \"4\"/'" >editor && chmod +x editor
EDITOR=./editor says edited kubectl apply edit-last-applied configmap/second
says 'a: "4"' kubectl apply view-last-applied configmap/second

mkdir layer
config plain 1 >layer/plain.yaml
printf 'resources: [plain.yaml]\nnamePrefix: layer-\nconfigMapGenerator: [{name: made, literals: [a=b]}]\n' >layer/kustomization.yaml
says 'name: layer-plain' kubectl kustomize layer
says 'configmap/layer-plain created' kubectl apply -k layer
says 'layer-plain.* deleted' kubectl delete -k layer
rm -r layer

kubectl create deployment web --image=example.test/web:1 >out
EDITOR='sed -i s/web:1/web:2/' says edited kubectl edit deployment/web
is example.test/web:2 field '.spec.template.spec.containers[0].image' deployment web
EDITOR=true says 'no changes made' kubectl edit deployment/web
kubectl get configmap second -o yaml | sed 's/a: .*/a: "9"/' >second.yaml
says replaced kubectl replace -f second.yaml
is 9 field .data.a configmap second
refused 'the object has been modified' kubectl replace -f second.yaml
before=$(field .metadata.uid configmap second)
says replaced kubectl replace --force -f second.yaml
[ "$(field .metadata.uid configmap second)" != "$before" ] || fail "replace --force kept the object"

says patched kubectl patch configmap second --type=json -p '[{"op":"add","path":"/data/z","value":"1"},{"op":"test","path":"/data/a","value":"9"}]'
says patched kubectl patch configmap second --type=merge -p '{"data":{"a":null}}'
is '{"z":"1"}' field .data configmap second
says patched kubectl patch deployment web -p '{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"A","value":"b"}]}]}}}}'
is example.test/web:2 field '.spec.template.spec.containers[0].image' deployment web
says patched kubectl patch deployment web --subresource=scale --type=merge -p '{"spec":{"replicas":2}}'
is 2 field .spec.replicas deployment web
says patched kubectl patch deployment web --subresource=status --type=merge -p '{"spec":{"replicas":7},"status":{"collisionCount":1}}'
is '2 1' kubectl get deployment web -o 'jsonpath={.spec.replicas} {.status.collisionCount}'
refused 'Invalid value|doesn.t match|not match|the server rejected' kubectl patch configmap second --type=json -p '[{"op":"test","path":"/data/z","value":"no"}]'

says labeled kubectl label configmap second x=y
refused "already has a value" kubectl label configmap second x=z
says labeled kubectl label --overwrite configmap second x=z
says unlabeled kubectl label configmap second x-
says labeled kubectl label configmaps --all all=yes
says 'all=yes' kubectl label configmap second --list
says annotate kubectl annotate configmap second x=y
is y field .metadata.annotations.x configmap second
says annotate kubectl annotate configmap second x-

# All ways to delete.
for number in 1 2 3 4 5; do kubectl create configmap "n$number" >out && kubectl label configmap "n$number" n=x >out; done
says '"n1" deleted' kubectl delete configmaps -l n=x --field-selector metadata.name=n1
says 'server dry run' kubectl delete configmap n2 --dry-run=server
says '"n5" deleted' kubectl delete configmaps -l n=x
is '' kubectl delete configmap n2 --ignore-not-found
refused '"n2" not found' kubectl delete configmap n2
soon 2 .status.readyReplicas deployment web
says deleted kubectl delete deployment web --cascade=orphan
is 0 bash -c 'sleep 1; kubectl get replicasets -o "jsonpath={.items[*].metadata.ownerReferences}" | wc -c'
says deleted kubectl delete replicasets --all --cascade=foreground --timeout=20s
is '' kubectl get pods -l app=web -o name
kubectl run single --image=x >out
says 'condition met' kubectl wait pod/single --for=condition=Ready --timeout=20s
(sleep 1; kubectl delete pod single --grace-period=1 --wait=false) >out &
says 'condition met' kubectl wait pod/single --for=delete --timeout=20s
wait $!
kubectl run forced --image=x >out
says 'force deleted' kubectl delete pod forced --force --grace-period=0
