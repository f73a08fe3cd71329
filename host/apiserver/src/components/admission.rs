//! Steps 4, 6 and 7 by components.
//!
//! [`answer`] makes one form of what components of the three stages say. [`turn`] asks a plugin, and where a candidate
//! runs beside it that one too. [`effect`] is what an answer does to the request, by the plugin's mode.

mod answer;
mod effect;
mod turn;

use std::sync::Arc;

use async_trait::async_trait;
use portcullis_machinery::{Status, Value};
use portcullis_plugins::manager::PluginManager;
use portcullis_plugins::matching::{RequestKind, Subject};
use portcullis_policy::{AdmissionDocument, Document, Stage};
use serde_json::json;

use self::effect::{Effect, apply};
use self::turn::{Question, Turn};
use super::user_info;
use crate::admission::{Admission, AdmissionAttributes, GroupVersionName};
use crate::context::Context;
use crate::replay::Recorder;

/// The admission plugins.
pub struct ComponentAdmission {
    plugins: Arc<PluginManager>,
    recorder: Option<Recorder>,
}

impl ComponentAdmission {
    /// The mutators and validators that `plugins` has in service at the time of each request.
    pub fn new(plugins: Arc<PluginManager>) -> Self {
        Self { plugins, recorder: None }
    }

    /// The same, keeping so many bytes of recent requests; nothing is kept if that is none.
    pub fn recording(self, bytes: usize) -> Self {
        Self { recorder: Recorder::new(bytes), ..self }
    }

    /// Keeps a request, if requests are kept.
    fn record(&self, step: &str, cx: &Context, attributes: &AdmissionAttributes, object: &Value) {
        if let Some(recorder) = &self.recorder {
            recorder.record(step, attributes, object, &request(cx, attributes));
        }
    }

    /// The plugins of a stage whose rules and selectors match, in their order.
    fn matching(&self, stage: Stage, cx: &Context, attributes: &AdmissionAttributes, object: &Value) -> Vec<Turn> {
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
        let turn = |plugin| Turn::of(plugin, &kind, &subject, &attributes.name, &cx.request_id);
        candidates.iter().filter_map(turn).collect()
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

#[async_trait]
impl Admission for ComponentAdmission {
    fn recorder(&self) -> Option<&Recorder> {
        self.recorder.as_ref()
    }

    async fn mutate(&self, cx: &Context, attributes: &AdmissionAttributes, object: &mut Value) -> Result<(), Status> {
        self.record("mutate", cx, attributes, object);
        let turns = self.matching(Stage::Mutator, cx, attributes, object);
        if turns.is_empty() {
            return Ok(());
        }
        let request = request(cx, attributes);
        let mut shared = Arc::new(std::mem::take(object));
        let fresh = |shared: &Arc<Value>| -> Arc<dyn Document> {
            Arc::new(document(attributes, Some(Arc::clone(shared)), Arc::clone(&request)))
        };
        let mut document = fresh(&shared);
        for turn in turns {
            let decided = turn.ask(cx, &Question { stage: Stage::Mutator, document: &document, object: &shared });
            if let Effect::Changed(changed) = apply(cx, attributes, decided)? {
                shared = Arc::new(changed);
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
        let turns = self.matching(Stage::ObjectValidator, cx, attributes, object);
        if turns.is_empty() {
            return Ok(());
        }
        let document = document_of(cx, attributes, object);
        let mut all = Vec::new();
        for turn in turns {
            let decided = turn.ask(cx, &Question { stage: Stage::ObjectValidator, document: &document, object });
            if let Effect::Invalid(causes) = apply(cx, attributes, decided)? {
                all.extend(causes);
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
        self.record("validate", cx, attributes, object);
        let turns = self.matching(Stage::Validator, cx, attributes, object);
        if turns.is_empty() {
            return Ok(());
        }
        let document = document_of(cx, attributes, object);
        for turn in turns {
            let decided = turn.ask(cx, &Question { stage: Stage::Validator, document: &document, object });
            apply(cx, attributes, decided)?;
        }
        Ok(())
    }
}
