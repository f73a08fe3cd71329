//! Volumes of kinds that are gone, and files that two sources of one volume both write.

use portcullis_sdk::ValueRef;

use crate::objects::claim_spec;

/// Kinds of volumes that are gone or going.
const KINDS: [(&str, &str); 9] = [
    ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

/// A volume of a pod.
pub(crate) fn of(path: &str, volume: ValueRef, warnings: &mut Vec<String>) {
    for (kind, what) in KINDS {
        if !volume.get(kind).is_none() {
            warnings.push(format!("{path}.{kind}: {what}"));
        }
    }
    let template = volume.pointer("/ephemeral/volumeClaimTemplate/spec");
    if !template.is_none() {
        claim_spec(&format!("{path}.ephemeral.volumeClaimTemplate.spec"), template, warnings);
    }
    let name = volume.get("name").str_or_empty();
    for (member, kind, named) in
        [("configMap", "ConfigMap", "name"), ("secret", "Secret", "secretName"), ("downwardAPI", "DownwardAPI", "")]
    {
        let source = volume.get(member);
        let what = match source.get(named).str_or_empty() {
            "" if named.is_empty() => kind.to_owned(),
            of => format!("{kind} \"{of}\""),
        };
        let files = source.get("items").iter().map(|item| (item.get("path").str_or_empty(), String::new()));
        overlaps(name, &what, files.collect(), warnings);
    }
    projected(name, volume.get("projected").get("sources"), warnings);
}

/// A persistent volume is of one of the same kinds.
pub(crate) fn of_persistent(path: &str, spec: ValueRef, warnings: &mut Vec<String>) {
    for kind in ["cephfs", "photonPersistentDisk", "scaleIO", "storageos", "glusterfs", "rbd"] {
        let what = KINDS.iter().find(|(known, _)| *known == kind).map_or("", |(_, what)| *what);
        if !spec.get(kind).is_none() {
            // The reference calls this one so.
            let shown = if kind == "storageos" { "storageOS" } else { kind };
            warnings.push(format!("{path}.{shown}: {what}"));
        }
    }
}

fn projected(name: &str, sources: ValueRef, warnings: &mut Vec<String>) {
    let mut files: Vec<(&str, String)> = Vec::new();
    for source in sources.iter() {
        let part = |member: &str| source.get(member);
        let listed = |member: &str, what: String| -> Vec<(_, String)> {
            let items = source.get(member).get("items");
            items.iter().map(|item| (item.get("path").str_or_empty(), what.clone())).collect()
        };
        let named = |member: &str, kind: &str| format!("{kind} \"{}\"", source.get(member).get("name").str_or_empty());
        let path = |member: &str, field: &str| source.get(member).get(field).str_or_empty();
        if !part("configMap").is_none() {
            files.extend(listed("configMap", named("configMap", "ConfigMap")));
        } else if !part("secret").is_none() {
            files.extend(listed("secret", named("secret", "Secret")));
        } else if !part("downwardAPI").is_none() {
            files.extend(listed("downwardAPI", "DownwardAPI".to_owned()));
        } else if !part("serviceAccountToken").is_none() {
            files.push((path("serviceAccountToken", "path"), "ServiceAccountToken".to_owned()));
        } else if !part("clusterTrustBundle").is_none() {
            let bundle = [path("clusterTrustBundle", "name"), path("clusterTrustBundle", "signerName")];
            let bundle = bundle.into_iter().find(|text| !text.is_empty()).unwrap_or_default();
            files.push((path("clusterTrustBundle", "path"), format!("ClusterTrustBundle \"{bundle}\"")));
        } else if !part("podCertificate").is_none() {
            for (field, what) in [
                ("certificateChainPath", "PodCertificate chain"),
                ("keyPath", "PodCertificate key"),
                ("credentialBundlePath", "PodCertificate credential bundle"),
            ] {
                files.push((path("podCertificate", field), what.to_owned()));
            }
        } else {
            warnings.push(format!("volume \"{name}\" (Projected) has no sources provided"));
        }
    }
    overlaps(name, "Projected", files, warnings);
}

/// Files that are written twice, or are folders of others.
fn overlaps(name: &str, what: &str, files: Vec<(&str, String)>, warnings: &mut Vec<String>) {
    let shown = |(path, of): &(&str, String)| match of.as_str() {
        "" => format!("\"{path}\""),
        of => format!("\"{path}\" ({of})"),
    };
    let files: Vec<(&str, String)> = files.into_iter().map(|(path, of)| (path.trim_end_matches('/'), of)).collect();
    let within = |inner: &str, outer: &str| {
        inner == outer || inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'))
    };
    for (at, file) in files.iter().enumerate().filter(|(_, file)| !file.0.is_empty()) {
        for other in files[..at].iter().filter(|other| !other.0.is_empty()) {
            if within(file.0, other.0) || within(other.0, file.0) {
                warnings.push(format!(
                    "volume \"{name}\" ({what}): overlapping paths: {} with {}",
                    shown(file),
                    shown(other)
                ));
            }
        }
    }
}
