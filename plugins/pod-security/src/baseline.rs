//! The level `baseline`, in the order of the checks' names.

use portcullis_sdk::ValueRef;

use crate::pod::{Pod, Texts, Violation, containers, plural, quoted};

const CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];
/// Sysctls that stay inside of a pod, with the minor version since which they are allowed.
const SYSCTLS: [(&str, u32); 12] = [
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
];

/// All violations as of a minor version. Below `restricted`, checks that it replaces by stricter ones are left out.
pub(crate) fn check(pod: &Pod, minor: u32, below_restricted: bool) -> Vec<Violation> {
    let mut found = Vec::new();
    found.extend(app_armor(pod));
    if !(below_restricted && minor >= 22) {
        found.extend(capabilities(pod));
    }
    found.extend(host_namespaces(pod));
    if !below_restricted {
        found.extend(host_paths(pod));
    }
    found.extend(host_ports(pod));
    if minor >= 34 {
        found.extend(probe_hosts(pod));
    }
    found.extend(privileged(pod));
    let relaxed = minor >= 35 && pod.has_user_namespace();
    if !(relaxed || below_restricted && minor >= 35) {
        found.extend(proc_mount(pod));
    }
    found.extend(selinux(pod, minor));
    if minor < 19 {
        found.extend(seccomp_annotations(pod));
    } else if !below_restricted {
        found.extend(seccomp(pod));
    }
    found.extend(sysctls(pod, minor));
    found.extend(host_process(pod));
    found
}

fn some(reason: &str, detail: String) -> Option<Violation> {
    Some((reason.to_owned(), detail))
}

fn app_armor(pod: &Pod) -> Option<Violation> {
    let mut values = Texts::new();
    let setters = pod.setters(|context| {
        let profile = context.get("appArmorProfile");
        let kind = profile.get("type").str_or_empty();
        let bad = !profile.is_none() && !matches!(kind, "RuntimeDefault" | "Localhost");
        if bad {
            values.insert(kind.to_owned());
        }
        bad
    });
    let annotations: Texts = pod
        .annotations
        .entries()
        .filter(|(key, _)| key.starts_with("container.apparmor.security.beta.kubernetes.io/"))
        .map(|(key, value)| (key, value.str_or_empty()))
        .filter(|(_, value)| !(value.is_empty() || *value == "runtime/default" || value.starts_with("localhost/")))
        .map(|(key, value)| format!("{key}={value:?}"))
        .collect();
    let mut who = Vec::new();
    if !setters.none() {
        who.push(setters.text());
    }
    if !annotations.is_empty() {
        who.push(plural("annotation", "annotations", annotations.len()).to_owned());
    }
    if who.is_empty() {
        return None;
    }
    let values: Vec<String> = values.into_iter().chain(annotations).collect();
    let reason = plural("forbidden AppArmor profile", "forbidden AppArmor profiles", values.len());
    some(reason, format!("{} must not set AppArmor profile type to {}", who.join(" and "), quoted(values)))
}

fn capabilities(pod: &Pod) -> Option<Violation> {
    let mut added = Texts::new();
    let names = pod.names(|container| {
        let before = added.len();
        let mut bad = false;
        for capability in
            container.get("securityContext").get("capabilities").get("add").iter().filter_map(|one| one.as_str())
        {
            if !CAPABILITIES.contains(&capability) {
                bad = true;
                added.insert(capability.to_owned());
            }
        }
        bad || added.len() > before
    });
    if names.is_empty() {
        return None;
    }
    let detail =
        format!("{} must not include {} in securityContext.capabilities.add", containers(&names), quoted(added));
    some("non-default capabilities", detail)
}

fn host_namespaces(pod: &Pod) -> Option<Violation> {
    let shared =
        ["hostNetwork", "hostPID", "hostIPC"].into_iter().filter(|field| pod.spec.get(field).as_bool() == Some(true));
    let shared: Vec<String> = shared.map(|field| format!("{field}=true")).collect();
    if shared.is_empty() { None } else { some("host namespaces", shared.join(", ")) }
}

fn host_paths(pod: &Pod) -> Option<Violation> {
    let volumes = pod.spec.get("volumes").iter().filter(|volume| !volume.get("hostPath").is_none());
    let names: Vec<&str> = volumes.map(|volume| volume.get("name").str_or_empty()).collect();
    if names.is_empty() {
        return None;
    }
    some("hostPath volumes", format!("{} {}", plural("volume", "volumes", names.len()), quoted(names)))
}

fn host_ports(pod: &Pod) -> Option<Violation> {
    let mut ports = Texts::new();
    let names = pod.names(|container| {
        let used: Vec<i64> = container
            .get("ports")
            .iter()
            .filter_map(|port| port.get("hostPort").as_i64())
            .filter(|port| *port != 0)
            .collect();
        ports.extend(used.iter().map(i64::to_string));
        !used.is_empty()
    });
    if names.is_empty() {
        return None;
    }
    let uses = plural("uses", "use", names.len());
    let what = plural("hostPort", "hostPorts", ports.len());
    let list: Vec<String> = ports.into_iter().collect();
    some("hostPort", format!("{} {uses} {what} {}", containers(&names), list.join(", ")))
}

