//! Verdicts, in the words that users see.

use portcullis_sdk::testing::project;
use serde_json::{Value, json};

use super::*;

fn run(labels: Value, kind: &str, spec: Value, old: Option<Value>) -> Verdict {
    let mut document = json!({
        "namespaceObject": {"metadata": {"labels": labels}}, "object": {"spec": spec},
        "request": {"kind": {"kind": kind}, "operation": if old.is_some() { "UPDATE" } else { "CREATE" }},
    });
    if let Some(old) = old {
        document["oldObject"] = json!({"spec": old});
    }
    validate(&Config::default(), &Input::new(&project(&document, &PATHS)), ValueRef::ABSENT)
}

/// Checks what `level` says against a pod: nothing if `expected` is empty.
fn check(level: &str, spec: Value, expected: &str) {
    let (name, version) = level.split_once(':').unwrap_or((level, "latest"));
    let labels =
        json!({"pod-security.kubernetes.io/enforce": name, "pod-security.kubernetes.io/enforce-version": version});
    let found = run(labels, "Pod", spec, None).denied.map(|denial| denial.message).unwrap_or_default();
    let expected = if expected.is_empty() {
        String::new()
    } else {
        format!("violates PodSecurity \"{name}:{version}\": {expected}")
    };
    assert_eq!(found, expected);
}

fn with(context: Value) -> Value {
    json!({"containers": [{"name": "c", "securityContext": context}]})
}

fn hardened() -> Value {
    json!({"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [{"name": "c", "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}}]})
}

#[test]
fn baseline_level() {
    check("baseline", with(json!({})), "");
    check("privileged", with(json!({"privileged": true})), "");
    let cases = [
        (json!({"hostNetwork": true}), "host namespaces (hostNetwork=true)"),
        (json!({"hostPID": true, "hostIPC": true}), "host namespaces (hostPID=true, hostIPC=true)"),
        (json!({"volumes": [{"name": "v", "hostPath": {}}]}), "hostPath volumes (volume \"v\")"),
        (
            json!({"containers": [{"name": "c", "ports": [{"hostPort": 1}]}]}),
            "hostPort (container \"c\" uses hostPort 1)",
        ),
        (
            with(json!({"privileged": true})),
            "privileged (container \"c\" must not set securityContext.privileged=true)",
        ),
        (
            with(json!({"capabilities": {"add": ["SYS_ADMIN", "KILL"]}})),
            "non-default capabilities (container \"c\" must not include \"SYS_ADMIN\" in securityContext.capabilities.add)",
        ),
        (
            with(json!({"procMount": "Unmasked"})),
            "procMount (container \"c\" must not set securityContext.procMount to \"Unmasked\")",
        ),
        (
            with(json!({"seLinuxOptions": {"type": "x", "user": "u"}})),
            "seLinuxOptions (container \"c\" set forbidden securityContext.seLinuxOptions: type \"x\"; user may not be set)",
        ),
        (
            json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}}}),
            "seccompProfile (pod must not set securityContext.seccompProfile.type to \"Unconfined\")",
        ),
        (
            with(json!({"appArmorProfile": {"type": "Unconfined"}})),
            "forbidden AppArmor profile (container \"c\" must not set AppArmor profile type to \"Unconfined\")",
        ),
        (json!({"securityContext": {"sysctls": [{"name": "kernel.msgmax"}]}}), "forbidden sysctls (kernel.msgmax)"),
        (
            json!({"securityContext": {"windowsOptions": {"hostProcess": true}}}),
            "hostProcess (pod must not set securityContext.windowsOptions.hostProcess=true)",
        ),
        (
            json!({"containers": [{"name": "c", "livenessProbe": {"httpGet": {"host": "h"}}}]}),
            "probe or lifecycle host (container \"c\" uses probe or lifecycle host \"h\")",
        ),
    ];
    for (spec, expected) in cases {
        check("baseline", spec, expected);
    }
}

#[test]
fn restricted_level() {
    check("restricted", hardened(), "");
    check(
        "restricted",
        with(json!({})),
        "allowPrivilegeEscalation != false (container \"c\" must set securityContext.allowPrivilegeEscalation=false), \
         unrestricted capabilities (container \"c\" must set securityContext.capabilities.drop=[\"ALL\"]), \
         runAsNonRoot != true (pod or container \"c\" must set securityContext.runAsNonRoot=true), \
         seccompProfile (pod or container \"c\" must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\")",
    );
    let mut spec = hardened();
    spec["volumes"] = json!([{"name": "v", "nfs": {}}, {"name": "s", "secret": {}}]);
    check("restricted", spec, "restricted volume types (volume \"v\" uses restricted volume type \"nfs\")");
    let mut spec = hardened();
    spec["securityContext"]["runAsUser"] = json!(0);
    check("restricted", spec.clone(), "runAsUser=0 (pod must not set runAsUser=0)");
    spec["hostUsers"] = json!(false);
    check("restricted", spec, "");
}

#[test]
fn versions() {
    let spec = json!({"securityContext": {"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}});
    check("baseline:v1.31", spec.clone(), "forbidden sysctls (net.ipv4.tcp_rmem)");
    check("baseline:v1.32", spec, "");
}

#[test]
fn warnings_notes_and_updates() {
    let labels = json!({"pod-security.kubernetes.io/warn": "baseline", "pod-security.kubernetes.io/audit": "baseline"});
    let spec = json!({"template": {"spec": {"hostNetwork": true}}});
    let verdict = run(labels, "Deployment", spec, None);
    assert!(verdict.denied.is_none());
    assert_eq!(verdict.warnings, ["would violate PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)"]);
    assert_eq!(verdict.audit_annotations.len(), 1);

    let enforce = json!({"pod-security.kubernetes.io/enforce": "baseline"});
    let pod = |image: &str| json!({"hostNetwork": true, "containers": [{"name": "c", "image": image}]});
    assert!(run(enforce.clone(), "Pod", pod("a"), Some(pod("a"))).denied.is_none());
    assert!(run(enforce.clone(), "Pod", pod("b"), Some(pod("a"))).denied.is_some());
    // Who enforces a level is warned about it in workloads too.
    assert_eq!(run(enforce, "Job", json!({"template": {"spec": {"hostPID": true}}}), None).warnings.len(), 1);
    assert!(run(json!({}), "Pod", pod("a"), None).denied.is_none());
}
