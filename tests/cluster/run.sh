#!/usr/bin/env bash
# A whole cluster with a node that runs nothing: what controllers and the scheduler do to keep it as it is wished for, and
# what requests are told of flow control.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"

start_server up --no-kubelet
start_hollow_node hollow

is() { # WHAT EXPECTED FOUND
    [ "$2" = "$3" ] || fail "$1: expected «$2», got «$3»"
}
# settles EXPECTED COMMAND…: until the command says that
settles() { retry 30 bash -c '[ "$1" = "$("${@:2}" 2>/dev/null)" ]' _ "$@"; }
mirrors() { kubectl get endpointslices -l kubernetes.io/service-name=db -o jsonpath="{range .items[*]}$1 {end}"; }
export -f mirrors

say "Endpoints of a service without a selector are mirrored"
kubectl create -f - >/dev/null <<'YAML'
{kind: Service, apiVersion: v1, metadata: {name: db}, spec: {ports: [{port: 80, name: sql}]}}
YAML
kubectl create -f - >/dev/null 2>&1 <<'YAML'
kind: Endpoints
apiVersion: v1
metadata: {name: db, labels: {tier: data}}
subsets: [{addresses: [{ip: 10.9.0.1}, {ip: "fd09::1"}], notReadyAddresses: [{ip: 10.9.0.2}], ports: [{port: 5432, name: sql}]}]
YAML
settles "2" bash -c 'kubectl get endpointslices -l kubernetes.io/service-name=db -o name | wc -l'
is "the families" "IPv4 IPv6" "$(mirrors '{.addressType}' | xargs -n1 | sort | xargs)"
is "the readiness" "true false" "$(kubectl get endpointslices -l kubernetes.io/service-name=db \
    -o jsonpath='{range .items[?(@.addressType=="IPv4")]}{.endpoints[*].conditions.ready}{end}')"
is "the labels" "data data " "$(mirrors '{.metadata.labels.tier}')"
say "mirrors follow, come back, and go"
kubectl patch endpoints db --type json -p '[{"op":"remove","path":"/subsets/0/addresses/1"}]' >/dev/null 2>&1
settles "IPv4 " mirrors '{.addressType}'
kubectl delete endpointslices -l kubernetes.io/service-name=db >/dev/null
settles "10.9.0.1 10.9.0.2 " mirrors '{.endpoints[*].addresses[0]}'
kubectl delete endpoints db >/dev/null 2>&1
settles "" mirrors '{.addressType}'

say "slices of pods that are deleted come back"
kubectl create deployment web --image=web --replicas=2 >/dev/null
kubectl expose deployment web --port=80 >/dev/null
slices() { kubectl get endpointslices -l kubernetes.io/service-name=web -o jsonpath='{.items[*].endpoints[*].conditions.ready}'; }
export -f slices
settles "true true" slices
kubectl delete endpointslices -l kubernetes.io/service-name=web >/dev/null
settles "true true" slices
settles "1" bash -c 'kubectl get endpointslices -l kubernetes.io/service-name=web -o name | wc -l'

say "pods that wait for each other's end in a circle end"
pod() { printf '{"kind":"Pod","apiVersion":"v1","metadata":{"name":"%s"},"spec":{"containers":[{"name":"c","image":"i"}]}}' "$1"; }
for name in a b c; do pod "$name" | kubectl create -f - >/dev/null; done
for pair in a:c b:a c:b; do
    uid=$(kubectl get pod "${pair#*:}" -o jsonpath='{.metadata.uid}')
    kubectl patch pod "${pair%:*}" --type merge -p "{\"metadata\":{\"ownerReferences\":[{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\
\"name\":\"${pair#*:}\",\"uid\":\"$uid\",\"controller\":true,\"blockOwnerDeletion\":true}]}}" >/dev/null
done
kubectl delete pod a --cascade=foreground --wait=false >/dev/null
settles "" kubectl get pods a b c --ignore-not-found -o name

