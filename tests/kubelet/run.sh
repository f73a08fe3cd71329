#!/usr/bin/env bash
# Pods that run: kubectl and curl against `portcullis up` with its kubelet.
set -euo pipefail
. "$(dirname "$0")/../lib/server.sh"
HERE=$(cd "$(dirname "$0")" && pwd)
export STEPS=file:$ROOT/target/guests/steps.wasm WEB=file:$ROOT/target/guests/web.wasm

# apply FILE [SED…]: applies a manifest with the images filled in
apply() {
    local file=$1; shift
    sed -e "s#STEPS#$STEPS#; s#WEB#$WEB#" "$@" "$HERE/$file" | kubectl apply -f -
}
# command NAME POLICY ARGS: a pod of the command `steps`
command_pod() { apply steps.yaml -e "s#NAME#$1#; s#POLICY#$2#; s#ARGS#$3#"; }
# is JSONPATH EXPECTED pod/NAME: whether a field of an object has this value
is() { [ "$(kubectl get "$3" -o "jsonpath=$1")" = "$2" ]; }
# until SECONDS JSONPATH EXPECTED OBJECT
until_is() {
    local seconds=$1; shift
    retry "$seconds" is "$@"
}
phase() { until_is 30 '{.status.phase}' "$2" "pod/$1"; }
# event REASON TEXT OBJECT: somebody said so
event() { kubectl get events --field-selector "involvedObject.name=$3,reason=$1" -o 'jsonpath={.items[*].message}' | grep -F -- "$2" >/dev/null; }
expect_event() { retry 20 event "$@"; }
get() { curl -sf --max-time 5 "http://$IP:8080$1"; }
expect_get() { [ "$(get "$1")" = "$2" ] || fail "GET $1: $(get "$1"), not $2"; }

start_server up
registered() { [ "$(kubectl get nodes -o 'jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}')" = True ]; }

say "the node registers, and its lease lives"
retry 10 registered
NODE=$(kubectl get nodes -o 'jsonpath={.items[0].metadata.name}')
kubectl get nodes | grep_for " Ready "
kubectl describe node "$NODE" | grep_for KubeletReady
is '{.metadata.labels.kubernetes\.io/hostname}' "$NODE" "node/$NODE"
retry 10 bash -c "kubectl -n kube-node-lease get lease $NODE -o 'jsonpath={.spec.holderIdentity}' | grep_for '^$NODE$'"
kubectl get runtimeclass wasm >/dev/null

say "a Deployment of a server: probes, volumes, environment, the Service's endpoints"
apply web.yaml
kubectl rollout status deployment web --timeout=60s
POD=$(kubectl get pods -l app=web -o 'jsonpath={.items[0].metadata.name}')
IP=$(kubectl get pod "$POD" -o 'jsonpath={.status.podIP}')
kubectl get pod "$POD" | grep_for '1/1 *Running *0'
expect_get / "hello from $POD good day, blue"
for pair in PASSWORD=hunter2 POD_IP="$IP" NODE="$NODE" LIMIT=67108864 MAP_motto="from the map" WEB_SERVICE_PORT=80 KUBERNETES_SERVICE_PORT=443; do
    expect_get "/env/${pair%%=*}" "${pair#*=}"
done
expect_get /file/scratch/made "by the init container"
expect_get /file/settings/motto "from the map"
expect_get /file/keys/password hunter2
get /file/about/labels | grep_for 'app="web"'
get /file/var/run/secrets/kubernetes.io/serviceaccount/namespace | grep_for '^default$'
token=$(get /file/var/run/secrets/kubernetes.io/serviceaccount/token)
printf '{"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview","spec":{"token":"%s"}}' "$token" |
    kubectl create --raw /apis/authentication.k8s.io/v1/tokenreviews -f - |
    grep_for '"username":"system:serviceaccount:default:default"'
leads_to_pod() {
    [ "$(kubectl get endpointslices -l kubernetes.io/service-name=web -o 'jsonpath={.items[0].endpoints[0].addresses[0]}')" = "$IP" ]
}
retry 10 leads_to_pod
for reason in Scheduled Pulled Created Started; do expect_event "$reason" '' "$POD"; done
is '{.status.qosClass}' Burstable "pod/$POD"
is '{.status.conditions[?(@.type=="PodReadyToStartContainers")].status}' True "pod/$POD"

say "logs, also as they come"
kubectl logs "$POD" | grep_for 'GET /env/PASSWORD'
kubectl logs "$POD" -c first >/dev/null
kubectl logs --tail=1 --timestamps "$POD" | grep_for '^20[0-9-]*T'
command_pod counter Never '[count, "20", "200"]'
retry 20 bash -c 'kubectl logs counter | grep_for "^1$"'
timeout 30 kubectl logs -f counter >"$WORK/followed"
[ "$(tail -1 "$WORK/followed")" = 20 ] && [ "$(wc -l <"$WORK/followed")" = 20 ] || fail "logs -f: $(cat "$WORK/followed")"
phase counter Succeeded
kubectl get pod counter | grep_for Completed

