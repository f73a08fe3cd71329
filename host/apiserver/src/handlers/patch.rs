//! PATCH: JSON patch, merge patch, strategic merge patch, and server-side apply.

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use jiff::Timestamp;
use portcullis_machinery::apply::{Versions, Writer, apply};
use portcullis_machinery::codec::{self, FieldValidation, Media};
use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::{Status, Value, defaults, object, patch};
use serde_json::json;

use super::options::{WriteKind, WriteOptions, write_options};
use super::{Scope, body, update};
use crate::customresources::conversion::versions::in_versions;
use crate::negotiation::header;
use crate::ownership;

/// The media types of patches, for the lists in errors and in the OpenAPI documents.
pub const PATCH_TYPES: [&str; 4] = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];

/// What kind of patch a body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatchKind {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// The API's own, which knows lists' keys.
    Strategic,
    /// Server-side apply.
    Apply,
}

/// A patch as sent.
pub struct Patch {
    /// Its kind.
    pub kind: PatchKind,
    /// Its text.
    pub body: Bytes,
}

/// The kind of patch that the Content-Type names. Custom resources have no strategic merge patch.
///
/// # Errors
/// 415, in the words of the reference's routing layer.
pub fn kind_of(scope: &Scope) -> Result<PatchKind, Status> {
    let content_type = header(&scope.headers, "content-type");
    match content_type.split(';').next().unwrap_or("").trim() {
        "application/json-patch+json" => Ok(PatchKind::Json),
        "application/merge-patch+json" => Ok(PatchKind::Merge),
        "application/strategic-merge-patch+json" if scope.definition.builtin => Ok(PatchKind::Strategic),
        "application/apply-patch+yaml" => Ok(PatchKind::Apply),
        _ => Err(Status::failure(415, "UnsupportedMediaType", "415: Unsupported Media Type")
            .with_details(Default::default())),
    }
}

/// Answers a PATCH.
///
/// # Errors
/// As the reference answers.
pub async fn patch(scope: &Scope, request_body: Body) -> Result<Response<Body>, Status> {
    let kind = kind_of(scope)?;
    let bytes = body::read(request_body, scope.server.config.max_request_body_bytes).await?;
    let write_kind = if kind == PatchKind::Apply { WriteKind::Apply } else { WriteKind::Patch };
    let options = write_options(&scope.query, write_kind)?;
    let source = update::Source::Patch(Patch { kind, body: bytes });
    let (stored, created) = update::apply(scope, &source, &options).await?;
    stored.respond(scope, if created { 201 } else { 200 })
}

impl Patch {
    /// The object that the patch makes of `old`, in its type's form and with defaults. `None`: of nothing, which only
    /// apply can.
    ///
    /// # Errors
    /// 400, 409, 413, 422 or 500 as the reference answers.
    pub fn apply(
        &self,
        scope: &Scope,
        old: Option<&Value>,
        options: &WriteOptions,
        versions: Option<&dyn Versions>,
    ) -> Result<Value, Status> {
        match (self.kind, old) {
            (PatchKind::Apply, _) => self.server_side_apply(scope, old, options, versions),
            (_, None) => Err(scope.not_found()),
            (_, Some(old)) => self.merge(scope, old, options),
        }
    }

    /// As [`Self::apply`], with owners in other versions seen to.
    ///
    /// # Errors
    /// The same, and 500 if an object cannot be converted.
    pub async fn apply_in_versions(
        &self,
        scope: &Scope,
        old: Option<&Value>,
        options: &WriteOptions,
    ) -> Result<Value, Status> {
        if self.kind != PatchKind::Apply {
            return self.apply(scope, old, options, None);
        }
        in_versions(scope, |versions| self.apply(scope, old, options, versions)).await
    }

