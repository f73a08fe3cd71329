//! Sources that pods and PersistentVolumes have in common: what each of them must say.

use portcullis_sdk::ValueRef;

use crate::{Errors, Field, formats};

const HOST_PATH_TYPES: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

/// Members that must be there and not be empty.
pub(crate) fn needs(at: &Field, source: ValueRef, members: &[&str], errors: &mut Errors) {
    for member in members {
        errors.needs(at.child(member), source.get(member).str_or_empty());
    }
}

pub(crate) fn host_path(at: &Field, source: ValueRef, errors: &mut Errors) {
    let path = source.get("path").str_or_empty();
    if errors.needs(at.child("path"), path) {
        errors.invalid_each(at.child("path"), path, formats::no_backsteps(path));
        errors.may_be_one_of(at.child("type"), source.get("type"), &HOST_PATH_TYPES);
    }
}

/// A disk of a cloud, which may be partitioned.
pub(crate) fn cloud_disk(at: &Field, source: ValueRef, id: &str, errors: &mut Errors) {
    needs(at, source, &[id], errors);
    if let Some(number) = source.get("partition").as_i64().filter(|number| !(0..=255).contains(number)) {
        errors.invalid(at.child("partition"), &number, "must be between 1 and 255, inclusive");
    }
}

pub(crate) fn nfs(at: &Field, source: ValueRef, errors: &mut Errors) {
    needs(at, source, &["server", "path"], errors);
    let path = source.get("path").str_or_empty();
    if !path.starts_with('/') {
        errors.invalid(at.child("path"), path, "must be an absolute path");
    }
}

fn lun(at: &Field, source: ValueRef, errors: &mut Errors) {
    if let Some(number) = source.get("lun").as_i64() {
        errors.invalid_each(at.child("lun"), &number, formats::in_range(number, 0, 255));
    }
}

/// A qualified name as iSCSI has three forms of.
fn is_iscsi_name(name: &str) -> bool {
    let hex = |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if let Some(rest) = name.strip_prefix("eui.") {
        return hex(rest, 16);
    }
    if let Some(rest) = name.strip_prefix("naa.") {
        return hex(rest, 32);
    }
    let Some((date, rest)) = name.strip_prefix("iqn.").and_then(|rest| rest.split_once('.')) else { return false };
    let digits = |text: &str, len| text.len() == len && text.bytes().all(|byte| byte.is_ascii_digit());
    let dated = date.split_once('-').is_some_and(|(year, month)| digits(year, 4) && digits(month, 2));
    let (domain, unique) = rest.split_once(':').map_or((rest, None), |(domain, unique)| (domain, Some(unique)));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    dated
        && !domain.is_empty()
        && domain.chars().all(plain)
        && unique
            .is_some_and(|unique| !unique.is_empty() && !unique.contains([',', ';', '*', '&', '$', '|', ' ', '\t']))
}

/// `of_pod`: what a pod's volume has says more of a wrong name than what a persistent volume has.
pub(crate) fn iscsi(at: &Field, source: ValueRef, of_pod: bool, errors: &mut Errors) {
    let prefixed = |name: &str| ["iqn", "eui", "naa"].iter().any(|prefix| name.starts_with(prefix));
    let name_fits = |at: Field, name: &str, errors: &mut Errors| {
        if of_pod && !prefixed(name) {
            errors.invalid(at, name, "must be valid format starting with iqn, eui, or naa");
        } else if !prefixed(name) || !is_iscsi_name(name) {
            errors.invalid(at, name, "must be valid format");
        }
    };
    needs(at, source, &["targetPortal"], errors);
    let iqn = source.get("iqn").str_or_empty();
    if errors.needs(at.child("iqn"), iqn) {
        name_fits(at.child("iqn"), iqn, errors);
    }
    lun(at, source, errors);
    let set = |name| source.get(name).as_bool() == Some(true);
    if (set("chapAuthDiscovery") || set("chapAuthSession")) && source.get("secretRef").is_none() {
        errors.required(at.child("secretRef"), "");
    }
    if let Some(name) = source.get("initiatorName").as_str() {
        name_fits(at.child("initiatorname"), name, errors);
    }
}

pub(crate) fn glusterfs(at: &Field, source: ValueRef, errors: &mut Errors) {
    needs(at, source, &["endpoints", "path"], errors);
}

pub(crate) fn flocker(at: &Field, source: ValueRef, errors: &mut Errors) {
    let (name, uuid) = (source.get("datasetName").str_or_empty(), source.get("datasetUUID").str_or_empty());
    if name.is_empty() && uuid.is_empty() {
        errors.required(at, "one of datasetName and datasetUUID is required");
    }
    if !name.is_empty() && !uuid.is_empty() {
        errors.invalid(at, "resource", "datasetName and datasetUUID can not be specified simultaneously");
    }
    if name.contains('/') {
        errors.invalid(at.child("datasetName"), name, "must not contain '/'");
    }
}

pub(crate) fn rbd(at: &Field, source: ValueRef, errors: &mut Errors) {
    if source.get("monitors").is_empty() {
        errors.required(at.child("monitors"), "");
    }
    needs(at, source, &["image"], errors);
}

