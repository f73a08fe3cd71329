use super::*;

#[test]
fn claims_are_made_from_templates() {
    let pod = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "p", "namespace": "ns", "uid": "9"},
    "spec": {"volumes": [
        {"name": "a", "emptyDir": {}},
        {"name": "b", "ephemeral": {"volumeClaimTemplate": {"metadata": {"labels": {"x": "y"}},
            "spec": {"accessModes": ["ReadWriteOnce"]}}}},
    ]}});
    let made: Vec<_> = templates(&pod).collect();
    let [(volume, claim)] = &made[..] else { panic!("{made:?}") };
    assert_eq!((*volume, claim.key()), ("b", "ns/p-b".to_owned()));
    assert_eq!(claim.label("x"), Some("y"));
    assert!(is_made_for(claim, &pod));
    assert_eq!(claim.list_at(&["spec", "accessModes"]), ["ReadWriteOnce"]);
}
