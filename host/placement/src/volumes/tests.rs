use std::sync::Arc;

use serde_json::json;

use super::matching::{Search, find, objection};
use super::*;

fn claim() -> Value {
    json!({
        "metadata": {"name": "c", "namespace": "ns", "uid": "1", "resourceVersion": "7"},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "s", "volumeMode": "Filesystem",
                 "resources": {"requests": {"storage": "1Gi"}}},
    })
}

fn volume(name: &str, size: &str) -> Value {
    json!({
        "metadata": {"name": name, "labels": {"tier": name}},
        "spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "s", "capacity": {"storage": size}},
        "status": {"phase": "Available"},
    })
}

fn with(mut object: Value, path: &[&str], value: Value) -> Value {
    object::set_at(&mut object, path, value);
    object
}

#[test]
fn the_volume_that_suits_best_is_found() {
    let node = json!({"metadata": {"name": "n", "labels": {"zone": "a"}}});
    let check = |what: &str, claim: &Value, volumes: &[Value], search: &Search<'_>, expected: Option<&str>| {
        let volumes: Vec<_> = volumes.iter().cloned().map(Arc::new).collect();
        let found = find(claim, &volumes, search, |volume| volume.name() == "taken").expect("a valid selector");
        assert_eq!(found.as_ref().map(|volume| volume.name()), expected, "{what}");
    };
    let now = Search::Controller { waits: false };
    let all = [volume("big", "5Gi"), volume("small", "512Mi"), volume("fits", "2048Mi"), volume("taken", "1Gi")];
    check("the smallest that is large enough", &claim(), &all, &now, Some("fits"));
    check("none that waits for a pod", &claim(), &all, &Search::Controller { waits: true }, None);
    check("for a pod on a node", &claim(), &all, &Search::Node(&node), Some("fits"));
    let selects = with(claim(), &["spec", "selector"], json!({"matchLabels": {"tier": "big"}}));
    check("what its selector says", &selects, &all, &now, Some("big"));
    let many = with(volume("many", "1Gi"), &["spec", "accessModes"], json!(["ReadWriteOnce", "ReadOnlyMany"]));
    check("one that can do no more than is asked", &claim(), &[many.clone(), volume("big", "5Gi")], &now, Some("big"));
    check("one that can do more if there is no other", &claim(), &[many], &now, Some("many"));
    for (what, path, value) in [
        ("another mode", &["spec", "volumeMode"][..], json!("Block")),
        ("another class", &["spec", "storageClassName"], json!("t")),
        ("other attributes", &["spec", "volumeAttributesClassName"], json!("gold")),
        ("another access", &["spec", "accessModes"], json!(["ReadOnlyMany"])),
        ("one that goes", &["metadata", "deletionTimestamp"], json!("2026-01-01T00:00:00Z")),
        ("another's", &["spec", "claimRef"], json!({"namespace": "ns", "name": "d"})),
        (
            "one of a claim of that name before",
            &["spec", "claimRef"],
            json!({"namespace": "ns", "name": "c", "uid": "0"}),
        ),
        ("one that is not ready", &["status", "phase"], json!("Pending")),
    ] {
        check(what, &claim(), &[with(volume("v", "1Gi"), path, value)], &now, None);
    }
    let kept = with(volume("kept", "9Gi"), &["spec", "claimRef"], json!({"namespace": "ns", "name": "c"}));
    let waits = Search::Controller { waits: true };
    check("what is kept for it", &claim(), &[volume("v", "1Gi"), kept.clone()], &now, Some("kept"));
    check(
        "what is kept for it, before a pod has it",
        &claim(),
        &[volume("v", "1Gi"), kept.clone()],
        &waits,
        Some("kept"),
    );
    let far = |object| {
        let term = json!([{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["b"]}]}]);
        with(object, &["spec", "nodeAffinity", "required", "nodeSelectorTerms"], term)
    };
    check("none that the node cannot reach", &claim(), &[far(volume("v", "1Gi"))], &Search::Node(&node), None);
    check(
        "nothing else if that is kept for it",
        &claim(),
        &[far(kept), volume("v", "1Gi")],
        &Search::Node(&node),
        None,
    );
}

