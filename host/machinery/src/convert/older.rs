//! Objects that another server has stored in another version than the one that is stored now.
//!
//! kube-apiserver stores some kinds in versions that are served no more, or not by default: custom resource definitions
//! still in v1beta1, others in what was the preferred version when they were last written. It reads all of them, and so
//! does this. What differs in more than the version's name, and is not known here, is refused.

use serde_json::{Map, Value, json};

use super::to_storage;
use crate::definition::{ResourceDefinition, api_version};
use crate::object;

/// Versions whose objects differ from those of the stored version in nothing but its name.
const RENAMED: [(&str, &str); 10] = [
    ("admissionregistration.k8s.io/v1beta1", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io/v1beta1", "ValidatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io/v1beta1", "MutatingAdmissionPolicy"),
    ("admissionregistration.k8s.io/v1beta1", "MutatingAdmissionPolicyBinding"),
    ("networking.k8s.io/v1beta1", "IPAddress"),
    ("networking.k8s.io/v1beta1", "ServiceCIDR"),
    ("storage.k8s.io/v1beta1", "VolumeAttributesClass"),
    ("flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema"),
    ("flowcontrol.apiserver.k8s.io/v1beta3", "PriorityLevelConfiguration"),
    ("certificates.k8s.io/v1alpha1", "ClusterTrustBundle"),
];

/// Brings a stored object into the version that its kind is stored in now. `definition` is any of the resource's.
///
/// # Errors
/// If the object is of another kind, or in a version that cannot be read.
pub fn to_stored_version(definition: &ResourceDefinition, value: Value) -> Result<Value, String> {
    let wanted = api_version(&definition.storage.group, &definition.storage.version);
    let (found, kind) = (object::api_version(&value).to_owned(), object::kind(&value).to_owned());
    if kind != definition.kind {
        return Err(format!("an object of kind {kind:?} where there should be one of kind {:?}", definition.kind));
    }
    if found == wanted {
        return Ok(value);
    }
    let mut value = value;
    match (found.as_str(), kind.as_str()) {
        ("apiextensions.k8s.io/v1beta1", "CustomResourceDefinition") => definition_from_v1beta1(&mut value),
        ("autoscaling/v1", "HorizontalPodAutoscaler") => return Ok(to_storage(definition, value)),
        (version, kind) if RENAMED.contains(&(version, kind)) => {}
        _ => return Err(format!("{kind} in version {found:?}: this server knows how to read {wanted}")),
    }
    object::set_at(&mut value, &["apiVersion"], wanted);
    Ok(value)
}

/// Columns have a member of another name.
fn columns(holder: &mut Map<String, Value>) {
    let Some(Value::Array(columns)) = holder.get_mut("additionalPrinterColumns") else { return };
    for column in columns.iter_mut().filter_map(Value::as_object_mut) {
        if let Some(path) = column.remove("JSONPath") {
            column.insert("jsonPath".to_owned(), path);
        }
    }
}

/// What versions have in common stood above them.
fn definition_from_v1beta1(value: &mut Value) {
    let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) else { return };
    columns(spec);
    let version = spec.remove("version");
    let mut versions = match spec.remove("versions") {
        Some(Value::Array(versions)) if !versions.is_empty() => versions,
        _ => version.map(|name| vec![json!({"name": name, "served": true, "storage": true})]).unwrap_or_default(),
    };
    let common = [
        ("validation", "schema"),
        ("subresources", "subresources"),
        ("additionalPrinterColumns", "additionalPrinterColumns"),
        ("selectableFields", "selectableFields"),
    ];
    let common: Vec<_> = common.into_iter().filter_map(|(above, below)| Some((below, spec.remove(above)?))).collect();
    for version in versions.iter_mut().filter_map(Value::as_object_mut) {
        columns(version);
        version.extend(common.iter().map(|(name, part)| ((*name).to_owned(), part.clone())));
    }
    spec.insert("versions".to_owned(), Value::Array(versions));
    if let Some(Value::Object(conversion)) = spec.get_mut("conversion") {
        let mut webhook = Map::new();
        for (above, below) in
            [("webhookClientConfig", "clientConfig"), ("conversionReviewVersions", "conversionReviewVersions")]
        {
            webhook.extend(conversion.remove(above).map(|part| (below.to_owned(), part)));
        }
        if !webhook.is_empty() {
            conversion.insert("webhook".to_owned(), Value::Object(webhook));
        }
    }
}

#[cfg(test)]
mod tests;
