# Every generator of `kubectl create`, `run` and `expose`.
says created kubectl create deployment web --image=example.test/web:1 --replicas=2 --port=80
soon 2 .status.readyReplicas deployment web
is 1 field .metadata.generation deployment web
says created kubectl create job once --image=example.test/x -- date
says 'condition met' kubectl wait job/once --for=condition=Complete --timeout=20s
says created kubectl create cronjob tick --image=example.test/x --schedule='0 1 1 1 *' -- date
says created kubectl create job from-tick --from=cronjob/tick
says 'condition met' kubectl wait job/from-tick --for=condition=Complete --timeout=20s
printf 'X=1\nY=2\n' >env
says created kubectl create configmap literals --from-literal=a=b --from-file=env
says created kubectl create configmap lines --from-env-file=env
is 2 field .data.Y configmap lines
says created kubectl create secret generic plain --from-literal=p=q
is cQ== field .data.p secret plain
says created kubectl create secret docker-registry pull --docker-server=x --docker-username=u --docker-password=p
is kubernetes.io/dockerconfigjson field .type secret pull
openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=x 2>/dev/null
says created kubectl create secret tls web-tls --cert=cert.pem --key=key.pem
says created kubectl create role reader --verb=get,list --resource=pods,deployments.apps --resource-name=a
is '["pods"] ["deployments"]' kubectl get role reader -o 'jsonpath={.rules[0].resources} {.rules[1].resources}'
says created kubectl create clusterrole "$NS-nodes" --verb=get --resource=nodes
says created kubectl create clusterrole "$NS-logs" --verb=get '--non-resource-url=/logs/*'
says created kubectl create clusterrole "$NS-sum" "--aggregation-rule=example.test/part-of=$NS"
kubectl label clusterrole "$NS-nodes" "example.test/part-of=$NS" >out
soon nodes '.rules[0].resources[0]' clusterrole "$NS-sum"
says created kubectl create rolebinding readers --role=reader --user=bob --group=g "--serviceaccount=$NS:default"
says created kubectl create clusterrolebinding "$NS-nodes" --clusterrole="$NS-nodes" --user=bob
says created kubectl create ingress front --class=nginx --default-backend=d:80 '--rule=example.test/bar=web:80,tls=web-tls'
is 'nginx example.test' kubectl get ingress front -o 'jsonpath={.spec.ingressClassName} {.spec.rules[0].host}'
says created kubectl create poddisruptionbudget web --selector=app=web --min-available=1
says created kubectl create priorityclass "$NS-high" --value=1000 --description=x
says created kubectl create quota few --hard=configmaps=9,pods=20
says created kubectl create serviceaccount robot
says created kubectl create service clusterip inside --tcp=80:8080
says created kubectl create service clusterip headless --clusterip=None --tcp=80
says created kubectl create service nodeport outside --tcp=80:8080
says created kubectl create service loadbalancer balanced --tcp=80:8080
says created kubectl create service externalname elsewhere --external-name=x.example.test
says '^outside +NodePort .* 80:3[0-9]+/TCP' kubectl get service outside
says '<pending>' kubectl get service balanced
token=$(kubectl create token robot --duration=10m)
cat >anybody.kubeconfig <<END
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://127.0.0.1:$PORT", insecure-skip-tls-verify: true}}]
contexts: [{name: c, context: {cluster: c}}]
current-context: c
END
says "system:serviceaccount:$NS:robot" kubectl auth whoami --token="$token" --kubeconfig=anybody.kubeconfig
says created kubectl run single --image=example.test/x --labels=a=b --env=X=y --port=80 -- sleep 1
says 'condition met' kubectl wait pod/single --for=condition=Ready --timeout=20s
says 'name: dry' kubectl run dry --image=example.test/x --dry-run=server -o yaml
refused NotFound kubectl get pod dry
says exposed kubectl expose deployment web --name=exposed --port=80 --target-port=8080
retry 10 bash -c '[ "$(kubectl get endpointslices -l kubernetes.io/service-name=exposed -o "jsonpath={.items[0].endpoints[*].conditions.ready}")" = "true true" ]'
printf '{"apiVersion":"v1","kind":"Pod","metadata":{"generateName":"made-"},"spec":{"containers":[{"name":"a","image":"x"}]}}' >pod.json
says 'pod/made-[a-z0-9]{5} created' kubectl create -f pod.json
refused 'already exists' kubectl create configmap literals
kubectl delete clusterrole "$NS-nodes" "$NS-logs" "$NS-sum" >out
kubectl delete clusterrolebinding "$NS-nodes" >out
kubectl delete priorityclass "$NS-high" >out
