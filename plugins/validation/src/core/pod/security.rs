//! Who a container runs as, and what it may do.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use super::{Context, windows};
use crate::shown::Typed;
use crate::{Errors, Field, formats};

const PROFILES: [&str; 3] = ["Localhost", "RuntimeDefault", "Unconfined"];
const SYSCTL: &str = r"must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";

fn ids(at: &Field, context: ValueRef, members: &[&str], errors: &mut Errors) {
    for member in members {
        if let Some(id) = context.get(member).as_i64() {
            errors.invalid_each(at.child(member), &id, formats::unix_id(id));
        }
    }
}

/// The security context of a container.
pub(super) fn container(at: &Field, security: ValueRef, context: &Context, errors: &mut Errors) {
    let privileged = security.get("privileged").as_bool() == Some(true);
    if privileged && !context.allow_privileged {
        errors.forbidden(at.child("privileged"), "disallowed by cluster policy");
    }
    ids(at, security, &["runAsUser", "runAsGroup"], errors);
    errors.may_be_one_of(at.child("procMount"), security.get("procMount"), &["Default", "Unmasked"]);
    if context.host_users() && security.get("procMount").is_str("Unmasked") {
        errors.invalid(at.child("procMount"), "Unmasked", "`hostUsers` must be false to use `Unmasked`");
    }
    seccomp(&at.child("seccompProfile"), security.get("seccompProfile"), errors);
    if security.get("allowPrivilegeEscalation").as_bool() == Some(false) {
        let shown = Typed("SecurityContext", security);
        if privileged {
            errors.invalid(at, &shown, "cannot set `allowPrivilegeEscalation` to false and `privileged` to true");
        }
        for _ in security.get("capabilities").get("add").iter().filter(|one| one.is_str("CAP_SYS_ADMIN")) {
            let detail = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            errors.invalid(at, &shown, detail);
        }
    }
    windows::options(&at.child("windowsOptions"), security.get("windowsOptions"), errors);
    app_armor(&at.child("appArmorProfile"), security.get("appArmorProfile"), errors);
}

fn seccomp(at: &Field, profile: ValueRef, errors: &mut Errors) {
    if profile.is_none() {
        return;
    }
    let (kind, path) = (profile.get("type").str_or_empty(), profile.get("localhostProfile"));
    match kind {
        "" => errors.required(at.child("type"), "type is required when seccompProfile is set"),
        kind => errors.one_of(at.child("type"), kind, &PROFILES),
    }
    let at = at.child("localhostProfile");
    match (kind, path.as_str()) {
        ("Localhost", None) => errors.required(at, "must be set when seccomp type is Localhost"),
        ("Localhost", Some(path)) => errors.invalid_each(at, path, formats::local_path(path)),
        (_, Some(_)) => {
            let shown = Typed("SeccompProfile", profile);
            errors.invalid(at, &shown, "can only be set when seccomp type is Localhost");
        }
        _ => {}
    }
}

fn app_armor(at: &Field, profile: ValueRef, errors: &mut Errors) {
    if profile.is_none() {
        return;
    }
    let path = profile.get("localhostProfile");
    let place = at.child("localhostProfile");
    match (profile.get("type").str_or_empty(), path.as_str()) {
        ("Localhost", Some(path)) if path != path.trim() => {
            errors.invalid(place, path, "must not be padded with whitespace");
        }
        ("Localhost", None | Some("")) => errors.required(place, "must be set when AppArmor type is Localhost"),
        ("Localhost", Some(path)) if path.len() > 4095 => errors.too_long(place, 4095),
        ("Localhost", _) => {}
        ("RuntimeDefault" | "Unconfined", Some(path)) => {
            errors.invalid(place, path, "can only be set when AppArmor type is Localhost");
        }
        ("RuntimeDefault" | "Unconfined", None) => {}
        ("", _) => errors.required(at.child("type"), "type is required when appArmorProfile is set"),
        (other, _) => errors.not_supported(at.child("type"), other, &PROFILES),
    }
}

/// The security context of a whole pod.
pub(super) fn pod(at: &Field, context: &Context, errors: &mut Errors) {
    let security = context.spec.get("securityContext");
    let place = at.child("securityContext");
    ids(&place, security, &["fsGroup", "runAsUser", "runAsGroup"], errors);
    let groups = place.child("supplementalGroups");
    for (index, group) in security.get("supplementalGroups").iter().enumerate() {
        let id = group.as_i64().unwrap_or(0);
        errors.invalid_each(groups.index(index), &id, formats::unix_id(id));
    }
    if context.flag("shareProcessNamespace") && context.flag("hostPID") {
        let detail = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.invalid(place.child("shareProcessNamespace"), &true, detail);
    }
    sysctls(&place.child("sysctls"), security.get("sysctls"), context, errors);
    let policies = ["Always", "OnRootMismatch"];
    errors.may_be_one_of(place.child("fsGroupChangePolicy"), security.get("fsGroupChangePolicy"), &policies);
    seccomp(&place.child("seccompProfile"), security.get("seccompProfile"), errors);
    windows::options(&place.child("windowsOptions"), security.get("windowsOptions"), errors);
    app_armor(&place.child("appArmorProfile"), security.get("appArmorProfile"), errors);
    let policies = ["Merge", "Strict"];
    errors.may_be_one_of(place.child("supplementalGroupsPolicy"), security.get("supplementalGroupsPolicy"), &policies);
    let policies = ["MountOption", "Recursive"];
    errors.may_be_one_of(place.child("seLinuxChangePolicy"), security.get("seLinuxChangePolicy"), &policies);
}

fn is_sysctl(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_');
    let end = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let part = |part: &str| {
        let bytes = part.as_bytes();
        end(bytes.first()) && end(bytes.last()) && bytes.iter().all(|byte| inner(*byte))
    };
    name.len() <= 253 && name.split(['.', '/']).all(part)
}

fn sysctls(at: &Field, list: ValueRef, context: &Context, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (index, sysctl) in list.iter().enumerate() {
        let (at, name) = (at.index(index), sysctl.get("name").str_or_empty());
        let at = at.child("name");
        if name.is_empty() {
            errors.required(at, "");
        } else if !is_sysctl(name) {
            errors.invalid(at, name, SYSCTL);
        } else if seen.contains(name) {
            errors.duplicate(at, name);
        }
        seen.insert(name);
        let dotted = name.replace('/', ".");
        let of_ipc = ["kernel.shm", "kernel.msg", "fs.mqueue."].iter().any(|prefix| dotted.starts_with(prefix))
            || dotted == "kernel.sem";
        if context.flag("hostNetwork") && dotted.starts_with("net.") {
            errors.invalid(at, name, "may not be specified when 'hostNetwork' is true");
        } else if context.flag("hostIPC") && of_ipc {
            errors.invalid(at, name, "may not be specified when 'hostIPC' is true");
        }
    }
}

/// A user namespace of its own goes with no other namespace of the host.
pub(super) fn host_users(at: &Field, context: &Context, errors: &mut Errors) {
    if context.host_users() {
        return;
    }
    for (flag, shown) in [("hostNetwork", "hostNetwork"), ("hostPID", "HostPID"), ("hostIPC", "HostIPC")] {
        if context.flag(flag) {
            errors.forbidden(at.child(shown), "when `hostUsers` is false");
        }
    }
}
