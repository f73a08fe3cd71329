use std::sync::Arc;

use super::*;

#[test]
fn expectations_hold_until_seen() {
    let expectations = Expectations::default();
    let check = |what: &str, met: bool| assert_eq!(expectations.met("a/x"), met, "{what}");
    check("nothing was done", true);
    expectations.expect("a/x", |expected| {
        expected.created.insert("p".into());
    });
    check("a pod was made", false);
    let pod = Arc::new(json!({"metadata": {"name": "p", "uid": "1"}}));
    expectations.see("a/x", &InformerEvent::Added(pod.clone()));
    check("and seen", true);
    expectations.expect("a/x", |expected| {
        expected.deleted.insert("1".into());
    });
    expectations.see("a/x", &InformerEvent::Added(pod.clone()));
    check("it still lives", false);
    expectations.see("a/x", &InformerEvent::Deleted(pod));
    check("and is gone", true);
}

#[test]
fn a_pod_is_its_template_with_an_owner() {
    let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {"name": "n".repeat(80), "namespace": "a", "uid": "u"}});
    let template = json!({"metadata": {"labels": {"x": "y"}, "name": "ignored"}, "spec": {"containers": []}});
    let mut pod = from_template(&owner, &template);
    name_after(&mut pod, owner.name());
    assert_eq!(pod["metadata"]["labels"], json!({"x": "y"}));
    assert_eq!(pod["metadata"]["ownerReferences"][0]["uid"], "u");
    assert_eq!(pod.name().len(), 63, "a generated name fits into a label");
}

#[test]
fn an_event_concerns_who_has_had_or_would_have_the_pod() {
    let owner = |name: &str, app: &str| -> Object {
        Arc::new(json!({
            "metadata": {"name": name, "namespace": "a"}, "spec": {"selector": {"matchLabels": {"app": app}}},
        }))
    };
    let owners = || vec![owner("x", "web"), owner("y", "db")];
    let pod = |app: &str, owner: Option<(&str, &str)>| -> Object {
        let owners = owner.map(|(kind, name)| json!([{"kind": kind, "name": name, "controller": true}]));
        Arc::new(json!({"metadata": {"namespace": "a", "labels": {"app": app}, "ownerReferences": owners}}))
    };
    let check = |event: InformerEvent, expected: &[&str]| {
        assert_eq!(keys_of(&event, "Job", owners, selector_of), expected, "{event:?}");
    };
    check(InformerEvent::Added(pod("web", Some(("Job", "z")))), &["a/z"]);
    check(InformerEvent::Added(pod("web", Some(("Other", "z")))), &[]);
    check(InformerEvent::Added(pod("web", None)), &["a/x"]);
    check(InformerEvent::Deleted(pod("web", None)), &[]);
    // It was let go, or taken by another.
    let had = || pod("web", Some(("Job", "x")));
    check(InformerEvent::Updated { old: had(), new: pod("web", None) }, &["a/x"]);
    check(InformerEvent::Updated { old: had(), new: pod("other", None) }, &["a/x"]);
    check(InformerEvent::Updated { old: had(), new: pod("web", Some(("Job", "z"))) }, &["a/z", "a/x"]);
}
