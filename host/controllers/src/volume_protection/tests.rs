use serde_json::json;

use super::*;

#[test]
fn only_what_is_being_deleted_is_held() {
    let check = |metadata: Value, expected: bool| {
        assert_eq!(is_held(&json!({"metadata": metadata}), CLAIM_FINALIZER), expected);
    };
    check(json!({"finalizers": [CLAIM_FINALIZER]}), false);
    check(json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [CLAIM_FINALIZER]}), true);
    check(json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["other"]}), false);
}

#[test]
fn classes_of_attributes_are_used_by_claims_and_volumes() {
    let check = |user: Value, expected: &[&str]| assert_eq!(attributes_classes_of(&user).collect::<Vec<_>>(), expected);
    check(json!({"spec": {"volumeAttributesClassName": "gold"}}), &["gold"]);
    check(json!({"spec": {"volumeAttributesClassName": ""}}), &[]);
    let changing = json!({"currentVolumeAttributesClassName": "gold",
        "modifyVolumeStatus": {"targetVolumeAttributesClassName": "lead"}});
    check(json!({"status": changing}), &["gold", "lead"]);
}
