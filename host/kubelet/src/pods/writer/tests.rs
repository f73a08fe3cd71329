use portcullis_machinery::Value;
use portcullis_machinery::definition::{Registry, RuntimeConfig};
use portcullis_machinery::patch::strategic_merge;
use serde_json::json;

use super::patch;

/// What a pod's status becomes when the API server applies the patch.
fn check(present: Value, written: Value, expected: Value) {
    let registry = Registry::builtin(&RuntimeConfig::default());
    let pods = registry.kind("", "v1", "Pod").unwrap();
    let pod = json!({"metadata": {"name": "p", "uid": "u"}, "status": present});
    let after = strategic_merge(&pod, &patch("u", &written), &pods.schema).unwrap();
    assert_eq!(after["status"], expected, "{written}");
    assert_eq!(after["metadata"]["uid"], "u");
}

#[test]
fn a_status_becomes_the_one_written() {
    // What the kubelet has nothing to say in goes away; lists are replaced as a whole.
    check(
        json!({"phase": "Running", "reason": "Old", "message": "old", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}],
            "containerStatuses": [{"name": "a"}, {"name": "b"}], "qosClass": "Burstable"}),
        json!({"phase": "Running", "podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.2"}], "containerStatuses": [{"name": "a"}]}),
        json!({"phase": "Running", "podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.2"}],
            "containerStatuses": [{"name": "a"}], "qosClass": "Burstable"}),
    );
    check(
        json!({"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}]}),
        json!({"phase": "Failed", "reason": "DeadlineExceeded", "message": "m"}),
        json!({"phase": "Failed", "reason": "DeadlineExceeded", "message": "m"}),
    );
    // Conditions of others stay.
    check(
        json!({"conditions": [{"type": "Ready", "status": "False", "reason": "R", "message": "m"}, {"type": "example.com/gate", "status": "True"}]}),
        json!({"conditions": [{"type": "Ready", "status": "True"}]}),
        json!({"conditions": [{"type": "Ready", "status": "True"}, {"type": "example.com/gate", "status": "True"}]}),
    );
    check(
        json!({"phase": "Pending"}),
        json!({"phase": "Pending", "conditions": [{"type": "Ready", "status": "True"}]}),
        json!({"phase": "Pending", "conditions": [{"type": "Ready", "status": "True"}]}),
    );
}
