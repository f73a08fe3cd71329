# get in all its forms, describe, events, explain and what says what the server has.
kubectl create deployment web --image=example.test/web:1 --replicas=3 >out
soon 3 .status.readyReplicas deployment web
kubectl create configmap one --from-literal=a=1 >out
kubectl create configmap two --from-literal=a=2 >out
kubectl label configmap one tier=front >out
says '^web +3/3 +3 +3 ' kubectl get deployments
says 'CONTAINERS +IMAGES +SELECTOR' kubectl get deployments -o wide
says 'app=web$' kubectl get deployments --show-labels
is $'configmap/kube-root-ca.crt\nconfigmap/one\nconfigmap/two' kubectl get configmaps -o name
is configmap/one kubectl get configmaps -l tier=front -o name
is configmap/one kubectl get configmaps -l 'tier in (front,back)' -o name
is configmap/two kubectl get configmaps --field-selector=metadata.name=two -o name
is $'NAME   A\none    1\ntwo    2' kubectl get configmaps one two -o custom-columns=NAME:.metadata.name,A:.data.a
says '^one +1 .* front$' kubectl get configmap one -L tier
[ "$(kubectl get pods -l app=web --sort-by=.metadata.name -o name)" = "$(kubectl get pods -l app=web -o name | sort)" ] ||
    fail "pods are not sorted"
says "^$NS +web " kubectl get deployments -A
is 3 bash -c 'kubectl get pods --chunk-size=1 -o name | wc -l'
is 3 bash -c 'kubectl get pods --field-selector=status.phase=Running,spec.nodeName=hollow -o name | wc -l'
says '^pod/web-.* 1/1 +Running' kubectl get all
is default kubectl get serviceaccounts -o 'go-template={{range .items}}{{.metadata.name}}{{end}}'
says 'replicas: 3' kubectl get deployment web --subresource=scale -o yaml
says 'selector: app=web' kubectl get deployment web --subresource=scale -o yaml
refused 'field label not supported: nope' kubectl get pods --field-selector=nope=1
refused "doesn't have a resource type" kubectl get nothings
refused 'configmaps "none" not found' kubectl get configmap none
is "$NS" kubectl get namespace "$NS" -o 'jsonpath={.metadata.labels.kubernetes\.io/metadata\.name}'

# Watches: all first, only what follows, and with the kinds of the events.
kubectl get configmaps -w --output-watch-events >watched 2>&1 & first=$!
kubectl get configmaps --watch-only -o name >followed 2>&1 & second=$!
sleep 1
kubectl create configmap seen >out
kubectl label configmap seen a=b >out
kubectl delete configmap seen >out
seen() { [ "$(grep -c seen watched)" = 3 ] && [ "$(wc -l <followed)" = 3 ]; }
retry 10 seen
kill "$first" "$second"
wait "$first" "$second" 2>/dev/null || true
is 'ADDED MODIFIED DELETED' bash -c "awk '/seen/ {printf(s \$1); s = \" \"}' watched"
says '^ADDED +one ' cat watched
is configmap/seen bash -c 'sort -u followed'

for object in deployment/web replicasets pods configmap/one serviceaccount/default namespace/"$NS" node/hollow \
    service/kubernetes clusterrole/view plugin/validate-objects; do
    says "^Name: " kubectl describe $object -n "$([ "$object" = service/kubernetes ] && echo default || echo "$NS")"
done
says '3 desired \| 3 updated \| 3 total \| 3 available' kubectl describe deployment web
says 'ScalingReplicaSet .* Scaled up replica set' kubectl describe deployment web
says 'Non-terminated Pods: +\([1-9]' kubectl describe node hollow
says 'Created pod: web-' kubectl events
says 'ScalingReplicaSet' kubectl events --for deployment/web
says 'Successfully assigned' kubectl get events --sort-by=.lastTimestamp

says '^deployments +deploy +apps/v1 +true +Deployment' kubectl api-resources
is $'daemonsets.apps\ndeployments.apps\nreplicasets.apps\nstatefulsets.apps' bash -c 'kubectl api-resources --api-group=apps --categories=all -o name | sort'
says '^nodes$' kubectl api-resources --namespaced=false --verbs=list,watch -o name
says '^autoscaling/v2$' kubectl api-versions
says 'rollingUpdate' kubectl explain deployment.spec.strategy
says 'maxSurge' kubectl explain deployment.spec.strategy --recursive
says 'VERSION: +v1$' kubectl explain hpa --api-version=autoscaling/v1
says 'maxSurge <IntOrString>' kubectl explain deployment.spec.strategy.rollingUpdate.maxSurge
says 'The maximum number of pods that can be scheduled above' kubectl explain deployment.spec.strategy.rollingUpdate.maxSurge
says 'Deployment enables declarative updates for Pods and ReplicaSets' kubectl explain deployment
says 'Always' kubectl explain pod.spec.restartPolicy
refused 'field "nope" does not exist' kubectl explain pod.nope
# What cannot be patched is checked by kubectl itself, with what the second version of OpenAPI says.
printf 'apiVersion: authorization.k8s.io/v1\nkind: SelfSubjectAccessReview\nspec: {%s}\n' \
    'resourceAttributes: {verb: get, resource: pods}' >review.yaml
says 'created' kubectl create -f review.yaml
sed -i 's/verb: get/verbs: get/' review.yaml
refused 'unknown field "verbs" in io.k8s.api.authorization.v1.ResourceAttributes' kubectl create -f review.yaml
says 'control plane.* is running at' kubectl cluster-info
says '"kind": "PodList"' kubectl cluster-info dump -n "$NS"
says '^etcd-0 +Healthy +ok' kubectl get componentstatuses
says '^scheduler +Healthy +ok' kubectl get componentstatuses
says '^controller-manager +Healthy +ok' kubectl get componentstatus controller-manager
says '"phase":"Active"' kubectl get --raw "/api/v1/namespaces/$NS"
says 'readyz check passed' kubectl get --raw '/readyz?verbose'
says 'Server Version: v1\.36' kubectl version
says 'gitVersion: v1\.36' kubectl version -o yaml
says 'current-context' kubectl config view --minify
refused 'Metrics API not available' kubectl top nodes
refused 'Metrics API not available' kubectl top pods
