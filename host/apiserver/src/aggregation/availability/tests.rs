use portcullis_machinery::object;
use serde_json::{Value, json};

use super::{Outcome, condition, has_address};

#[track_caller]
fn check_endpoints(slice: &Value, port: &str, expected: bool) {
    assert_eq!(has_address(slice, port), expected, "{slice} {port:?}");
}

#[test]
fn endpoints_that_can_be_gone_to() {
    let slice = |ready: Value| {
        json!({
            "endpoints": [{"addresses": ["10.0.0.1"], "conditions": {"ready": ready}}],
            "ports": [{"name": "https", "port": 443}, {"name": "", "port": 80}, {"name": "open"}],
        })
    };
    check_endpoints(&slice(true.into()), "https", true);
    check_endpoints(&slice(Value::Null), "https", true);
    check_endpoints(&slice(true.into()), "", true);
    check_endpoints(&slice(true.into()), "other", false);
    check_endpoints(&slice(true.into()), "open", false);
    check_endpoints(&slice(false.into()), "https", false);
    check_endpoints(&json!({"endpoints": [], "ports": [{"name": "https", "port": 443}]}), "https", false);
}

#[test]
fn a_condition_keeps_its_time_while_its_status_stays() {
    let object = json!({"status": {"conditions": [
        {"type": "Other", "status": "True"},
        {"type": "Available", "status": "False", "reason": "ServiceNotFound", "message": "m", "lastTransitionTime": "t"},
    ]}});
    let same = Outcome::new("False", "ServiceNotFound", "m");
    assert!(same.is_in(&object));
    assert_eq!(same.put_in(&object), object);
    let other_reason = Outcome::new("False", "MissingEndpoints", "n").put_in(&object);
    let found = condition(&other_reason).expect("there");
    assert_eq!(found["lastTransitionTime"], "t");
    assert_eq!(found["reason"], "MissingEndpoints");
    let changed = Outcome::local().put_in(&object);
    let found = condition(&changed).expect("there");
    assert_ne!(found["lastTransitionTime"], "t");
    assert_eq!(object::list_at(&changed, &["status", "conditions"]).len(), 2);
    let first = Outcome::local().put_in(&json!({}));
    assert!(Outcome::local().is_in(&first));
}
