use super::*;
use serde_json::json;

#[test]
fn a_job_goes_when_its_time_has_come() {
    let check = |ttl: Value, kind: &str, ended: &str, due: Option<bool>| {
        let job = json!({"spec": {"ttlSecondsAfterFinished": ttl},
            "status": {"conditions": [{"type": kind, "status": "True", "lastTransitionTime": ended}]}});
        assert_eq!(due_in(&job).map(|seconds| seconds <= 0.0), due, "{job}");
    };
    let (long_ago, now) = ("2026-01-01T00:00:00Z", time::now());
    check(json!(10), "Complete", long_ago, Some(true));
    check(json!(0), "Failed", &now, Some(true));
    check(json!(100), "Complete", &now, Some(false));
    check(json!(10), "Suspended", long_ago, None);
    check(Value::Null, "Complete", long_ago, None);
}
