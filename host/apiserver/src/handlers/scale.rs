//! The scale subresource: how many replicas, as `autoscaling/v1` Scale, of four kinds alike.
//!
//! A Scale is written like any object: decoded, patched and applied as its own kind, with owners of its own. What comes
//! of it is then put into the object that it scales, replicas and owners both.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Response};
use portcullis_machinery::apply::scale as owners;
use portcullis_machinery::codec::Media;
use portcullis_machinery::definition::ResourceDefinition;
use portcullis_machinery::schema::builtin;
use portcullis_machinery::selector::LabelSelector;
use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::{Status, Value, codec, object};
use serde_json::json;

use super::options::{WriteKind, WriteOptions, write_options};
use super::patch::{Patch, PatchKind, kind_of};
use super::transform::respond_object;
use super::{Scope, body, get, update};
use crate::customresources::{conversion, scale as custom};
use crate::negotiation::body_media;
use crate::ownership;

/// The Scale of an object.
///
/// # Errors
/// 500 for a custom resource that does not say how many replicas it wants.
fn scale_of(definition: &ResourceDefinition, owner: &Value) -> Result<Value, Status> {
    let meta = |field: &str| object::meta(owner).and_then(|meta| meta.get(field)).cloned();
    let mut metadata = serde_json::Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = meta(field) {
            metadata.insert(field.into(), value);
        }
    }
    let number = |path: &[&str]| object::i64_at(owner, path).unwrap_or(0);
    let (wanted, found, selector) = match custom::read(definition, owner) {
        Some(read) => read?,
        None => (number(&["spec", "replicas"]), number(&["status", "replicas"]), selector_text(owner)),
    };
    let spec = if wanted == 0 { json!({}) } else { json!({"replicas": wanted}) };
    let mut status = json!({"replicas": found});
    if !selector.is_empty() {
        status["selector"] = selector.into();
    }
    Ok(json!({"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}))
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

/// The request's scope with the Scale as its kind.
fn scope_of_scale(scope: &Scope) -> Option<Scope> {
    let schema = builtin::schema("io.k8s.api.autoscaling.v1.Scale")?;
    let definition = ResourceDefinition {
        group: "autoscaling".into(),
        version: "v1".into(),
        kind: "Scale".into(),
        schema,
        builtin: true,
        columns: Vec::new(),
        custom: None,
        ..(*scope.definition).clone()
    };
    Some(Scope { definition: Arc::new(definition), ..scope.clone() })
}

/// Answers a request for the scale.
///
/// # Errors
/// As the reference answers.
pub async fn scale(scope: &Scope, method: &Method, request_body: Body) -> Result<Response<Body>, Status> {
    let of_scale = scope_of_scale(scope).ok_or_else(|| Status::internal("there is no type of Scales"))?;
    if *method == Method::GET {
        let found = get::find(scope).await?;
        let owner = conversion::form(scope, &found).await?.value();
        return respond_object(&of_scale, 200, &scale_of(&scope.definition, &owner)?);
    }
    let kind = if *method == Method::PATCH { Some(kind_of(scope)?) } else { None };
    let bytes = body::read(request_body, scope.server.config.max_request_body_bytes).await?;
    let options = write_options(
        &scope.query,
        match kind {
            Some(PatchKind::Apply) => WriteKind::Apply,
            Some(_) => WriteKind::Patch,
            None => WriteKind::Update,
        },
    )?;
    let source = match kind {
        Some(kind) => Wanted::Patch(Patch { kind, body: bytes }),
        None => Wanted::Object(decode(&of_scale, &bytes, &options)?),
    };
    let answer_scope = of_scale.clone();
    let part = Replicas { scope: scope.clone(), of_scale, wanted: source, options: options.clone() };
    let source = update::Source::Part(Box::new(part));
    let (stored, _) = update::apply(scope, &source, &options).await?;
    respond_object(&answer_scope, 200, &scale_of(&scope.definition, &stored)?)
}

enum Wanted {
    Object(Value),
    Patch(Patch),
}

/// Reads the Scale of a PUT.
fn decode(of_scale: &Scope, bytes: &Bytes, options: &WriteOptions) -> Result<Value, Status> {
    let media = body_media(&of_scale.headers)?;
    let found = match media {
        Media::Protobuf => String::new(),
        Media::Json | Media::Yaml => {
            codec::decode(bytes, media).map(|decoded| object::kind(&decoded.object).to_owned()).unwrap_or_default()
        }
    };
    if !matches!(found.as_str(), "" | "Scale") {
        return Err(Status::bad_request(format!(
            "{found} in version \"v1\" cannot be handled as a Scale: converting (v1.{found}) to (autoscaling.Scale): \
             unknown conversion"
        )));
    }
    let expected =
        body::Expected { group: "autoscaling", version: "v1", kind: "Scale", schema: &of_scale.definition.schema };
    body::decode(&of_scale.cx, bytes, media, expected, options.validation)
}

/// A write of the Scale of an object.
struct Replicas {
    scope: Scope,
    of_scale: Scope,
    wanted: Wanted,
    options: WriteOptions,
}

impl update::Part for Replicas {
    fn forms(&self, owner: &Value) -> Result<(Value, Value), Status> {
        forms(&self.scope, &self.of_scale, &self.wanted, &self.options, owner)
    }

    fn put(&self, owner: &Value, scale: &Value) -> Result<Value, Status> {
        put(&self.scope, owner, scale)
    }

    /// The owners of a custom resource's replicas, which may be any field, are found as those of any change.
    fn sees_to_owners(&self) -> bool {
        self.scope.definition.custom.is_none()
    }
}

/// The Scale that an object has, and the one that it is to have.
fn forms(
    scope: &Scope,
    of_scale: &Scope,
    wanted: &Wanted,
    options: &WriteOptions,
    owner: &Value,
) -> Result<(Value, Value), Status> {
    let definition = &scope.definition;
    let mut now = match scale_of(definition, owner) {
        Ok(now) => now,
        // Nothing is wanted yet: this write says how many.
        Err(_) => {
            let mut owner = owner.clone();
            custom::write(definition, &mut owner, 0);
            scale_of(definition, &owner)?
        }
    };
    if let Some(fields) = owners::to_scale(owner).filter(|_| definition.custom.is_none()) {
        object::set_at(&mut now, &["metadata", "managedFields"], fields);
    }
    let new = match wanted {
        Wanted::Object(sent) => {
            let mut new = sent.clone();
            if !object::name(&new).is_empty() {
                super::names::check_name(&new, &scope.name)?;
            }
            ownership::track(of_scale, Some(&now), &mut new, options, None);
            new
        }
        Wanted::Patch(patch) => {
            let mut new = patch.apply(of_scale, Some(&now), options, None)?;
            if patch.kind != PatchKind::Apply {
                ownership::track(of_scale, Some(&now), &mut new, options, None);
            }
            super::names::check_name(&new, &scope.name)?;
            new
        }
    };
    Ok((now, new))
}

/// The object with the replicas of its Scale.
fn put(scope: &Scope, owner: &Value, new: &Value) -> Result<Value, Status> {
    let definition = &scope.definition;
    let replicas = object::i64_at(new, &["spec", "replicas"]).unwrap_or(0);
    if replicas < 0 && definition.custom.is_none() {
        let detail = "must be greater than or equal to 0";
        let cause = Cause::field(FieldErrorType::Invalid, "spec.replicas", &replicas.to_string(), detail);
        return Err(Status::invalid("autoscaling", "Scale", &scope.name, vec![cause]));
    }
    let (uid, version) = (object::uid(new), object::resource_version(new));
    let stale = !version.is_empty() && version != object::resource_version(owner);
    if (!uid.is_empty() && uid != object::uid(owner)) || stale {
        return Err(Status::modified(scope.group(), scope.resource(), &scope.name));
    }
    let mut changed = owner.clone();
    custom::write(definition, &mut changed, replicas);
    if definition.custom.is_some() {
        return Ok(changed);
    }
    match owners::to_owner(owner, new, &scope.definition.api_version()) {
        Some(fields) => object::set_at(&mut changed, &["metadata", "managedFields"], fields),
        None => drop(object::remove_at(&mut changed, &["metadata", "managedFields"])),
    }
    Ok(changed)
}
