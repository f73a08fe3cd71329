//! Steps 4, 6 and 7 by components.

use std::sync::Arc;

use async_trait::async_trait;
use portcullis_machinery::status::{Cause, FieldErrorType, StatusDetails};
use portcullis_machinery::{Status, Value, patch};
use portcullis_plugins::manager::PluginManager;
use portcullis_plugins::matching::{RequestKind, Subject};
use portcullis_plugins::table::LivePlugin;
use portcullis_policy::{
    AdmissionDocument, AuditAnnotation, CallError, Denial, Document, FieldErrorType as WitErrorType, Findings,
    PatchOperation, PatchOperationKind, Stage,
};
use serde_json::json;

use super::{failed, user_info};
use crate::admission::{Admission, AdmissionAttributes, GroupVersionName};
use crate::context::Context;

/// The longest text of one Warning header, in bytes.
const MAX_WARNING: usize = 4 << 10;
/// The audit annotation that names the plugin that refused, and its module.
const DENIED_BY: &str = "plugins.portcullis.dev/denied-by";
/// The audit annotation that names a plugin that failed and was passed over by its failure policy.
const FAILED_OPEN: &str = "plugins.portcullis.dev/failed-open";

/// What becomes of the request when a component failed; see [`failed`].
fn failed_in(cx: &Context, plugin: &LivePlugin, error: &CallError) -> Result<(), Status> {
    failed(plugin, error)?;
    cx.annotate(FAILED_OPEN, &format!("{}: {error}", plugin.name));
    Ok(())
}

/// The admission plugins.
pub struct ComponentAdmission {
    plugins: Arc<PluginManager>,
}

impl ComponentAdmission {
    /// The mutators and validators that `plugins` has in service at the time of each request.
    pub fn new(plugins: Arc<PluginManager>) -> Self {
        Self { plugins }
    }

    /// The plugins of a stage whose rules and selectors match.
    fn matching(&self, stage: Stage, attributes: &AdmissionAttributes, object: &Value) -> Vec<Arc<LivePlugin>> {
        let kind = RequestKind {
            operation: attributes.operation.as_str(),
            group: &attributes.resource.group,
            version: &attributes.resource.version,
            resource: &attributes.resource.name,
            subresource: &attributes.subresource,
        };
        let subject = Subject {
            namespace: &attributes.namespace,
            namespace_object: attributes.namespace_object.as_deref(),
            object: (!object.is_null()).then_some(object),
            old_object: attributes.old_object.as_deref(),
        };
        let table = self.plugins.stage(stage);
        let candidates = table.for_kind(&kind);
        candidates.iter().filter(|plugin| plugin.matcher.matches_subject(&subject)).cloned().collect()
    }
}

fn group_version(of: &GroupVersionName, last: &str) -> Value {
    json!({"group": of.group, "version": of.version, last: of.name})
}

/// The document's `request`, with the names of an AdmissionReview request; made once for all steps.
fn request(cx: &Context, attributes: &AdmissionAttributes) -> Arc<Value> {
    Arc::clone(attributes.prepared.request.get_or_init(|| Arc::new(request_of(cx, attributes))))
}

fn request_of(cx: &Context, attributes: &AdmissionAttributes) -> Value {
    json!({
        "uid": cx.request_id,
        "operation": attributes.operation.as_str(),
        "kind": group_version(&attributes.kind, "kind"),
        "resource": group_version(&attributes.resource, "resource"),
        "subResource": attributes.subresource,
        "name": attributes.name,
        "namespace": attributes.namespace,
        "dryRun": attributes.dry_run,
        "userInfo": user_info(&attributes.user),
        "options": attributes.options,
    })
}

fn document(attributes: &AdmissionAttributes, object: Option<Arc<Value>>, request: Arc<Value>) -> AdmissionDocument {
    AdmissionDocument {
        object,
        old_object: attributes.old_object.clone(),
        namespace_object: attributes.namespace_object.clone(),
        request,
        ..AdmissionDocument::default()
    }
}

