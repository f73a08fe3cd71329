use std::net::IpAddr;

use serde_json::json;

use super::*;

fn pod() -> Value {
    json!({
        "metadata": {"name": "web", "namespace": "ns", "uid": "u1",
            "labels": {"b": "2", "a/x": "1"}, "annotations": {"note": "line\n\"two\" \\ \u{7}é"}},
        "spec": {"serviceAccountName": "sa", "containers": [
            {"name": "main", "resources": {"limits": {"cpu": "1500m", "memory": "64Mi"},
                "requests": {"cpu": "250m", "hugepages-2Mi": "4Mi"}}},
            {"name": "free"},
        ]},
    })
}

fn facts() -> PodFacts {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    PodFacts {
        node_name: "n1".into(),
        host_ips: vec![ip("192.0.2.1"), ip("fd00::1")],
        pod_ips: vec![ip("10.0.0.5"), ip("fd00::5")],
        allocatable: Allocatable { cpu_millis: 4000, memory_bytes: 1 << 30, ephemeral_storage_bytes: 5 },
    }
}

#[test]
fn fields_have_texts() {
    let check = |path: &str, expected: Result<&str, &str>| {
        let found = field_value(&pod(), &facts(), &json!({"fieldPath": path})).map_err(|error| error.to_string());
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{path}");
    };
    check("metadata.name", Ok("web"));
    check("metadata.namespace", Ok("ns"));
    check("metadata.uid", Ok("u1"));
    check("metadata.labels", Ok("a/x=\"1\"\nb=\"2\""));
    check("metadata.labels['a/x']", Ok("1"));
    check("metadata.labels['none']", Ok(""));
    check("metadata.annotations", Ok("note=\"line\\n\\\"two\\\" \\\\ \\aé\""));
    check("spec.nodeName", Ok("n1"));
    check("spec.serviceAccountName", Ok("sa"));
    check("status.hostIP", Ok("192.0.2.1"));
    check("status.hostIPs", Ok("192.0.2.1,fd00::1"));
    check("status.podIP", Ok("10.0.0.5"));
    check("status.podIPs", Ok("10.0.0.5,fd00::5"));
    check("spec.containers", Err("field label not supported: spec.containers"));
    check("spec.nodeName['x']", Err("field label not supported: spec.nodeName['x']"));
    let old = field_value(&pod(), &facts(), &json!({"apiVersion": "v2", "fieldPath": "metadata.name"}));
    assert_eq!(old, Err(FieldError::Version("v2".into())));
}

#[test]
fn a_pod_on_the_hosts_network_has_the_hosts_address() {
    let mut pod = pod();
    pod["spec"]["hostNetwork"] = true.into();
    let facts = PodFacts { pod_ips: Vec::new(), ..facts() };
    assert_eq!(field_value(&pod, &facts, &json!({"fieldPath": "status.podIP"})).unwrap(), "192.0.2.1");
}

#[test]
fn resources_have_texts() {
    let check = |container: &str, resource: &str, divisor: &str, expected: Result<&str, &str>| {
        let mut reference = json!({"containerName": container, "resource": resource});
        if !divisor.is_empty() {
            reference["divisor"] = divisor.into();
        }
        let found = resource_value(&pod(), None, &facts().allocatable, &reference).map_err(|error| error.to_string());
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "{container} {resource} {divisor}");
    };
    check("main", "limits.cpu", "", Ok("2"));
    check("main", "limits.cpu", "1m", Ok("1500"));
    check("main", "limits.memory", "", Ok("67108864"));
    check("main", "limits.memory", "1Mi", Ok("64"));
    check("main", "limits.memory", "60Mi", Ok("2"));
    check("main", "requests.cpu", "0", Ok("1"));
    check("main", "requests.hugepages-2Mi", "1Mi", Ok("4"));
    check("free", "limits.cpu", "", Ok("4"));
    check("free", "limits.memory", "1Mi", Ok("1024"));
    check("free", "limits.ephemeral-storage", "", Ok("5"));
    check("free", "requests.memory", "", Ok("0"));
    check("none", "limits.cpu", "", Err("container none not found"));
    check("main", "limits.gpu", "", Err("unsupported container resource : limits.gpu"));
    let own = json!({"name": "x", "resources": {"limits": {"cpu": "3"}}});
    let found = resource_value(&pod(), Some(&own), &facts().allocatable, &json!({"resource": "limits.cpu"}));
    assert_eq!(found.unwrap(), "3");
}
