use super::*;
use serde_json::json;

fn request(resource: &str) -> RequestInfo {
    RequestInfo {
        is_resource_request: true,
        verb: "create".into(),
        api_group: GROUP.into(),
        resource: resource.into(),
        namespace: if resource.starts_with("cluster") { String::new() } else { "ns".into() },
        ..RequestInfo::default()
    }
}

fn user(groups: &[&str]) -> UserInfo {
    UserInfo {
        username: "jo".into(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..UserInfo::default()
    }
}

#[test]
fn nobody_grants_what_they_lack() {
    let authorizer = Authorizer::default();
    crate::bootstrap::policy().iter().for_each(|object| authorizer.rbac.put(object));
    let own = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["pods"]}]);
    authorizer.rbac.put(&json!({"kind": "Role", "metadata": {"name": "r", "namespace": "ns"}, "rules": own}));
    authorizer.rbac.put(&json!({"kind": "RoleBinding", "metadata": {"name": "b", "namespace": "ns"},
        "roleRef": {"kind": "Role", "name": "r"}, "subjects": [{"kind": "User", "name": "jo"}]}));
    let check = |resource: &str, object: Value, groups: &[&str], expected: Result<(), &str>| {
        let found = authorizer.check_escalation(&user(groups), &request(resource), &object, None);
        assert_eq!(found.map_err(|status| status.message), expected.map_err(str::to_owned), "{object}");
    };
    let role = |rules: Value| json!({"metadata": {"name": "x"}, "rules": rules});
    let bind = |kind: &str, name: &str| json!({"metadata": {"name": "x"}, "roleRef": {"kind": kind, "name": name}});
    check("roles", role(own), &["g"], Ok(()));
    let more = json!([{"verbs": ["get", "delete"], "apiGroups": [""], "resources": ["pods"]}]);
    check(
        "roles",
        role(more.clone()),
        &["g"],
        Err(
            "roles.rbac.authorization.k8s.io \"x\" is forbidden: user \"jo\" (groups=[\"g\"]) is attempting to grant RBAC \
         permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}",
        ),
    );
    check("roles", role(more), &["system:masters"], Ok(()));
    check("rolebindings", bind("Role", "r"), &["g"], Ok(()));
    check(
        "rolebindings",
        bind("ClusterRole", "cluster-admin"),
        &["g"],
        Err(
            "rolebindings.rbac.authorization.k8s.io \"x\" is forbidden: user \"jo\" (groups=[\"g\"]) is attempting to grant RBAC \
         permissions not currently held:\n{APIGroups:[\"*\"], Resources:[\"*\"], Verbs:[\"*\"]}\n{NonResourceURLs:[\"*\"], \
         Verbs:[\"*\"]}",
        ),
    );
    check("rolebindings", bind("Role", "none"), &["g"], Err("role.rbac.authorization.k8s.io \"none\" not found"));
}
