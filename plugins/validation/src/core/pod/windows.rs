//! The two operating systems: what only Windows has, and what a pod for one must not say of the other.

use portcullis_sdk::ValueRef;

use super::{Context, all_containers};
use crate::{Errors, Field, formats};

/// What Windows has not, of a pod's security context.
const NOT_WINDOWS: [&str; 11] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "fsGroup",
    "fsGroupChangePolicy",
    "sysctls",
    "runAsUser",
    "runAsGroup",
    "supplementalGroups",
    "supplementalGroupsPolicy",
    "seLinuxChangePolicy",
];
/// The same of a container's.
const NOT_WINDOWS_CONTAINER: [&str; 10] = [
    "appArmorProfile",
    "seLinuxOptions",
    "seccompProfile",
    "capabilities",
    "readOnlyRootFilesystem",
    "privileged",
    "allowPrivilegeEscalation",
    "procMount",
    "runAsUser",
    "runAsGroup",
];

/// The options of Windows in a security context.
pub(super) fn options(at: &Field, options: ValueRef, errors: &mut Errors) {
    if let Some(name) = options.get("gmsaCredentialSpecName").as_str() {
        errors.invalid_each(at.child("gmsaCredentialSpecName"), name, formats::dns_subdomain(name));
    }
    if let Some(spec) = options.get("gmsaCredentialSpec").as_str() {
        let place = at.child("gmsaCredentialSpec");
        if spec.is_empty() {
            errors.invalid(place, spec, "gmsaCredentialSpec cannot be an empty string");
        } else if spec.len() > 64 << 10 {
            errors.invalid(place, spec, "gmsaCredentialSpec size must be under 64 KiB");
        }
    }
    if let Some(name) = options.get("runAsUserName").as_str() {
        for wrong in windows_user(name) {
            errors.invalid(at.child("runAsUserName"), name, format!("runAsUserName{wrong}"));
        }
    }
}

/// What is wrong with the name of a user of Windows, after the field's name.
fn windows_user(name: &str) -> Vec<&'static str> {
    if name.is_empty() {
        return vec![" cannot be an empty string"];
    }
    if name.contains(|c: char| c.is_ascii_control()) {
        return vec![" cannot contain control characters"];
    }
    let parts: Vec<&str> = name.split('\\').collect();
    let (domain, user) = match parts[..] {
        [user] => (None, user),
        [domain, user] => (Some(domain), user),
        _ => return vec![" cannot contain more than one backslash"],
    };
    let mut wrong = Vec::new();
    let net_bios = |text: &str| {
        (1..=15).contains(&text.chars().count())
            && !text.starts_with('.')
            && !text.contains(&r#"\/:*?"<>|"#.chars().collect::<Vec<_>>()[..])
    };
    let dns = |text: &str| {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '-';
        let part = |part: &str| {
            (1..=63).contains(&part.len()) && part.chars().all(good) && !part.starts_with('-') && !part.ends_with('-')
        };
        text.split('.').all(part)
    };
    if domain.is_some_and(|domain| domain.len() >= 256) {
        wrong.push("'s Domain length must be under 256 characters");
    }
    if domain.is_some_and(|domain| !net_bios(domain) && !dns(domain)) {
        wrong.push("'s Domain doesn't match the NetBios nor the DNS format");
    }
    if user.is_empty() {
        wrong.push("'s User cannot be empty");
    } else if user.len() > 104 {
        wrong.push("'s User length must not be longer than 104 characters");
    }
    if !user.is_empty() && user.chars().all(|c| matches!(c, '.' | ' ')) {
        wrong.push("'s User cannot contain only periods or spaces");
    }
    if user.contains(|c| r#""/\:;|=,+*?<>@[]"#.contains(c)) {
        wrong.push(r#"'s User cannot contain the following characters: "/\:;|=,+*?<>@[]"#);
    }
    wrong
}

/// Containers that are processes of a Windows host.
pub(super) fn host_process(at: &Field, context: &Context, errors: &mut Errors) {
    let host = |owner: ValueRef| owner.get("securityContext").get("windowsOptions").get("hostProcess").as_bool();
    let whole = host(context.spec);
    let (mut count, mut of_host) = (0, 0);
    for (list, index, container) in all_containers(context.spec) {
        count += 1;
        let own = host(container);
        if let (Some(whole), Some(own)) = (whole, own)
            && whole != own
        {
            let list = at.child(list);
            let place = list.index(index);
            let detail = format!("pod hostProcess value must be identical if both are specified, was {whole}");
            errors.invalid(place.child("securityContext.windowsOptions.hostProcess"), &own, detail);
        }
        of_host += usize::from(own.or(whole) == Some(true));
    }
    if of_host == 0 {
        return;
    }
    if of_host != count {
        let detail = "If pod contains any hostProcess containers then all containers must be HostProcess containers";
        errors.invalid(at, "", detail);
    }
    if !context.flag("hostNetwork") {
        let detail = "hostNetwork must be true if pod contains any hostProcess containers";
        errors.invalid(at.child("hostNetwork"), &false, detail);
    }
    if !context.allow_privileged {
        errors.forbidden(at, "hostProcess containers are disallowed by cluster policy");
    }
}

/// What a pod for one operating system must not say of the other.
pub(super) fn os(at: &Field, context: &Context, errors: &mut Errors) {
    let os = context.spec.get("os");
    if os.is_none() {
        return;
    }
    let place = at.child("os");
    match os.get("name").str_or_empty() {
        "" => errors.required(place.child("name"), "cannot be empty"),
        "linux" => {
            let detail = "windows options cannot be set for a linux pod";
            not_for(at, context, &["windowsOptions"], &["windowsOptions"], detail, errors);
        }
        "windows" => {
            for flag in ["hostUsers", "hostPID", "hostIPC", "shareProcessNamespace"] {
                let value = context.spec.get(flag);
                let set = if flag.starts_with("hostP") || flag.starts_with("hostI") {
                    value.as_bool() == Some(true)
                } else {
                    !value.is_none()
                };
                if set {
                    errors.forbidden(at.child(flag), "cannot be set for a windows pod");
                }
            }
            let detail = "cannot be set for a windows pod";
            not_for(at, context, &NOT_WINDOWS, &NOT_WINDOWS_CONTAINER, detail, errors);
        }
        other => errors.not_supported(place, other, &["linux", "windows"]),
    }
}

fn not_for(at: &Field, context: &Context, of_pod: &[&str], of_container: &[&str], detail: &str, errors: &mut Errors) {
    let whole = at.child("securityContext");
    for member in of_pod {
        if !context.spec.get("securityContext").get(member).is_none() {
            errors.forbidden(whole.child(member), detail);
        }
    }
    for (list, index, container) in all_containers(context.spec) {
        let list = at.child(list);
        let place = list.index(index);
        let place = place.child("securityContext");
        for member in of_container {
            if !container.get("securityContext").get(member).is_none() {
                errors.forbidden(place.child(member), detail);
            }
        }
    }
}