say "a Job takes its pod back"
kubectl create -f - >/dev/null <<'YAML'
kind: Job
apiVersion: batch/v1
metadata: {name: job}
spec: {template: {spec: {restartPolicy: Never, containers: [{name: lasts, image: i}]}}}
YAML
owner() { kubectl get pods -l job-name=job -o jsonpath='{.items[*].metadata.ownerReferences[*].name}'; }
export -f owner
settles "job" owner
kubectl patch "$(kubectl get pods -l job-name=job -o name)" --type merge -p '{"metadata":{"ownerReferences":null}}' >/dev/null
settles "job" owner

say "in a namespace that ends, pods go before all else"
kubectl create namespace ends >/dev/null
kubectl -n ends create configmap kept >/dev/null
pod held | kubectl -n ends create -f - >/dev/null
kubectl -n ends patch pod held --type merge -p '{"metadata":{"finalizers":["example.org/held"]}}' >/dev/null
kubectl delete namespace ends --wait=false >/dev/null
settles "Some resources are remaining: pods. has 1 resource instances" kubectl get namespace ends \
    -o jsonpath='{.status.conditions[?(@.type=="NamespaceContentRemaining")].message}'
is "the ConfigMap" "configmap/kept" "$(kubectl -n ends get configmap kept -o name)"
kubectl -n ends patch pod held --type merge -p '{"metadata":{"finalizers":null}}' >/dev/null
settles "" kubectl get namespace ends --ignore-not-found -o name

say "a pod of higher priority has others removed, and no more than it must"
for class in low:1 high:1000; do kubectl create priorityclass "${class%:*}" --value="${class#*:}" >/dev/null; done
sized() { # NAME CLASS CPU
    printf '{"kind":"Pod","apiVersion":"v1","metadata":{"name":"%s"},"spec":{"priorityClassName":"%s","containers":[
        {"name":"c","image":"i","resources":{"requests":{"cpu":"%s"}}}]}}' "$@" | kubectl create -f - >/dev/null
}
sized big low 9
sized small low 3
for name in big small; do settles "Running" kubectl get pod "$name" -o jsonpath='{.status.phase}'; done
kubectl patch pod big --type merge -p '{"metadata":{"finalizers":["example.org/held"]}}' >/dev/null
sized wants high 8
settles "hollow" kubectl get pod wants -o jsonpath='{.status.nominatedNodeName}'
settles "PreemptionByScheduler" kubectl get pod big -o jsonpath='{.status.conditions[?(@.type=="DisruptionTarget")].reason}'
# The room is kept for who had it made.
sized other low 6
kubectl patch pod big --type merge -p '{"metadata":{"finalizers":null}}' >/dev/null
settles "Running" kubectl get pod wants -o jsonpath='{.status.phase}'
is "the small one" "Running" "$(kubectl get pod small -o jsonpath='{.status.phase}')"
is "another that came before the room was free" "Pending" "$(kubectl get pod other -o jsonpath='{.status.phase}')"
is "the nomination" "" "$(kubectl get pod wants -o jsonpath='{.status.nominatedNodeName}')"
kubectl delete pod wants small other --wait=false >/dev/null

say "an evicted pod says so"
pod evicted | kubectl create -f - >/dev/null
settles "Running" kubectl get pod evicted -o jsonpath='{.status.phase}'
kubectl patch pod evicted --type merge -p '{"metadata":{"finalizers":["example.org/held"]}}' >/dev/null
echo '{"kind":"Eviction","apiVersion":"policy/v1","metadata":{"name":"evicted"}}' |
    kubectl create --raw /api/v1/namespaces/default/pods/evicted/eviction -f - >/dev/null
is "the reason" "EvictionByEvictionAPI" \
    "$(kubectl get pod evicted -o jsonpath='{.status.conditions[?(@.type=="DisruptionTarget")].reason}')"
kubectl patch pod evicted --type merge -p '{"metadata":{"finalizers":null}}' >/dev/null