/// The document of both kinds of validators, which is one for as long as they are asked about the same object.
fn document_of(cx: &Context, attributes: &AdmissionAttributes, object: &Arc<Value>) -> Arc<dyn Document> {
    let object = (!object.is_null()).then_some(object);
    let mut known = attributes.prepared.document.lock();
    let same = |known: &&Arc<AdmissionDocument>| match (&known.object, object) {
        (Some(known), Some(object)) => Arc::ptr_eq(known, object),
        (None, None) => true,
        _ => false,
    };
    if let Some(document) = known.as_ref().filter(same) {
        return Arc::clone(document) as Arc<dyn Document>;
    }
    let made = Arc::new(document(attributes, object.cloned(), request(cx, attributes)));
    *known = Some(Arc::clone(&made));
    made
}

/// Passes on what a policy says beside its verdict.
fn tell(cx: &Context, plugin: &LivePlugin, warnings: &[String], annotations: &[AuditAnnotation]) {
    for annotation in annotations {
        cx.annotate(&format!("{}/{}", plugin.name, annotation.key), &annotation.value);
    }
    for text in warnings {
        let end = (0..=text.len().min(MAX_WARNING)).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
        cx.warn(&text[..end]);
    }
}

/// The `Status` of a refusal, which the audit log hears of too.
fn denied(cx: &Context, plugin: &LivePlugin, attributes: &AdmissionAttributes, denial: &Denial) -> Status {
    cx.annotate(DENIED_BY, &format!("{}@{}", plugin.name, plugin.policy.digest()));
    let GroupVersionName { group, name: resource, .. } = &attributes.resource;
    let why = if plugin.embedded {
        denial.message.clone()
    } else {
        format!("plugin {:?} denied the request: {}", plugin.name, denial.message)
    };
    let mut status = Status::forbidden(group, resource, &attributes.name, &why);
    if (400..500).contains(&denial.code) && denial.code != 403 {
        status.code = denial.code;
        status.reason = reason_of(denial.code).to_owned();
        status.message = why;
    }
    if !denial.reason.is_empty() {
        status.reason.clone_from(&denial.reason);
    }
    if !denial.causes.is_empty() {
        let causes = denial.causes.iter().map(|cause| Cause {
            reason: cause.reason.clone(),
            message: cause.message.clone(),
            field: cause.field.clone(),
        });
        status.details.get_or_insert_with(StatusDetails::default).causes = causes.collect();
    }
    status
}

/// The reason that goes with a code where the component gives none (API reference, `StatusReason`).
fn reason_of(code: u16) -> &'static str {
    match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        409 => "Conflict",
        410 => "Gone",
        413 => "RequestEntityTooLarge",
        422 => "Invalid",
        429 => "TooManyRequests",
        _ => "Forbidden",
    }
}

/// A guest's operations as one JSON patch. Values that are no JSON make the answer unusable.
fn json_patch(operations: &[PatchOperation]) -> Result<Vec<u8>, String> {
    let mut list = Vec::with_capacity(operations.len());
    for operation in operations {
        let op = match operation.op {
            PatchOperationKind::Add => "add",
            PatchOperationKind::Replace => "replace",
            PatchOperationKind::Remove => "remove",
            PatchOperationKind::Test => "test",
        };
        let mut entry = json!({"op": op, "path": operation.path});
        if operation.op != PatchOperationKind::Remove {
            entry["value"] = serde_json::from_str(&operation.value)
                .map_err(|error| format!("the value for {} is not JSON: {error}", operation.path))?;
        }
        list.push(entry);
    }
    serde_json::to_vec(&list).map_err(|error| error.to_string())
}

fn causes(findings: &Findings) -> Vec<Cause> {
    let error_type = |error_type: WitErrorType| match error_type {
        WitErrorType::Required => FieldErrorType::Required,
        WitErrorType::Invalid => FieldErrorType::Invalid,
        WitErrorType::NotSupported => FieldErrorType::NotSupported,
        WitErrorType::Duplicate => FieldErrorType::Duplicate,
        WitErrorType::Forbidden => FieldErrorType::Forbidden,
        WitErrorType::NotFound => FieldErrorType::NotFound,
        WitErrorType::TooLong => FieldErrorType::TooLong,
        WitErrorType::TooMany => FieldErrorType::TooMany,
        WitErrorType::TypeInvalid => FieldErrorType::TypeInvalid,
    };
    let cause = |error: &portcullis_policy::FieldError| {
        Cause::field(error_type(error.error_type), error.field.clone(), &error.value, &error.detail)
    };
    findings.errors.iter().map(cause).collect()
}

