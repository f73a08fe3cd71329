use portcullis_client::ObjectExt;
use portcullis_machinery::Value;
use serde_json::json;

use super::claim::status_of;
use super::volume::end_of;

#[test]
fn a_claim_says_what_its_volume_is_like() {
    let volume = json!({
        "metadata": {"name": "v"},
        "spec": {"accessModes": ["ReadWriteOnce", "ReadOnlyMany"], "capacity": {"storage": "5Gi"},
                 "volumeAttributesClassName": "gold"},
    });
    let check = |what: &str, before: Value, phase: &str, volume: Option<&Value>, expected: Value| {
        assert_eq!(status_of(&json!({"status": before}), phase, volume), expected, "{what}");
    };
    let bound = json!({"phase": "Bound", "accessModes": ["ReadWriteOnce", "ReadOnlyMany"],
        "capacity": {"storage": "5Gi"}, "currentVolumeAttributesClassName": "gold"});
    check("bound", json!({"phase": "Pending"}), "Bound", Some(&volume), bound.clone());
    check("lost", bound.clone(), "Lost", None, json!({"phase": "Lost"}));
    let mut resized = bound.clone();
    resized["capacity"]["storage"] = "4Gi".into();
    check("a size that differs stays", resized.clone(), "Bound", Some(&volume), resized);
    let mut growing = volume.clone();
    growing["metadata"]["annotations"] = json!({"volume.alpha.kubernetes.io/pre-resize-capacity": "3Gi"});
    let found = status_of(&json!({"status": {"phase": "Pending"}}), "Bound", Some(&growing));
    assert_eq!(found.str_at(&["capacity", "storage"]), "3Gi");
}

#[test]
fn volumes_end_as_their_policy_says() {
    let check = |policy: &str, rest: Value, expected: Option<&str>| {
        let mut volume = json!({"metadata": {"name": "v"}, "spec": {"persistentVolumeReclaimPolicy": policy}});
        portcullis_machinery::object::object_at(&mut volume, &["spec"])
            .extend(rest["spec"].as_object().cloned().unwrap_or_default());
        volume["metadata"]["annotations"] = rest["annotations"].clone();
        assert_eq!(end_of(&volume).map(|end| end.reason), expected, "{policy} {rest}");
    };
    check("Retain", json!({}), None);
    check("Delete", json!({}), Some("VolumeFailedDelete"));
    check("Delete", json!({"annotations": {"pv.kubernetes.io/provisioned-by": "csi.example.org"}}), None);
    check(
        "Delete",
        json!({"annotations": {"pv.kubernetes.io/provisioned-by": "kubernetes.io/x"}}),
        Some("VolumeFailedDelete"),
    );
    check("Delete", json!({"annotations": {"pv.kubernetes.io/migrated-to": "csi.example.org"}}), None);
    check("Delete", json!({"spec": {"csi": {"driver": "csi.example.org"}}}), None);
    check("Recycle", json!({}), Some("VolumeFailedRecycle"));
    check("", json!({}), Some("VolumeUnknownReclaimPolicy"));
}