say "requests are classified, and answers say how"
headers() { # USER: what its request was classified as
    curl -sk --cert "$DATA/pki/admin.crt" --key "$DATA/pki/admin.key" -H "Impersonate-User: $1" \
        -H "Impersonate-Group: system:authenticated" -o /dev/null -D - "https://127.0.0.1:$PORT/version" |
        tr -d '\r' | sed -n 's/^x-kubernetes-pf-flowschema-uid: //p'
}
uid() { kubectl get flowschema "$1" -o jsonpath='{.metadata.uid}'; }
is "somebody" "$(uid global-default)" "$(headers somebody)"
kubectl create -f - >/dev/null <<'YAML'
kind: List
apiVersion: v1
items:
- kind: PriorityLevelConfiguration
  apiVersion: flowcontrol.apiserver.k8s.io/v1
  metadata: {name: own}
  spec: {type: Limited, limited: {nominalConcurrencyShares: 5, limitResponse: {type: Reject}}}
- kind: FlowSchema
  apiVersion: flowcontrol.apiserver.k8s.io/v1
  metadata: {name: own}
  spec:
    priorityLevelConfiguration: {name: own}
    matchingPrecedence: 10
    rules:
    - subjects: [{kind: User, user: {name: somebody}}]
      nonResourceRules: [{verbs: ["*"], nonResourceURLs: ["*"]}]
YAML
export -f headers; export DATA PORT
settles "$(uid own)" headers somebody
is "others" "$(uid global-default)" "$(headers other)"
kubectl get --raw /metrics | grep_for 'apiserver_flowcontrol_nominal_limit_seats{priority_level="own"}' ||
    fail "no metrics of the level"
kubectl get --raw /metrics/slis | grep_for 'kubernetes_healthcheck{name="etcd",type="readyz"} 1' || fail "no health in /metrics/slis"
expect_error 'invalid timeout specified in the request URL - time: invalid duration "soon"' \
    kubectl get --raw '/version?timeout=soon'

say "a kubelet keeps to its own"
node="--as=system:node:hollow --as-group=system:nodes"
kubectl $node label node hollow disk=ssd >/dev/null
expect_error 'is not allowed to modify labels: node-role.kubernetes.io/x' kubectl $node label node hollow node-role.kubernetes.io/x=y
expect_error 'node "hollow" is not allowed to modify node "other"' \
    kubectl $node create --validate=false -f - <<<'{"kind":"Node","apiVersion":"v1","metadata":{"name":"other"}}'
expect_error 'can only create mirror pods' kubectl $node create --validate=false -f - <<<"$(pod x)"

say "a host port is one pod's"
listens() { # NAME ADDRESS
    printf '{"kind":"Pod","apiVersion":"v1","metadata":{"name":"%s"},"spec":{"containers":[{"name":"c","image":"i","ports":[
        {"containerPort":80,"hostPort":8080,"hostIP":"%s"}]}]}}' "$@" | kubectl create -f - >/dev/null
}
phase() { kubectl get pod "$1" -o jsonpath='{.status.phase}'; }
export -f phase
listens first 127.0.0.1
settles "Running" phase first
listens elsewhere 127.0.0.2
listens second ""
settles "Running" phase elsewhere
settles "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports. Refused by policy: scheduler-default 1." \
    kubectl get pod second -o jsonpath='{.status.conditions[?(@.type=="PodScheduled")].message}'
kubectl delete pod first elsewhere --wait=false >/dev/null
settles "Running" phase second
kubectl delete pod second --wait=false >/dev/null