/// Asks one mutator; gives the object as it wants it, if that is another.
fn ask_mutator(
    cx: &Context,
    attributes: &AdmissionAttributes,
    plugin: &LivePlugin,
    document: &Arc<dyn Document>,
    object: &Value,
) -> Result<Option<Value>, Status> {
    let mutation = match plugin.policy.call_mutator(document) {
        Ok(mutation) => mutation,
        Err(error) => return failed_in(cx, plugin, &error).map(|()| None),
    };
    tell(cx, plugin, &mutation.warnings, &mutation.audit_annotations);
    if let Some(denial) = &mutation.denied {
        return Err(denied(cx, plugin, attributes, denial));
    }
    if mutation.patch.is_empty() {
        return Ok(None);
    }
    // All or nothing: a patch that does not apply leaves the object as it was.
    let patched = json_patch(&mutation.patch)
        .and_then(|operations| patch::json_patch(object, &operations).map_err(|status| status.message));
    match patched {
        Ok(patched) => Ok(Some(patched)),
        Err(why) => {
            let unusable = plugin.policy.unusable(format!("its patch does not apply: {why}"));
            failed_in(cx, plugin, &unusable).map(|()| None)
        }
    }
}

#[async_trait]
impl Admission for ComponentAdmission {
    async fn mutate(&self, cx: &Context, attributes: &AdmissionAttributes, object: &mut Value) -> Result<(), Status> {
        let plugins = self.matching(Stage::Mutator, attributes, object);
        if plugins.is_empty() {
            return Ok(());
        }
        let request = request(cx, attributes);
        let mut shared = Arc::new(std::mem::take(object));
        let fresh = |shared: &Arc<Value>| -> Arc<dyn Document> {
            Arc::new(document(attributes, Some(Arc::clone(shared)), Arc::clone(&request)))
        };
        let mut document = fresh(&shared);
        for plugin in plugins {
            if let Some(patched) = ask_mutator(cx, attributes, &plugin, &document, &shared)? {
                shared = Arc::new(patched);
                document = fresh(&shared);
            }
        }
        // An instance holds on to a document only for its call, so the object is in one piece here.
        drop(document);
        *object = Arc::unwrap_or_clone(shared);
        Ok(())
    }

    async fn validate_object(
        &self,
        cx: &Context,
        attributes: &AdmissionAttributes,
        object: &Arc<Value>,
    ) -> Result<(), Status> {
        let plugins = self.matching(Stage::ObjectValidator, attributes, object);
        if plugins.is_empty() {
            return Ok(());
        }
        let document = document_of(cx, attributes, object);
        let mut all = Vec::new();
        for plugin in plugins {
            match plugin.policy.call_object_validator(&document) {
                Ok(findings) => {
                    tell(cx, &plugin, &findings.warnings, &[]);
                    if !findings.errors.is_empty() {
                        cx.annotate(DENIED_BY, &format!("{}@{}", plugin.name, plugin.policy.digest()));
                    }
                    all.extend(causes(&findings));
                }
                Err(error) => failed_in(cx, &plugin, &error)?,
            }
        }
        if all.is_empty() {
            return Ok(());
        }
        // Events of both groups are one kind, and what is wrong with them is said of the older one.
        let group = if attributes.kind.name == "Event" && attributes.kind.group == "events.k8s.io" {
            ""
        } else {
            &attributes.kind.group
        };
        Err(Status::invalid(group, &attributes.kind.name, &attributes.name, all))
    }

    async fn validate(
        &self,
        cx: &Context,
        attributes: &AdmissionAttributes,
        object: &Arc<Value>,
    ) -> Result<(), Status> {
        let plugins = self.matching(Stage::Validator, attributes, object);
        if plugins.is_empty() {
            return Ok(());
        }
        let document = document_of(cx, attributes, object);
        for plugin in plugins {
            match plugin.policy.call_validator(&document) {
                Ok(verdict) => {
                    tell(cx, &plugin, &verdict.warnings, &verdict.audit_annotations);
                    if let Some(denial) = &verdict.denied {
                        return Err(denied(cx, &plugin, attributes, denial));
                    }
                }
                Err(error) => failed_in(cx, &plugin, &error)?,
            }
        }
        Ok(())
    }
}
