//! The level `restricted`, beyond `baseline`, in the order of the checks' names.

use portcullis_sdk::ValueRef;

use crate::{
    baseline,
    pod::{Pod, Texts, Violation, containers, plural, quoted},
};

/// Kinds of volumes that hold nothing of the node's.
const VOLUMES: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];

/// All violations as of a minor version.
pub(crate) fn check(pod: &Pod, minor: u32) -> Vec<Violation> {
    // Since 1.25, what Windows does not have need not be set for it.
    let windows = minor >= 25 && pod.is_windows();
    // Since 1.35, root in a user namespace of its own is let pass.
    let remapped = minor >= 35 && pod.has_user_namespace();
    let mut found = Vec::new();
    if minor >= 8 && !windows {
        found.extend(privilege_escalation(pod));
    }
    if minor >= 22 && !windows {
        found.extend(capabilities(pod));
    }
    if minor >= 35 {
        found.extend(baseline::proc_mount(pod));
    }
    found.extend(volumes(pod));
    if !remapped {
        found.extend(run_as_non_root(pod));
        if minor >= 23 {
            found.extend(run_as_user(pod));
        }
    }
    if minor >= 19 && !windows {
        found.extend(seccomp(pod));
    }
    found
}

fn some(reason: &str, detail: String) -> Option<Violation> {
    Some((reason.to_owned(), detail))
}

fn privilege_escalation(pod: &Pod) -> Option<Violation> {
    let names = pod
        .names(|container| container.get("securityContext").get("allowPrivilegeEscalation").as_bool() != Some(false));
    if names.is_empty() {
        return None;
    }
    let detail = format!("{} must set securityContext.allowPrivilegeEscalation=false", containers(&names));
    some("allowPrivilegeEscalation != false", detail)
}

fn capabilities(pod: &Pod) -> Option<Violation> {
    let keeping = pod.names(|container| {
        let drop = container.get("securityContext").get("capabilities").get("drop");
        !drop.iter().any(|capability| capability.is_str("ALL"))
    });
    let mut added = Texts::new();
    let adding = pod.names(|container| {
        let add = container.get("securityContext").get("capabilities").get("add");
        let bad: Vec<&str> =
            add.iter().filter_map(|one| one.as_str()).filter(|one| *one != "NET_BIND_SERVICE").collect();
        added.extend(bad.iter().map(|one| (*one).to_owned()));
        !bad.is_empty()
    });
    let mut details = Vec::new();
    if !keeping.is_empty() {
        details.push(format!("{} must set securityContext.capabilities.drop=[\"ALL\"]", containers(&keeping)));
    }
    if !adding.is_empty() {
        let list = quoted(added);
        details.push(format!("{} must not include {list} in securityContext.capabilities.add", containers(&adding)));
    }
    if details.is_empty() { None } else { some("unrestricted capabilities", details.join("; ")) }
}

fn volumes(pod: &Pod) -> Option<Violation> {
    let mut kinds = Texts::new();
    let mut names = Vec::new();
    for volume in pod.spec.get("volumes") {
        if VOLUMES.iter().any(|kind| !volume.get(kind).is_none()) {
            continue;
        }
        let kind = volume.entries().map(|(key, _)| key).find(|key| *key != "name");
        names.push(volume.get("name").str_or_empty());
        kinds.insert(kind.unwrap_or("unknown").to_owned());
    }
    if names.is_empty() {
        return None;
    }
    let what = plural("restricted volume type", "restricted volume types", kinds.len());
    let (word, uses) = (plural("volume", "volumes", names.len()), plural("uses", "use", names.len()));
    some("restricted volume types", format!("{word} {} {uses} {what} {}", quoted(names), quoted(kinds)))
}

fn run_as_non_root(pod: &Pod) -> Option<Violation> {
    let value = |context: ValueRef| context.get("runAsNonRoot").as_bool();
    let setters = pod.setters(|context| value(context) == Some(false));
    if !setters.none() {
        return some(
            "runAsNonRoot != true",
            format!("{} must not set securityContext.runAsNonRoot=false", setters.text()),
        );
    }
    if value(pod.spec.get("securityContext")) == Some(true) {
        return None;
    }
    let names = pod.names(|container| value(container.get("securityContext")).is_none());
    if names.is_empty() {
        return None;
    }
    some("runAsNonRoot != true", format!("pod or {} must set securityContext.runAsNonRoot=true", containers(&names)))
}

fn run_as_user(pod: &Pod) -> Option<Violation> {
    let setters = pod.setters(|context| context.get("runAsUser").as_i64() == Some(0));
    if setters.none() { None } else { some("runAsUser=0", format!("{} must not set runAsUser=0", setters.text())) }
}

fn seccomp(pod: &Pod) -> Option<Violation> {
    if let Some(found) = baseline::seccomp(pod) {
        return Some(found);
    }
    let profile = |context: ValueRef| !context.get("seccompProfile").is_none();
    if profile(pod.spec.get("securityContext")) {
        return None;
    }
    let names = pod.names(|container| !profile(container.get("securityContext")));
    if names.is_empty() {
        return None;
    }
    let list = containers(&names);
    some(
        "seccompProfile",
        format!("pod or {list} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\""),
    )
}