#[test]
fn a_volume_that_a_claim_names_must_suit_it() {
    let check = |path: &[&str], value: Value, expected: Option<&str>| {
        let found = objection(&with(volume("v", "1Gi"), path, value), &claim());
        assert_eq!(found.as_deref(), expected, "{path:?}");
    };
    check(&["metadata", "labels"], json!({}), None);
    check(
        &["metadata", "deletionTimestamp"],
        json!("2026-01-01T00:00:00Z"),
        Some("the volume is marked for deletion \"v\""),
    );
    check(&["spec", "capacity", "storage"], json!("1M"), Some("requested PV is too small"));
    check(&["spec", "storageClassName"], json!(""), Some("storageClassName does not match"));
    check(&["spec", "volumeAttributesClassName"], json!("x"), Some("volumeAttributesClassName does not match"));
    check(&["spec", "volumeMode"], json!("Block"), Some("incompatible volumeMode"));
    check(&["spec", "accessModes"], json!(["ReadOnlyMany"]), Some("incompatible accessMode"));
}

#[test]
fn a_binding_says_who_chose() {
    let free = volume("v", "1Gi");
    let bound = bound_to(&free, &claim()).expect("changed");
    assert_eq!(bound.str_at(&["spec", "claimRef", "uid"]), "1");
    assert_eq!(bound.annotation(BOUND_BY_CONTROLLER), Some("yes"));
    assert_eq!(bound_to(&bound, &claim()), None);
    let kept = with(free, &["spec", "claimRef"], json!({"namespace": "ns", "name": "c"}));
    let bound = bound_to(&kept, &claim()).expect("changed");
    assert_eq!((bound.str_at(&["spec", "claimRef", "uid"]), bound.annotation(BOUND_BY_CONTROLLER)), ("1", None));
}

#[test]
fn zones_and_classes_name_nodes() {
    let node = |labels: Value| json!({"metadata": {"labels": labels}});
    let check = |volume_labels: Value, labels: Value, expected: bool| {
        let volume = json!({"metadata": {"labels": volume_labels}});
        assert_eq!(topology::same_zone(&volume, &node(labels.clone())), expected, "{labels}");
    };
    let zone = |zone: &str| json!({"topology.kubernetes.io/zone": zone});
    check(zone("a__b"), zone("b"), true);
    check(zone("a__b"), zone("c"), false);
    check(zone("a"), json!({}), true);
    check(json!({"failure-domain.beta.kubernetes.io/zone": "a"}), zone("a"), true);
    check(json!({}), zone("a"), true);
    let class = json!({"allowedTopologies": [{"matchLabelExpressions": [{"key": "zone", "values": ["a"]}]}]});
    assert!(topology::class_allows(&class, &node(json!({"zone": "a"}))));
    assert!(!topology::class_allows(&class, &node(json!({"zone": "b"}))));
    assert!(topology::class_allows(&json!({}), &node(json!({}))));
}

#[test]
fn claims_of_pods() {
    let pod = json!({"metadata": {"name": "p", "uid": "9"}, "spec": {"volumes": [
        {"name": "a", "emptyDir": {}},
        {"name": "b", "persistentVolumeClaim": {"claimName": "c"}},
        {"name": "d", "ephemeral": {}},
    ]}});
    let found: Vec<_> = claims_of(&pod).map(|claim| (claim.name, claim.ephemeral)).collect();
    assert_eq!(found, [("c".to_owned(), false), ("p-d".to_owned(), true)]);
    let made = json!({"metadata": {"ownerReferences": [{"uid": "9", "controller": true}]}});
    assert!(is_made_for(&made, &pod) && !is_made_for(&json!({}), &pod));
}
