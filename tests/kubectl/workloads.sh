# rollout, scale, autoscale, set, wait; the kinds of workloads whose controllers are here.
kubectl create deployment web --image=example.test/web:1 --replicas=3 >out
says 'successfully rolled out' kubectl rollout status deployment web --timeout=30s
says 'image updated' kubectl set image deployment/web web=example.test/web:2
says 'successfully rolled out' kubectl rollout status deployment web --timeout=30s
says '^2 ' kubectl rollout history deployment web
says 'example.test/web:1' kubectl rollout history deployment web --revision=1
says 'rolled back' kubectl rollout undo deployment web
soon example.test/web:1 '.spec.template.spec.containers[0].image' deployment web
says 'successfully rolled out' kubectl rollout status deployment web --timeout=30s
says '^3 ' kubectl rollout history deployment web
says 'rolled back' kubectl rollout undo deployment web --to-revision=2
says restarted kubectl rollout restart deployment web
says 'successfully rolled out' kubectl rollout status deployment web --timeout=30s
says paused kubectl rollout pause deployment web
kubectl set env deployment/web A=b >out
refused 'cannot restart a paused|paused' kubectl rollout restart deployment web
says resumed kubectl rollout resume deployment web
says 'A=b' kubectl set env deployment/web --list
says 'requirements updated' kubectl set resources deployment/web --limits=cpu=200m,memory=64Mi
says 'serviceaccount updated' kubectl set serviceaccount deployment/web default
says 'successfully rolled out' kubectl rollout status deployment web --timeout=30s
kubectl create service clusterip web --tcp=80 >out
says 'selector updated' kubectl set selector service/web app=other
is other field .spec.selector.app service web
kubectl create rolebinding readers --clusterrole=view --user=bob >out
says 'subjects updated' kubectl set subject rolebinding readers --user=alice --group=g
is 'bob alice g' field '.subjects[*].name' rolebinding readers
says scaled kubectl scale deployment web --replicas=1 --current-replicas=3
refused 'Expected replicas to be 9' kubectl scale deployment web --replicas=1 --current-replicas=9
soon 1 .status.replicas deployment web
says autoscaled kubectl autoscale deployment web --min=1 --max=5
says 'Deployment/web .* 1 +5 ' kubectl get hpa web
says 'condition met' kubectl wait deployment/web --for=condition=Available --timeout=20s
says 'condition met' kubectl wait deployment/web --for='jsonpath={.status.replicas}'=1 --timeout=20s
refused 'timed out' kubectl wait deployment/web --for=condition=Nothing --timeout=1s

kubectl apply -f "$HERE/workloads.yaml" >out
says 'condition met' kubectl wait job/many --for=condition=Complete --timeout=30s
is '3 0,1,2' bash -c 'kubectl get job many -o "jsonpath={.status.succeeded} "; kubectl get pods -l job-name=many --sort-by=.metadata.name -o "jsonpath={.items[*].metadata.annotations.batch\.kubernetes\.io/job-completion-index}" | tr " " ,'
is 0-2 field .status.completedIndexes job many
says '^many +Complete +3/3 ' kubectl get job many
says 'condition met' kubectl wait job/broken --for=condition=Failed --timeout=30s
is BackoffLimitExceeded field '.status.conditions[?(@.type=="Failed")].reason' job broken
soon 1 .status.active job long
kubectl patch job long --type=merge -p '{"spec":{"suspend":true}}' >out
soon True '.status.conditions[?(@.type=="Suspended")].status' job long
soon '' .status.active job long
says 'Job suspended' kubectl events --for job/long
soon 3 .status.readyReplicas statefulset db
is 'db-0 db-1 db-2' kubectl get pods -l app=db --sort-by=.metadata.creationTimestamp -o 'jsonpath={.items[*].metadata.name}'
is 'data-db-0 data-db-1 data-db-2' kubectl get persistentvolumeclaims -o 'jsonpath={.items[*].metadata.name}'
is 'Bound Bound Bound' kubectl get persistentvolumes -o 'jsonpath={.items[*].status.phase}'
kubectl set image statefulset/db db=example.test/db:2 >out
says 'roll(ing update|ed out| out).*complete' kubectl rollout status statefulset db --timeout=30s
says '^2 ' kubectl rollout history statefulset db
says 'rolled back' kubectl rollout undo statefulset db
kubectl scale statefulset db --replicas=1 >out
soon 1 .status.replicas statefulset db
soon 1 .status.numberReady daemonset agent
kubectl set image daemonset/agent agent=example.test/agent:2 >out
says 'successfully rolled out' kubectl rollout status daemonset agent --timeout=30s
says '^2 ' kubectl rollout history daemonset agent
soon 2 .status.readyReplicas replicationcontroller old
soon 1 .status.disruptionsAllowed poddisruptionbudget old
# Volumes are in no namespace, and the next version of kubectl brings its own.
kubectl delete statefulset db --wait=true >out
kubectl delete persistentvolumeclaims --all --wait=true >out
kubectl delete persistentvolumes disk-0 disk-1 disk-2 --wait=true >out