    fn merge(&self, scope: &Scope, old: &Value, options: &WriteOptions) -> Result<Value, Status> {
        let schema = &scope.definition.schema;
        let mut strict = Vec::new();
        let mut decoded = |prefix: &str| {
            let decoded = codec::decode(&self.body, Media::Json)
                .map_err(|error| Status::bad_request(format!("{prefix}{error}")))?;
            strict = decoded.strict_errors;
            Ok::<_, Status>(decoded.object)
        };
        let mut new = match self.kind {
            PatchKind::Json => patch::json_patch(old, &self.body)?,
            PatchKind::Merge => patch::merge_patch(old, &decoded("error decoding patch: ")?)?,
            PatchKind::Strategic | PatchKind::Apply => patch::strategic_merge(old, &decoded("")?, schema)?,
        };
        // Only a refusal needs the text, and what was patched once more.
        let text = || {
            let sent: Value = serde_json::from_slice(&self.body).unwrap_or_default();
            match self.kind {
                PatchKind::Json => {
                    let patched = patch::json_patch(old, &self.body).unwrap_or_default();
                    patch::as_patched(&patched, schema, &patch::touched_by(&sent))
                }
                PatchKind::Merge => {
                    let patched = patch::merge_patch(old, &sent).unwrap_or_default();
                    patch::as_patched(&patched, schema, &sent)
                }
                PatchKind::Strategic | PatchKind::Apply => patch::go_text(&sent),
            }
        };
        let refuse = |why: &str| {
            let text = text();
            let value = Value::from(text.as_str()).to_string();
            let cause = Cause::field(FieldErrorType::Invalid, "patch", &value, why);
            Status::invalid("", "", "", vec![cause])
        };
        let (kind, version) = (object::kind(&new), object::api_version(&new));
        if kind != object::kind(old) || version != object::api_version(old) {
            let scheme = if scope.definition.builtin { body::SCHEME } else { "" };
            return Err(refuse(&format!("no kind \"{kind}\" is registered for version \"{version}\"{scheme}")));
        }
        let conversion = if self.kind == PatchKind::Strategic { patch::conversion_error(&new, schema) } else { None };
        strict.extend(
            codec::conform(&mut new, schema).map_err(|error| refuse(conversion.as_deref().unwrap_or(&error.0)))?,
        );
        match options.validation {
            FieldValidation::Strict if !strict.is_empty() => {
                return Err(refuse(&format!("strict decoding error: {}", strict.join(", "))));
            }
            FieldValidation::Warn => strict.iter().for_each(|error| scope.cx.warn(error.clone())),
            FieldValidation::Ignore | FieldValidation::Strict => {}
        }
        defaults::apply_defaults(&scope.definition, &mut new);
        Ok(new)
    }

    fn server_side_apply(
        &self,
        scope: &Scope,
        old: Option<&Value>,
        options: &WriteOptions,
        versions: Option<&dyn Versions>,
    ) -> Result<Value, Status> {
        let definition = &scope.definition;
        let looks_like_json = self.body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
        // Most YAML here is JSON, and doubled keys are no failure of an apply.
        let json = if looks_like_json { codec::decode(&self.body, Media::Json).ok() } else { None };
        let mut decoded = match json {
            Some(decoded) => decoded,
            None => codec::decode(&self.body, Media::Yaml)
                .map_err(|error| Status::bad_request(format!("error decoding YAML: {error}")))?,
        };
        for error in &mut decoded.strict_errors {
            if let Some(path) = error.strip_prefix("duplicate field \"").and_then(|rest| rest.strip_suffix('"')) {
                let key = path.rsplit('.').next().unwrap_or(path);
                *error = format!("line 1: key \"{key}\" already set in map");
            }
        }
        if object::kind(&decoded.object).is_empty() {
            let (group, version) = (&definition.group, &definition.version);
            return Err(Status::bad_request(format!("invalid object type: {group}/{version}, Kind=")));
        }
        match options.validation {
            FieldValidation::Strict if !decoded.strict_errors.is_empty() => {
                let errors = codec::yaml_errors(&decoded.strict_errors);
                let message = format!("error strict decoding YAML: error converting YAML to JSON: {errors}");
                return Err(Status::bad_request(message));
            }
            FieldValidation::Warn | FieldValidation::Ignore | FieldValidation::Strict => {}
        }
        let made;
        let live = match old {
            Some(old) => old,
            None => {
                made = json!({
                    "kind": definition.kind, "apiVersion": definition.api_version(), "metadata": {},
                });
                &made
            }
        };
        let api_version = definition.api_version();
        let writer = Writer {
            manager: &options.field_manager,
            subresource: scope.sub(),
            api_version: &api_version,
            schema: &definition.schema,
            reset_fields: ownership::reset_fields(scope),
            now: Timestamp::now(),
            versions,
        };
        let mut new = apply(live, &decoded.object, options.force, &writer)?;
        // What is not applied gets no warnings.
        if options.validation == FieldValidation::Warn {
            decoded.strict_errors.iter().for_each(|error| scope.cx.warn(error.clone()));
        }
        codec::conform(&mut new, &definition.schema)
            .map_err(|error| Status::failure(500, "", format!("failed to create typed patch object: {error}")))?;
        defaults::apply_defaults(definition, &mut new);
        Ok(new)
    }
}
