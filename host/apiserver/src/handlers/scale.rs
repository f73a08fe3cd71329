//! The scale subresource: how many replicas, as `autoscaling/v1` Scale, of four kinds alike.

use axum::body::Body;
use http::{Method, Response};
use portcullis_machinery::schema::Schema;
use portcullis_machinery::selector::LabelSelector;
use portcullis_machinery::{Status, Value, codec, object, patch as patches};
use serde_json::json;

use super::options::{WriteKind, write_options};
use super::patch::{PatchKind, kind_of};
use super::transform::respond_object;
use super::{Scope, body, get, update};
use crate::negotiation::body_media;

/// The Scale of an object.
fn scale_of(owner: &Value) -> Value {
    let meta = |field: &str| object::meta(owner).and_then(|meta| meta.get(field)).cloned();
    let mut metadata = serde_json::Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = meta(field) {
            metadata.insert(field.into(), value);
        }
    }
    let mut spec = json!({});
    if let Some(replicas) = object::i64_at(owner, &["spec", "replicas"]).filter(|replicas| *replicas != 0) {
        spec["replicas"] = replicas.into();
    }
    let mut status = json!({"replicas": object::i64_at(owner, &["status", "replicas"]).unwrap_or(0)});
    let selector = selector_text(owner);
    if !selector.is_empty() {
        status["selector"] = selector.into();
    }
    json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status})
}

fn selector_text(owner: &Value) -> String {
    let Some(selector) = object::get_at(owner, &["spec", "selector"]) else { return String::new() };
    let parsed = if selector.get("matchLabels").is_some() || selector.get("matchExpressions").is_some() {
        LabelSelector::from_object(Some(selector)).ok()
    } else {
        let labels = selector.as_object().into_iter().flatten().filter_map(|(k, v)| Some((k.as_str(), v.as_str()?)));
        Some(LabelSelector::from_map(labels))
    };
    parsed.map(|selector| selector.to_string()).unwrap_or_default()
}

/// Answers a request for the scale.
///
/// # Errors
/// As the reference answers.
pub async fn scale(scope: &Scope, method: &Method, request_body: Body) -> Result<Response<Body>, Status> {
    if *method == Method::GET {
        let found = get::find(scope).await?;
        return respond_object(scope, 200, &scale_of(&scope.object_of(&found)));
    }
    let limit = scope.server.config.max_request_body_bytes;
    let patching = *method == Method::PATCH;
    let kind = if patching { Some(kind_of(scope)?) } else { None };
    let bytes = body::read(request_body, limit).await?;
    let options = write_options(
        &scope.query,
        match kind {
            Some(PatchKind::Apply) => WriteKind::Apply,
            Some(_) => WriteKind::Patch,
            None => WriteKind::Update,
        },
    )?;
    let media = if patching { codec::Media::Yaml } else { body_media(&scope.headers)? };
    let sent = match kind {
        Some(PatchKind::Json) => Value::Null,
        _ => {
            codec::decode(&bytes, media)
                .map_err(|error| Status::bad_request(format!("the object provided is unrecognized: {error}")))?
                .object
        }
    };
    let (group, resource, name) = (scope.group().to_owned(), scope.resource().to_owned(), scope.name.clone());
    let change = move |owner: &Value| {
        let now = scale_of(owner);
        let wanted = match kind {
            None => sent.clone(),
            Some(PatchKind::Json) => patches::json_patch(&now, &bytes)?,
            Some(PatchKind::Merge | PatchKind::Apply) => patches::merge_patch(&now, &sent)?,
            Some(PatchKind::Strategic) => {
                let any = Schema::plain(portcullis_machinery::schema::Shape::Any);
                patches::strategic_merge(&now, &sent, &any)?
            }
        };
        if object::kind(&wanted) != "Scale" && !object::kind(&wanted).is_empty() {
            let kind = object::kind(&wanted);
            return Err(Status::bad_request(format!(
                "{kind} in version \"v1\" cannot be handled as a Scale: converting ({kind}) to (v1.Scale): unknown conversion"
            )));
        }
        if patching || !object::name(&wanted).is_empty() {
            super::names::check_name(&wanted, &name)?;
        }
        let replicas = match object::get_at(&wanted, &["spec", "replicas"]) {
            None | Some(Value::Null) => 0,
            Some(value) => value.as_i64().ok_or_else(|| {
                Status::bad_request(
                    "Scale in version \"v1\" cannot be handled as a Scale: json: cannot unmarshal into Go struct field \
                     ScaleSpec.spec.replicas of type int32",
                )
            })?,
        };
        if replicas < 0 {
            let cause = portcullis_machinery::status::Cause::field(
                portcullis_machinery::status::FieldErrorType::Invalid,
                "spec.replicas",
                &replicas.to_string(),
                "must be greater than or equal to 0",
            );
            return Err(Status::invalid("autoscaling", "Scale", &name, vec![cause]));
        }
        let uid = object::uid(&wanted);
        let version = object::resource_version(&wanted);
        let stale = !version.is_empty() && version != object::resource_version(owner);
        if (!uid.is_empty() && uid != object::uid(owner)) || stale {
            return Err(Status::modified(&group, &resource, &name));
        }
        let mut changed = owner.clone();
        object::set_at(&mut changed, &["spec", "replicas"], replicas);
        Ok(changed)
    };
    let (stored, _) = update::apply(scope, &update::Source::Change(Box::new(change)), &options).await?;
    respond_object(scope, 200, &scale_of(&stored))
}
