//! Who owns which fields (`metadata.managedFields`), on every write.

use http::HeaderMap;
use jiff::Timestamp;
use portcullis_machinery::apply::{Versions, Writer, track_update};
use portcullis_machinery::{Status, Value};

use crate::customresources::conversion::versions::{has_versions, in_versions};
use crate::handlers::Scope;
use crate::handlers::options::WriteOptions;
use crate::negotiation::header;
use crate::strategy;

/// The name of the one who writes: `fieldManager=`, or what the User-Agent says before its first slash.
pub fn manager(options: &WriteOptions, headers: &HeaderMap) -> String {
    if !options.field_manager.is_empty() {
        return options.field_manager.clone();
    }
    let agent = header(headers, "user-agent").split('/').next().unwrap_or("");
    agent.chars().filter(|c| !c.is_control()).take(128).collect()
}

/// Fields that the endpoint does not write, as paths of keys.
pub fn reset_fields(scope: &Scope) -> &'static [&'static [&'static str]] {
    match scope.sub() {
        "" if scope.definition.kind == "CertificateSigningRequest" => &[&["spec"], &["status"]],
        "" if scope.definition.has_status() => &[&["status"]],
        "status" if scope.definition.custom.is_some() => &[
            &["spec"],
            &["metadata", "annotations"],
            &["metadata", "finalizers"],
            &["metadata", "labels"],
            &["metadata", "ownerReferences"],
        ],
        "status" => match scope.definition.kind.as_str() {
            "CertificateSigningRequest" => &[&["spec"], &["status", "conditions"]],
            "Deployment" => &[&["spec"], &["metadata", "labels"]],
            "Pod" => &[&["spec"], &["metadata", "deletionTimestamp"], &["metadata", "ownerReferences"]],
            kind if strategy::METADATA_KEPT_BY_STATUS.contains(&kind) => &[&["spec"], &["metadata"]],
            _ => &[&["spec"]],
        },
        "approval" => &[&["spec"], &["status", "certificate"]],
        "finalize" => &[&["status"]],
        _ => &[],
    }
}

/// Brings the owners up to date for an ordinary write of `new` over `live`, in every version that somebody owns fields
/// in.
///
/// # Errors
/// 500 if an object cannot be converted.
pub async fn track_in_versions(
    scope: &Scope,
    live: Option<&Value>,
    new: &mut Value,
    options: &WriteOptions,
) -> Result<(), Status> {
    if !has_versions(scope) {
        track(scope, live, new, options, None);
        return Ok(());
    }
    let tracked = in_versions(scope, |versions| {
        let mut new = new.clone();
        track(scope, live, &mut new, options, versions);
        Ok(new)
    });
    *new = tracked.await?;
    Ok(())
}

/// Brings the owners up to date for an ordinary write of `new` over `live`.
pub fn track(
    scope: &Scope,
    live: Option<&Value>,
    new: &mut Value,
    options: &WriteOptions,
    versions: Option<&dyn Versions>,
) {
    let manager = manager(options, &scope.headers);
    let api_version = scope.definition.api_version();
    let writer = Writer {
        manager: &manager,
        subresource: scope.sub(),
        api_version: &api_version,
        schema: &scope.definition.schema,
        reset_fields: reset_fields(scope),
        now: Timestamp::now(),
        versions,
    };
    track_update(live, new, &writer);
}
