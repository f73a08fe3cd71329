use super::*;
use serde_json::json;

fn node(name: &str) -> UserInfo {
    UserInfo {
        username: format!("system:node:{name}"),
        groups: vec!["system:nodes".into(), "system:authenticated".into()],
        ..UserInfo::default()
    }
}

fn request(verb: &str, path: &str, selector: &str) -> RequestInfo {
    let parts: Vec<&str> = path.split('/').collect();
    let at = |index: usize| parts.get(index).copied().unwrap_or_default().to_owned();
    RequestInfo {
        is_resource_request: true,
        verb: verb.into(),
        api_group: at(0),
        namespace: at(1),
        resource: at(2),
        name: at(3),
        subresource: at(4),
        field_selector: selector.into(),
        ..RequestInfo::default()
    }
}

#[test]
fn a_node_reaches_what_its_pods_name() {
    let authorizer = NodeAuthorizer::new(crate::bootstrap::cluster_role_rules("system:node"));
    let check = |verb: &str, path: &str, selector: &str, expected: Result<(), &str>| {
        let found = match authorizer.authorize(&node("n"), &request(verb, path, selector)) {
            Decision::Allow(_) => Ok(()),
            Decision::Deny(why) | Decision::NoOpinion(why) => Err(why),
        };
        assert_eq!(found, expected.map_err(str::to_owned), "{verb} {path} {selector}");
    };
    let unrelated = "no relationship found between node 'n' and this object";
    check("get", "/ns/secrets/s", "", Err(unrelated));
    let pod = json!({"spec": {"nodeName": "n", "serviceAccountName": "sa", "containers": [
        {"envFrom": [{"secretRef": {"name": "s"}}]}], "volumes": [{"persistentVolumeClaim": {"claimName": "c"}}]}});
    authorizer.apply(NodeSource::Pods, "ns", "p", Some(&pod));
    authorizer.apply(
        NodeSource::Volumes,
        "",
        "v",
        Some(&json!({"spec": {"claimRef": {"namespace": "ns", "name": "c"},
        "csi": {"nodePublishSecretRef": {"namespace": "other", "name": "vs"}}}})),
    );
    for allowed in
        ["/ns/secrets/s", "/ns/pods/p", "/ns/persistentvolumeclaims/c", "//persistentvolumes/v", "/other/secrets/vs"]
    {
        check("get", allowed, "", Ok(()));
    }
    check("create", "/ns/serviceaccounts/sa/token", "", Ok(()));
    check("get", "/ns/secrets/t", "", Err(unrelated));
    check("list", "/ns/secrets", "", Err("No Object name found"));
    check("list", "//pods", "spec.nodeName=n", Ok(()));
    check("list", "//pods", "spec.nodeName!=n", Err("can only list/watch pods with spec.nodeName field selector"));
    check("list", "//pods", "spec.nodeName=m", Err("can only list/watch pods with spec.nodeName field selector"));
    check("get", "//nodes/n", "", Ok(()));
    check("get", "//nodes/zz", "", Err("node 'n' cannot read 'zz', only its own Node object"));
    check("update", "coordination.k8s.io/kube-node-lease/leases/n", "", Ok(()));
    check(
        "get",
        "coordination.k8s.io/kube-node-lease/leases/zz",
        "",
        Err("can only access node lease with the same name as the requesting node"),
    );
    check("list", "//services", "", Ok(()));
    check("patch", "/ns/pods/p", "", Err(""));
    authorizer.apply(NodeSource::Pods, "ns", "p", None);
    check("get", "/ns/secrets/s", "", Err(unrelated));
    check("get", "/other/secrets/vs", "", Err(unrelated));
    assert!(authorizer.graph.read().reached.is_empty());
}

#[test]
fn mirror_pods_open_nothing() {
    let authorizer = NodeAuthorizer::new(Vec::new());
    let pod = json!({"metadata": {"annotations": {"kubernetes.io/config.mirror": "x"}},
        "spec": {"nodeName": "n", "serviceAccountName": "sa"}});
    authorizer.apply(NodeSource::Pods, "ns", "p", Some(&pod));
    let asked = request("create", "/ns/serviceaccounts/sa/token", "");
    assert!(matches!(authorizer.authorize(&node("n"), &asked), Decision::NoOpinion(_)));
}
