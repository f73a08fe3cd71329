use serde_json::json;

use super::machine::Machine;
use super::object::{node, patch, same, status};
use crate::config::KubeletConfig;
use crate::runtimes::Runtimes;

fn config() -> KubeletConfig {
    KubeletConfig {
        node_name: "n1".into(),
        node_labels: vec![("disk".into(), "ssd".into())],
        ..KubeletConfig::default()
    }
}

#[test]
fn what_a_node_says() {
    let machine = Machine::of_this_host(std::path::Path::new("/"));
    let node = node(&config(), 10250, &machine, &Runtimes::default());
    let check = |path: &str, expected: serde_json::Value| assert_eq!(node.pointer(path), Some(&expected), "{path}");
    check("/metadata/labels/kubernetes.io~1hostname", json!("n1"));
    check("/metadata/labels/kubernetes.io~1os", json!("linux"));
    check("/metadata/labels/disk", json!("ssd"));
    check("/status/capacity/pods", json!("110"));
    check("/status/daemonEndpoints/kubeletEndpoint/Port", json!(10250));
    check("/status/addresses/0", json!({"type": "InternalIP", "address": "127.0.0.1"}));
    check("/status/conditions/3/type", json!("Ready"));
    check("/status/conditions/3/status", json!("True"));
    assert!(machine.cpu_millis >= 1000 && machine.memory_bytes > 1 << 20 && machine.storage_bytes > 1 << 20);
}

#[test]
fn conditions_keep_their_times() {
    let machine = Machine::of_this_host(std::path::Path::new("/"));
    let mut before = status(&config(), 10250, &machine, &Runtimes::default(), None);
    for condition in before["conditions"].as_array_mut().unwrap() {
        condition["lastTransitionTime"] = json!("2020-01-01T00:00:00Z");
        condition["lastHeartbeatTime"] = json!("2020-01-01T00:00:00Z");
    }
    before["conditions"][3]["status"] = json!("False");
    let after = status(&config(), 10250, &machine, &Runtimes::default(), Some(&before));
    assert_eq!(after["conditions"][0]["lastTransitionTime"], "2020-01-01T00:00:00Z");
    assert_ne!(after["conditions"][0]["lastHeartbeatTime"], "2020-01-01T00:00:00Z");
    assert_ne!(after["conditions"][3]["lastTransitionTime"], "2020-01-01T00:00:00Z");
    assert!(!same(&before, &after), "a condition changed");
    let again = status(&config(), 10250, &machine, &Runtimes::default(), Some(&after));
    assert!(same(&after, &again), "only heartbeats differ");
    assert_eq!(patch(&after)["status"]["addresses"][2], json!({"$patch": "replace"}));
}