fn probe_hosts(pod: &Pod) -> Option<Violation> {
    let mut hosts = Texts::new();
    let names: Texts = pod
        .names(|container| {
            let lifecycle = container.get("lifecycle");
            let handlers = [
                container.get("livenessProbe"),
                container.get("readinessProbe"),
                container.get("startupProbe"),
                lifecycle.get("postStart"),
                lifecycle.get("preStop"),
            ];
            let used: Vec<String> = handlers
                .iter()
                .flat_map(|handler| [handler.get("httpGet"), handler.get("tcpSocket")])
                .map(|action| action.get("host").str_or_empty().to_owned())
                .filter(|host| !host.is_empty())
                .collect();
            let bad = !used.is_empty();
            hosts.extend(used);
            bad
        })
        .into_iter()
        .collect();
    if names.is_empty() {
        return None;
    }
    let names: Vec<String> = names.into_iter().collect();
    let uses = plural("uses", "use", names.len());
    let what = plural("probe or lifecycle host", "probe or lifecycle hosts", hosts.len());
    some("probe or lifecycle host", format!("{} {uses} {what} {}", containers(&names), quoted(hosts)))
}

fn privileged(pod: &Pod) -> Option<Violation> {
    let names = pod.names(|container| container.get("securityContext").get("privileged").as_bool() == Some(true));
    if names.is_empty() {
        return None;
    }
    some("privileged", format!("{} must not set securityContext.privileged=true", containers(&names)))
}

/// Also a check of `restricted` since 1.35, where user namespaces do not relax it.
pub(crate) fn proc_mount(pod: &Pod) -> Option<Violation> {
    let mut values = Texts::new();
    let names = pod.names(|container| {
        let value = container.get("securityContext").get("procMount").as_str().filter(|value| *value != "Default");
        values.extend(value.map(str::to_owned));
        value.is_some()
    });
    if names.is_empty() {
        return None;
    }
    some("procMount", format!("{} must not set securityContext.procMount to {}", containers(&names), quoted(values)))
}

fn selinux(pod: &Pod, minor: u32) -> Option<Violation> {
    let (mut types, mut user, mut role) = (Texts::new(), false, false);
    let setters = pod.setters(|context| {
        let options = context.get("seLinuxOptions");
        let kind = options.get("type").str_or_empty();
        let known = matches!(kind, "" | "container_t" | "container_init_t" | "container_kvm_t")
            || minor >= 31 && kind == "container_engine_t";
        let (has_user, has_role) =
            (!options.get("user").str_or_empty().is_empty(), !options.get("role").str_or_empty().is_empty());
        if !known {
            types.insert(kind.to_owned());
        }
        user |= has_user;
        role |= has_role;
        !known || has_user || has_role
    });
    if setters.none() {
        return None;
    }
    let mut what = Vec::new();
    if !types.is_empty() {
        what.push(format!("{} {}", plural("type", "types", types.len()), quoted(types)));
    }
    if user {
        what.push("user may not be set".to_owned());
    }
    if role {
        what.push("role may not be set".to_owned());
    }
    let detail = format!("{} set forbidden securityContext.seLinuxOptions: {}", setters.text(), what.join("; "));
    some("seLinuxOptions", detail)
}

/// Before 1.19 profiles were annotations.
fn seccomp_annotations(pod: &Pod) -> Option<Violation> {
    let of_pod = "seccomp.security.alpha.kubernetes.io/pod".to_owned();
    let of_containers = pod.containers().map(|container| {
        format!("container.seccomp.security.alpha.kubernetes.io/{}", container.get("name").str_or_empty())
    });
    let bad = |value: &str| !matches!(value, "runtime/default" | "docker/default") && !value.starts_with("localhost/");
    let found: Texts = std::iter::once(of_pod)
        .chain(of_containers)
        .filter_map(|key| {
            pod.annotations.get(&key).as_str().filter(|value| bad(value)).map(|value| format!("{key}={value:?}"))
        })
        .collect();
    if found.is_empty() {
        return None;
    }
    let list: Vec<String> = found.into_iter().collect();
    some("seccompProfile", format!("forbidden {} {}", plural("annotation", "annotations", list.len()), list.join(", ")))
}

/// Whether a profile is set, and to something that is not allowed.
pub(crate) fn bad_seccomp<'a>(context: ValueRef<'a>) -> Option<&'a str> {
    let profile = context.get("seccompProfile");
    let kind = profile.get("type").str_or_empty();
    (!profile.is_none() && !matches!(kind, "RuntimeDefault" | "Localhost")).then_some(kind)
}

/// Also the first half of the check of `restricted`.
pub(crate) fn seccomp(pod: &Pod) -> Option<Violation> {
    let mut values = Texts::new();
    let setters = pod.setters(|context| {
        let bad = bad_seccomp(context);
        values.extend(bad.map(str::to_owned));
        bad.is_some()
    });
    if setters.none() {
        return None;
    }
    let detail = format!("{} must not set securityContext.seccompProfile.type to {}", setters.text(), quoted(values));
    some("seccompProfile", detail)
}

fn sysctls(pod: &Pod, minor: u32) -> Option<Violation> {
    let allowed = |name: &str| SYSCTLS.iter().any(|(known, since)| *known == name && minor >= *since);
    let set = pod.spec.get("securityContext").get("sysctls");
    let names = set.iter().map(|sysctl| sysctl.get("name").str_or_empty()).filter(|name| !allowed(name));
    let names: Vec<&str> = names.collect();
    if names.is_empty() { None } else { some("forbidden sysctls", names.join(", ")) }
}

fn host_process(pod: &Pod) -> Option<Violation> {
    let setters = pod.setters(|context| context.get("windowsOptions").get("hostProcess").as_bool() == Some(true));
    if setters.none() {
        return None;
    }
    some("hostProcess", format!("{} must not set securityContext.windowsOptions.hostProcess=true", setters.text()))
}
