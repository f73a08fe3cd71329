use super::*;
use serde_json::json;

fn role(kind: &str, namespace: &str, name: &str, resource: &str) -> Value {
    json!({"kind": kind, "metadata": {"name": name, "namespace": namespace},
        "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": [resource]}]})
}

fn binding(kind: &str, namespace: &str, name: &str, role: (&str, &str), subject: Value) -> Value {
    json!({"kind": kind, "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"kind": role.0, "name": role.1}, "subjects": [subject]})
}

fn user(name: &str, groups: &[&str]) -> UserInfo {
    UserInfo {
        username: name.into(),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
        ..UserInfo::default()
    }
}

fn get(namespace: &str, resource: &str) -> RequestInfo {
    RequestInfo {
        is_resource_request: true,
        verb: "get".into(),
        namespace: namespace.into(),
        resource: resource.into(),
        ..RequestInfo::default()
    }
}

#[test]
fn bindings_reach_their_subjects_in_their_namespaces() {
    let index = RbacIndex::default();
    let user_subject = json!({"kind": "User", "name": "jo"});
    index.put(&role("Role", "a", "r", "pods"));
    index.put(&role("ClusterRole", "", "c", "nodes"));
    index.put(&binding("RoleBinding", "a", "b", ("Role", "r"), user_subject.clone()));
    index.put(&binding("ClusterRoleBinding", "", "cb", ("ClusterRole", "c"), json!({"kind": "Group", "name": "ops"})));
    index.put(&binding("RoleBinding", "a", "sa", ("ClusterRole", "c"), json!({"kind": "ServiceAccount", "name": "x"})));
    let check = |user: &UserInfo, namespace: &str, resource: &str, expected: Option<&str>| {
        let decision = match index.authorize(user, &get(namespace, resource)) {
            RbacDecision::Allowed(by) => Some(by),
            RbacDecision::NotAllowed(_) => None,
        };
        assert_eq!(decision.as_deref(), expected, "{user:?} {namespace} {resource}");
    };
    let jo = user("jo", &[]);
    check(&jo, "a", "pods", Some(r#"RoleBinding "b/a" of Role "r" to User "jo""#));
    check(&jo, "b", "pods", None);
    check(&jo, "", "pods", None);
    check(&jo, "a", "nodes", None);
    let op = user("op", &["ops"]);
    check(&op, "", "nodes", Some(r#"ClusterRoleBinding "cb" of ClusterRole "c" to Group "ops""#));
    check(&op, "zz", "nodes", Some(r#"ClusterRoleBinding "cb" of ClusterRole "c" to Group "ops""#));
    let account = user("system:serviceaccount:a:x", &[]);
    check(&account, "a", "nodes", Some(r#"RoleBinding "sa/a" of ClusterRole "c" to ServiceAccount "x/a""#));
    check(&account, "b", "nodes", None);
}

#[test]
fn changes_take_effect_and_leave_nothing_behind() {
    let index = RbacIndex::default();
    let jo = user("jo", &[]);
    let bound = binding("RoleBinding", "a", "b", ("Role", "r"), json!({"kind": "User", "name": "jo"}));
    index.put(&bound);
    let missing = r#"role.rbac.authorization.k8s.io "r" not found"#.to_owned();
    assert_eq!(index.authorize(&jo, &get("a", "pods")), RbacDecision::NotAllowed(vec![missing]));
    index.put(&role("Role", "a", "r", "pods"));
    assert!(matches!(index.authorize(&jo, &get("a", "pods")), RbacDecision::Allowed(_)));
    index.put(&binding("RoleBinding", "a", "b", ("Role", "r"), json!({"kind": "User", "name": "al"})));
    assert_eq!(index.authorize(&jo, &get("a", "pods")), RbacDecision::NotAllowed(Vec::new()));
    index.apply(RbacKind::RoleBinding, "a", "b", None);
    index.apply(RbacKind::Role, "a", "r", None);
    let inner = index.inner.read();
    assert!(inner.grants.is_empty() && inner.bindings.is_empty() && inner.roles.is_empty());
}