/// Cinder; `namespaced` where its secret may be in any namespace.
pub(crate) fn cinder(at: &Field, source: ValueRef, namespaced: bool, errors: &mut Errors) {
    needs(at, source, &["volumeID"], errors);
    let secret = source.get("secretRef");
    if !secret.is_none() {
        let members: &[&str] = if namespaced { &["name", "namespace"] } else { &["name"] };
        needs(&at.child("secretRef"), secret, members, errors);
    }
}

pub(crate) fn ceph_fs(at: &Field, source: ValueRef, errors: &mut Errors) {
    if source.get("monitors").is_empty() {
        errors.required(at.child("monitors"), "");
    }
}

pub(crate) fn quobyte(at: &Field, source: ValueRef, errors: &mut Errors) {
    let text = |name| source.get(name).str_or_empty();
    let hosts = "must be a host:port pair or multiple pairs separated by commas";
    if text("registry").is_empty() {
        errors.required(at.child("registry"), hosts);
    } else if text("tenant").len() >= 65 {
        errors.required(at.child("tenant"), "must be a UUID and may not exceed a length of 64 characters");
    } else {
        for pair in text("registry").split(',').filter(|pair| pair.rsplit_once(':').is_none()) {
            errors.invalid(at.child("registry"), pair, hosts);
        }
    }
    needs(at, source, &["volume"], errors);
}

pub(crate) fn fibre_channel(at: &Field, source: ValueRef, errors: &mut Errors) {
    let (targets, ids) = (source.get("targetWWNs"), source.get("wwids"));
    if targets.is_empty() && ids.is_empty() {
        errors.required(at.child("targetWWNs"), "must specify either targetWWNs or wwids, but not both");
    }
    if !targets.is_empty() && !ids.is_empty() {
        errors.invalid(at.child("targetWWNs"), &targets, "targetWWNs and wwids can not be specified simultaneously");
    }
    if !targets.is_empty() {
        if source.get("lun").is_none() {
            errors.required(at.child("lun"), "lun is required if targetWWNs is specified");
        } else {
            lun(at, source, errors);
        }
    }
}

pub(crate) fn flex(at: &Field, source: ValueRef, errors: &mut Errors) {
    needs(at, source, &["driver"], errors);
    let options = at.child("options");
    for (key, _) in source.get("options").entries() {
        let domain = key.split_once('/').map_or("", |(domain, _)| domain);
        if ["kubernetes.io", "k8s.io"].iter().any(|own| domain == *own || domain.ends_with(&format!(".{own}"))) {
            errors.invalid(options.key(key), key, "kubernetes.io and k8s.io namespaces are reserved");
        }
    }
}

/// A file share of Azure; `namespaced` where its secret may be in any namespace.
pub(crate) fn azure_file(at: &Field, source: ValueRef, namespaced: bool, errors: &mut Errors) {
    needs(at, source, &["secretName", "shareName"], errors);
    if namespaced && source.get("secretNamespace").is_str("") {
        errors.required(at.child("secretNamespace"), "");
    }
}

pub(crate) fn azure_disk(at: &Field, source: ValueRef, errors: &mut Errors) {
    needs(at, source, &["diskName", "diskURI"], errors);
    errors.may_be_one_of(at.child("cachingMode"), source.get("cachingMode"), &["None", "ReadOnly", "ReadWrite"]);
    errors.may_be_one_of(at.child("kind"), source.get("kind"), &["Dedicated", "Managed", "Shared"]);
    let (kind, uri) = (source.get("kind"), source.get("diskURI").str_or_empty());
    if kind.is_str("Managed") && !uri.starts_with("/subscriptions") {
        let form = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}";
        errors.not_supported(at.child("diskURI"), uri, &[form]);
    }
    if !kind.is_none() && !kind.is_str("Managed") && !uri.starts_with("https://") {
        let form = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd";
        errors.not_supported(at.child("diskURI"), uri, &[form]);
    }
}

pub(crate) fn storage_os(at: &Field, source: ValueRef, errors: &mut Errors) {
    let text = |name| source.get(name).str_or_empty();
    if errors.needs(at.child("volumeName"), text("volumeName")) {
        errors.invalid_each(at.child("volumeName"), text("volumeName"), formats::dns_label(text("volumeName")));
    }
    if !text("volumeNamespace").is_empty() {
        let wrong = formats::dns_label(text("volumeNamespace"));
        errors.invalid_each(at.child("volumeNamespace"), text("volumeNamespace"), wrong);
    }
    let secret = source.get("secretRef");
    if !secret.is_none() {
        needs(&at.child("secretRef"), secret, &["name"], errors);
    }
}

/// The name of a CSI driver.
pub(crate) fn csi_driver(at: &Field, name: &str, errors: &mut Errors) {
    if !errors.needs(at, name) {
        return;
    }
    if name.len() > 63 {
        errors.too_long(at, 63);
    }
    errors.invalid_each(at, name, formats::dns_subdomain(&name.to_lowercase()));
}