say "claims get volumes, and volumes are given back"
volume() { # NAME SIZE CLASS
    printf '{"kind":"PersistentVolume","apiVersion":"v1","metadata":{"name":"%s"},"spec":{"capacity":{"storage":"%s"},
        "accessModes":["ReadWriteOnce"],"storageClassName":"%s","nfs":{"server":"s","path":"/"}}}' "$@" | kubectl create -f - >/dev/null
}
claim() { # NAME SIZE CLASS
    printf '{"kind":"PersistentVolumeClaim","apiVersion":"v1","metadata":{"name":"%s"},"spec":{"resources":{"requests":{
        "storage":"%s"}},"accessModes":["ReadWriteOnce"],"storageClassName":"%s"}}' "$@" | kubectl create -f - >/dev/null
}
uses() { # NAME CLAIM
    printf '{"kind":"Pod","apiVersion":"v1","metadata":{"name":"%s"},"spec":{"volumes":[{"name":"v","persistentVolumeClaim":{
        "claimName":"%s"}}],"containers":[{"name":"c","image":"i"}]}}' "$@" | kubectl create -f - >/dev/null
}
state() { kubectl get "$1" -o jsonpath='{.status.phase} {.spec.volumeName}{.spec.claimRef.name}'; }
export -f state
claim data 1Gi ""
uses reader data
settles "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims." \
    kubectl get pod reader -o jsonpath='{.status.conditions[?(@.type=="PodScheduled")].message}'
volume tiny 1Mi ""
volume large 5Gi ""
settles "Bound large" state pvc/data
settles "Bound data" state pv/large
settles "Available " state pv/tiny
is "the size" "5Gi" "$(kubectl get pvc data -o jsonpath='{.status.capacity.storage}')"
settles "Running" phase reader
kubectl delete pvc data --wait=false >/dev/null
kubectl delete pod reader --wait=false >/dev/null
settles "" kubectl get pvc data --ignore-not-found -o name
settles "Released data" state pv/large
say "some wait for the pod that is to have them"
kubectl create -f - >/dev/null <<'YAML'
kind: StorageClass
apiVersion: storage.k8s.io/v1
metadata: {name: local}
provisioner: kubernetes.io/no-provisioner
volumeBindingMode: WaitForFirstConsumer
---
kind: StorageClass
apiVersion: storage.k8s.io/v1
metadata: {name: made}
provisioner: csi.example.org
volumeBindingMode: WaitForFirstConsumer
YAML
volume disk 1Gi local
claim scratch 1Gi local
settles "Available " state pv/disk
settles "WaitForFirstConsumer" kubectl get events --field-selector involvedObject.name=scratch -o jsonpath='{.items[0].reason}'
is "the claim" "Pending " "$(state pvc/scratch)"
uses writer scratch
settles "Running" phase writer
is "the claim with its pod" "Bound disk" "$(state pvc/scratch)"
say "and others are told where a volume is to be made"
kubectl create -f - >/dev/null <<'YAML'
kind: Pod
apiVersion: v1
metadata: {name: asks}
spec:
  containers: [{name: c, image: i}]
  volumes:
  - name: v
    ephemeral:
      volumeClaimTemplate:
        spec: {accessModes: [ReadWriteOnce], storageClassName: made, resources: {requests: {storage: 1Gi}}}
YAML
made() {
    kubectl get pvc asks-v -o jsonpath="{.metadata.annotations['volume\.kubernetes\.io/selected-node']} {.metadata.annotations['volume\.kubernetes\.io/storage-provisioner']}"
}
export -f made
settles "hollow csi.example.org" made
volume provided 1Gi made
kubectl patch pv provided --type merge -p '{"spec":{"claimRef":{"namespace":"default","name":"asks-v"}}}' >/dev/null
settles "Running" phase asks
kubectl delete pod writer asks --wait=false >/dev/null

say "a class of attributes goes once nobody has it"
kubectl create -f - >/dev/null <<'YAML'
{kind: VolumeAttributesClass, apiVersion: storage.k8s.io/v1, metadata: {name: gold}, driverName: csi.example.org, parameters: {a: b}}
YAML
kubectl create -f - >/dev/null <<'YAML'
kind: PersistentVolumeClaim
apiVersion: v1
metadata: {name: has-class}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: local
  volumeAttributesClassName: gold
  resources: {requests: {storage: 1Gi}}
YAML
kubectl delete volumeattributesclass gold --wait=false >/dev/null
is "the class that is used" "volumeattributesclass.storage.k8s.io/gold" "$(kubectl get volumeattributesclass gold -o name)"
kubectl delete pvc has-class --wait=false >/dev/null
settles "" kubectl get volumeattributesclass gold --ignore-not-found -o name

stop_server
