use super::*;

#[test]
fn every_line_of_the_policy_is_read() {
    for line in POLICY.lines().filter(|line| !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let read =
            if line.starts_with(' ') { add_line(&mut json!({}), &words).is_some() } else { header(&words).is_some() };
        assert!(read, "{line}");
    }
    let all = by_name();
    assert_eq!(all.len(), policy().len(), "a name is there twice");
    for object in policy() {
        let Some(role) = object.get("roleRef") else { continue };
        let kind = object::str_at(role, &["kind"]).unwrap_or_default();
        let namespace = if kind == "Role" { object::namespace(&object) } else { "" };
        let name = object::str_at(role, &["name"]).unwrap_or_default();
        assert!(all.contains_key(&format!("{kind}/{namespace}/{name}")), "{object}");
    }
}

#[test]
fn aggregated_roles_hold_what_they_select() {
    let verbs = |role: &str, verb: &str, resource: &str| {
        let all = by_name();
        let rules = rules_of(all.get(&format!("ClusterRole//{role}")).unwrap());
        rules.iter().any(|r| r.verbs.iter().any(|v| v == verb) && r.resources.iter().any(|x| x == resource))
    };
    assert!(verbs("view", "get", "configmaps") && !verbs("view", "get", "secrets"));
    assert!(
        verbs("edit", "get", "configmaps") && verbs("edit", "create", "secrets") && !verbs("edit", "create", "roles")
    );
    assert!(
        verbs("admin", "get", "configmaps") && verbs("admin", "create", "secrets") && verbs("admin", "create", "roles")
    );
}

#[test]
fn reconciliation_adds_and_never_takes_away() {
    let all = by_name();
    let wanted = all.get("ClusterRole//system:basic-user").unwrap();
    assert_eq!(reconcile(wanted, wanted), Change::Nothing);
    let mut less = wanted.clone();
    object::set_at(&mut less, &["rules"], json!([{"verbs": ["get"], "apiGroups": ["x"], "resources": ["y"]}]));
    let Change::Write(new) = reconcile(&less, wanted) else { panic!("nothing written") };
    assert!(uncovered(&rules_of(&new), &rules_of(wanted)).is_empty());
    assert!(uncovered(&rules_of(&new), &rules_of(&less)).is_empty());
    object::set_at(&mut less, &["metadata", "annotations", AUTOUPDATE], "false");
    assert_eq!(reconcile(&less, wanted), Change::Nothing);
    let binding = all.get("ClusterRoleBinding//system:basic-user").unwrap();
    let mut other = binding.clone();
    object::set_at(&mut other, &["roleRef", "name"], "cluster-admin");
    assert_eq!(reconcile(&other, binding), Change::Replace);
}