say "a failed liveness probe restarts the container, and --previous shows what it had said"
curl -sf -X PUT --data x "http://$IP:8080/file/scratch/unhealthy"
expect_event Unhealthy 'Liveness probe failed: HTTP probe failed with statuscode: 503' "$POD"
expect_event Killing 'Container web failed liveness probe, will be restarted' "$POD"
retry 20 bash -c "kubectl get pod $POD -o 'jsonpath={.status.containerStatuses[0].restartCount}' | grep_for '^[1-9]'"
retry 10 bash -c "kubectl logs --previous $POD | grep_for 'GET /env/PASSWORD\|GET /healthz'"
kubectl delete deployment web --timeout=30s

say "exit codes, restart policies and back-off"
command_pod fails Never '[print, sorry, exit, "7"]'
phase fails Failed
until_is 5 '{.status.containerStatuses[0].state.terminated.exitCode}' 7 pod/fails
kubectl get pod fails | grep_for Error
command_pod tries OnFailure '[print, trying, exit, "3"]'
until_is 30 '{.status.containerStatuses[0].state.waiting.reason}' CrashLoopBackOff pod/tries
expect_event BackOff 'Back-off restarting failed container main in pod tries_default' tries
until_is 5 '{.status.containerStatuses[0].lastState.terminated.exitCode}' 3 pod/tries
is '{.status.phase}' Running pod/tries || fail "a pod that is started again is running"
kubectl logs --previous tries | grep_for trying
until_is 30 '{.status.containerStatuses[0].restartCount}' 2 pod/tries

say "limits"
command_pod hungry Never '[alloc, "64"]'
phase hungry Failed
until_is 5 '{.status.containerStatuses[0].state.terminated.reason}' OOMKilled pod/hungry
kubectl get pod hungry | grep_for OOMKilled

say "init containers, a sidecar, a termination message"
apply sidecar.yaml
phase sidecar Succeeded
until_is 5 '{.status.containerStatuses[0].state.terminated.message}' farewell pod/sidecar
for container in one side two main; do kubectl logs sidecar -c "$container" | grep_for "^$container$"; done

say "what cannot start says why, once it can it starts"
apply ordinary.yaml
apply broken.yaml
expect_event FailedCreatePodSandBox 'no container runtime for handler ""' ordinary
is '{.status.phase}' Pending pod/ordinary
expect_event Failed 'Error: ErrImagePull' no-image
until_is 20 '{.status.containerStatuses[0].state.waiting.reason}' ImagePullBackOff pod/no-image
until_is 20 '{.status.containerStatuses[0].state.waiting.reason}' InvalidImageName pod/bad-image
until_is 20 '{.status.containerStatuses[0].state.waiting.reason}' CreateContainerConfigError pod/no-map
expect_event FailedMount 'configmap "late" not found' no-volume
kubectl create configmap late --from-literal=colour=green
phase no-map Succeeded
phase no-volume Succeeded
kubectl logs no-map | grep_for '^green$'
kubectl logs no-volume | grep_for '^green$'
kubectl delete -f "$HERE/ordinary.yaml" --timeout=20s

say "deletion within the grace period"
command_pod stays Always '[print, up, forever]'
phase stays Running
begun=$SECONDS
kubectl delete pod stays --timeout=20s
[ $((SECONDS - begun)) -lt 6 ] || fail "a command that can be stopped took its whole grace period"
expect_event Killing 'Stopping container main' stays
! kubectl get pod stays 2>/dev/null || fail "the pod is still there"

say "kill -9: what should run runs again, what ended stays ended"
command_pod survivor Always '[print, alive, forever]'
phase survivor Running
uid=$(kubectl get pod survivor -o 'jsonpath={.metadata.uid}')
mkdir -p "$DATA/kubelet/pods/nobody"
restart_server
retry 30 is '{.status.containerStatuses[0].restartCount}' 1 pod/survivor
until_is 20 '{.status.containerStatuses[0].ready}' true pod/survivor
is '{.metadata.uid}' "$uid" pod/survivor || fail "the pod is another one"
is '{.status.phase}' Failed pod/fails || fail "a pod that failed is something else now"
is '{.status.phase}' Succeeded pod/counter || fail "a pod that succeeded is something else now"
kubectl logs counter | grep_for '^20$'
retry 10 bash -c "[ ! -e '$DATA/kubelet/pods/nobody' ]"
kubectl delete pods --all --timeout=40s
[ -z "$(ls -A "$DATA/kubelet/pods")" ] || fail "directories of pods are left: $(ls "$DATA/kubelet/pods")"
stop_server
echo "kubelet: ok"
