use serde_json::json;

use super::*;

#[test]
fn a_pod_has_the_claims_of_its_volumes() {
    let check = |volume: Value, expected: &[&str]| {
        let pod = json!({"metadata": {"name": "web"}, "spec": {"volumes": [volume]}});
        assert_eq!(claims_of(&pod).collect::<Vec<_>>(), expected);
    };
    check(json!({"name": "data", "persistentVolumeClaim": {"claimName": "disk"}}), &["disk"]);
    check(json!({"name": "data", "ephemeral": {"volumeClaimTemplate": {}}}), &["web-data"]);
    check(json!({"name": "data", "emptyDir": {}}), &[]);
}

#[test]
fn only_what_is_being_deleted_is_held() {
    let check = |metadata: Value, expected: bool| {
        assert_eq!(is_held(&json!({"metadata": metadata}), CLAIM_FINALIZER), expected);
    };
    check(json!({"finalizers": [CLAIM_FINALIZER]}), false);
    check(json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [CLAIM_FINALIZER]}), true);
    check(json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["other"]}), false);
}
