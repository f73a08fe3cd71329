# Nodes, access, certificates, and what needs containers and so may only fail clearly.
says tainted kubectl taint node hollow k=v:NoSchedule
says untainted kubectl taint node hollow k=v:NoSchedule-
says cordoned kubectl cordon hollow
says 'Ready,SchedulingDisabled' kubectl get nodes
kubectl create deployment web --image=example.test/web:1 --replicas=2 >out
soon Unschedulable '.items[0].status.conditions[?(@.type=="PodScheduled")].reason' pods -l app=web
says uncordoned kubectl uncordon hollow
says 'successfully rolled out' kubectl rollout status deployment web --timeout=30s
kubectl run bare --image=x >out
says 'condition met' kubectl wait pod/bare --for=condition=Ready --timeout=20s
refused 'cannot delete .*Pods that declare no controller' kubectl drain hollow --pod-selector="run=bare" --timeout=5s
says 'hollow drained' kubectl drain hollow --force --ignore-daemonsets --pod-selector="app in (web),run notin (bare)" --timeout=30s
says uncordoned kubectl uncordon hollow
says 'successfully rolled out' kubectl rollout status deployment web --timeout=30s

says '^\*\.\* +\[\] +\[\] +\[\*\]' kubectl auth can-i --list
is 1 bash -c 'kubectl auth can-i --list | grep -cE "^ +\[\*\] "'
says '^yes$' kubectl auth can-i delete nodes
refused '^no' kubectl auth can-i create pods --as=bob
says 'kubernetes-admin' kubectl auth whoami
kubectl create role reader --verb=get --resource=pods >out
cat >role.yaml <<END
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: reader, namespace: $NS}
rules: [{apiGroups: [""], resources: [pods], verbs: [get, list, watch]}]
END
says 'reconciliation required update' kubectl auth reconcile -f role.yaml
kubectl create rolebinding reader --role=reader --user=bob >out
retry 5 bash -c '[ "$(kubectl auth can-i list pods --as=bob)" = yes ]'
refused 'cannot list resource "secrets"' kubectl get secrets --as=bob

for name in yes no; do
    openssl req -new -newkey rsa:2048 -nodes -keyout key -out request -subj "/CN=$NS" 2>/dev/null
    printf 'apiVersion: certificates.k8s.io/v1\nkind: CertificateSigningRequest\nmetadata: {name: %s}\nspec: {request: %s, signerName: example.test/signer, usages: [client auth]}\n' \
        "$NS-$name" "$(base64 -w0 request)" >csr.yaml
    says created kubectl apply -f csr.yaml
done
says 'Pending' kubectl get csr "$NS-yes"
says approved kubectl certificate approve "$NS-yes"
says denied kubectl certificate deny "$NS-no"
says 'Approved' kubectl get csr "$NS-yes"
says 'Denied' kubectl get csr "$NS-no"
refused 'already Approved' kubectl certificate deny "$NS-yes"
kubectl delete csr "$NS-yes" "$NS-no" >out

kubectl debug bare --image=example.test/x --container=debugger --attach=false >out 2>&1 || fail "debug: $(cat out)"
is debugger field '.spec.ephemeralContainers[0].name' pod bare
says 'Creating debugging pod' kubectl debug node/hollow --image=example.test/x --attach=false
refused . kubectl exec bare -- true
refused . kubectl logs bare
refused . timeout 10 kubectl port-forward pod/bare 0:80
