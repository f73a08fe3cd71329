//! Between the versions of a kind.
//!
//! An object is stored, and cached, in one version. Requests for another are answered with a form of the cached object
//! ([`form`], [`forms`]), which is made once for each version of the object, for all readers and watchers; a list
//! has all that are missing made in one batch. A write is converted to the stored version before anything is stored, and
//! back, so that a conversion that fails changes nothing.
//!
//! Who converts is the definition's to say ([`Conversion`]): nobody (only the name of the version changes), a component
//! ([`Converters`]) or a [`webhook`]. The answers of both are held to the same rules ([`review`]). Built-in kinds are
//! converted by `convert` of `host/machinery`.

pub mod review;
pub mod versions;
pub mod webhook;

use std::sync::Arc;

use bytes::Bytes;
use portcullis_machinery::definition::{
    Conversion, CustomResource, ResourceDefinition, api_version, split_api_version,
};
use portcullis_machinery::{Status, Value, codec, object, structural};
use portcullis_storage::cache::{CachedObject, Claim, FormKey, FormMaking, JsonCodec, ObjectCodec};
use serde_json::json;
use uuid::Uuid;

use super::codec::selectable;
use crate::handlers::Scope;
use crate::server::ApiServer;

/// How many bytes of objects go into one call: of a component, which has a deadline and bounds on its memory, and of a
/// webhook.
const BATCH_BYTES: (usize, usize) = (512 << 10, 16 << 20);

/// The converter components in service.
pub trait Converters: Send + Sync {
    /// The component of a plugin, for objects of this resource.
    ///
    /// # Errors
    /// Why there is none, as part of a sentence.
    fn find(&self, plugin: &str, group: &str, resource: &str) -> Result<Arc<dyn Converter>, String>;
}

/// A converter component.
pub trait Converter: Send + Sync {
    /// A number that no other version of a component has.
    fn serial(&self) -> u64;

    /// The objects of the document (`request`, `objects`) in the version that it asks for.
    ///
    /// # Errors
    /// Why not.
    fn convert(&self, document: Value) -> Result<Vec<Value>, String>;
}

/// Who converts the objects of a resource.
enum Maker {
    /// Code of the server's own: a built-in kind, or one where only the version's name changes.
    Host,
    Component(Arc<dyn Converter>),
    Webhook(Arc<Value>),
}

impl Maker {
    fn of(server: &ApiServer, definition: &ResourceDefinition) -> Result<Self, Arc<str>> {
        match definition.custom.as_ref().map(|custom| &custom.conversion) {
            None | Some(Conversion::None) => Ok(Self::Host),
            Some(Conversion::Webhook(webhook)) => Ok(Self::Webhook(Arc::clone(webhook))),
            Some(Conversion::Component(plugin)) => {
                let found = match server.converters.get() {
                    Some(converters) => converters.find(plugin, &definition.group, &definition.plural),
                    None => Err("this server runs no components".to_owned()),
                };
                let refuse = |why| format!("{} failed: {why}", asked(definition, &definition.api_version()));
                found.map(Self::Component).map_err(|why| refuse(why).into())
            }
        }
    }

    /// See [`FormKey::maker`].
    fn serial(&self) -> u64 {
        match self {
            Self::Host => 0,
            Self::Webhook(_) => 1,
            Self::Component(component) => component.serial() + 2,
        }
    }

    fn batch_bytes(&self) -> usize {
        if matches!(self, Self::Component(_)) { BATCH_BYTES.0 } else { BATCH_BYTES.1 }
    }
}

/// Who is asked, about objects in a version, as errors name them.
fn asked(definition: &ResourceDefinition, api_version: &str) -> String {
    let of = format!("{api_version}, Kind={}", definition.kind);
    match definition.custom.as_ref().map(|custom| &custom.conversion) {
        Some(Conversion::Component(plugin)) => format!("conversion by plugin {plugin:?} for {of}"),
        _ => format!("conversion webhook for {of}"),
    }
}

/// The answer to a request whose conversion failed: as in the reference, 500 without a reason.
fn failure(why: &str) -> Status {
    Status::failure(500, "", why)
}

/// Whether objects may be stored in another version than that of the definition.
pub fn may_convert(definition: &ResourceDefinition) -> bool {
    match &definition.custom {
        None => definition.storage.version != definition.version || definition.storage.group != definition.group,
        Some(custom) => custom.types.len() > 1,
    }
}

/// Whether selectors have to be asked of an object's form: who converts may have changed labels and fields.
pub fn selects_forms(definition: &ResourceDefinition) -> bool {
    let converted = |custom: &CustomResource| custom.conversion != Conversion::None && custom.types.len() > 1;
    definition.custom.as_ref().is_some_and(converted)
}

/// A cached object in the request's version.
///
/// # Errors
/// 500 if it cannot be converted.
pub async fn form(scope: &Scope, object: &Arc<CachedObject>) -> Result<Arc<CachedObject>, Status> {
    if !may_convert(&scope.definition) {
        return Ok(Arc::clone(object));
    }
    let mut forms = forms(scope, std::slice::from_ref(object)).await?;
    forms.pop().ok_or_else(|| Status::internal("an object was lost in conversion"))
}

/// Cached objects in the request's version, in the same order. What is missing is made in one batch.
///
/// # Errors
/// 500 if one cannot be converted.
pub async fn forms(scope: &Scope, objects: &[Arc<CachedObject>]) -> Result<Vec<Arc<CachedObject>>, Status> {
    let definition = &scope.definition;
    if !may_convert(definition) {
        return Ok(objects.to_vec());
    }
    let wanted: Arc<str> = definition.api_version().into();
    if objects.iter().all(|object| object.api_version() == &*wanted) {
        return Ok(objects.to_vec());
    }
    let maker = Maker::of(&scope.server, definition).map_err(|why| failure(&why))?;
    let key = FormKey { version: wanted, maker: maker.serial() };
    let mut found: Vec<Option<Arc<CachedObject>>> = vec![None; objects.len()];
    loop {
        let (mut mine, mut others) = (Vec::new(), Vec::new());
        for (object, found) in objects.iter().zip(&mut found).filter(|(_, found)| found.is_none()) {
            if object.api_version() == &*key.version {
                *found = Some(Arc::clone(object));
                continue;
            }
            match object.claim_form(&key) {
                Claim::Made(form) => *found = Some(form),
                Claim::Mine(making) => mine.push(making),
                Claim::Others(wait) => others.push(wait),
            }
        }
        if mine.is_empty() && others.is_empty() {
            return Ok(found.into_iter().flatten().collect());
        }
        make(scope, &maker, &key.version, mine).await.map_err(|why| failure(&why))?;
        for wait in others {
            if let Some(Err(why)) = wait.wait().await {
                return Err(failure(&why));
            }
        }
    }
}

/// Makes forms in batches, and hands them over.
async fn make(scope: &Scope, maker: &Maker, wanted: &str, mut left: Vec<FormMaking>) -> Result<(), Arc<str>> {
    let definition = &scope.definition;
    let fields = match maker {
        Maker::Host => Vec::new(),
        Maker::Component(_) | Maker::Webhook(_) => selectable(&definition.field_selectors),
    };
    let codec = JsonCodec::new(&fields);
    while !left.is_empty() {
        let mut bytes = 0;
        let fits = left.iter().take_while(|making| {
            bytes += making.object().wire.len();
            bytes <= maker.batch_bytes()
        });
        let rest = left.split_off(fits.count().max(1));
        let batch = std::mem::replace(&mut left, rest);
        let stored = batch.iter().map(|making| without_version(&making.object().value())).collect();
        let made = convert_by(&scope.server, definition, maker, stored, wanted).await.and_then(|converted| {
            let decode = |(making, value): (&FormMaking, &Value)| {
                codec.decode(&making.object().entry(codec::encode(value))).map(Arc::new).map_err(Arc::from)
            };
            batch.iter().zip(&converted).map(decode).collect::<Result<Vec<_>, Arc<str>>>()
        });
        match made {
            Ok(forms) => batch.into_iter().zip(forms).for_each(|(making, form)| making.done(form)),
            Err(why) => {
                batch.into_iter().for_each(|making| making.failed(Arc::clone(&why)));
                return Err(why);
            }
        }
    }
    Ok(())
}

/// An object as it is stored: its resourceVersion is not part of it.
fn without_version(value: &Value) -> Value {
    let mut value = value.clone();
    object::meta_mut(&mut value).remove("resourceVersion");
    value
}

/// What a write of `value`, an object in the request's version, stores, and what a read will give afterwards, without a
/// resourceVersion.
///
/// # Errors
/// 500 if it cannot be converted, one way or the other.
pub async fn to_store(scope: &Scope, mut value: Value) -> Result<(Bytes, Value), Status> {
    let definition = &scope.definition;
    object::meta_mut(&mut value).remove("resourceVersion");
    let storage = &definition.storage;
    if storage.version == definition.version && storage.group == definition.group {
        return Ok((codec::encode(&value), value));
    }
    let Some(custom) = &definition.custom else {
        let stored = portcullis_machinery::convert::to_storage(definition, value.clone());
        return Ok((codec::encode(&stored), value));
    };
    let stored = one(&scope.server, definition, value, &storage_version(definition)).await?;
    let bytes = codec::encode(&stored);
    // As the cache will read it; see `codec`.
    let mut read = stored;
    super::codec::fill(&mut read, custom.types.get(&storage.version));
    let answer = one(&scope.server, definition, read, &definition.api_version()).await?;
    Ok((bytes, answer))
}

fn storage_version(definition: &ResourceDefinition) -> String {
    api_version(&definition.storage.group, &definition.storage.version)
}

/// One object of the resource in another version.
///
/// # Errors
/// 500.
pub async fn one(
    server: &Arc<ApiServer>,
    definition: &ResourceDefinition,
    value: Value,
    wanted: &str,
) -> Result<Value, Status> {
    if object::api_version(&value) == wanted {
        return Ok(value);
    }
    let maker = Maker::of(server, definition).map_err(|why| failure(&why))?;
    let converted = convert_by(server, definition, &maker, vec![value], wanted).await;
    converted.map_err(|why| failure(&why))?.pop().ok_or_else(|| Status::internal("an object was lost in conversion"))
}

/// Objects, none of them in the wanted version, in the wanted version.
async fn convert_by(
    server: &Arc<ApiServer>,
    definition: &ResourceDefinition,
    maker: &Maker,
    objects: Vec<Value>,
    wanted: &str,
) -> Result<Vec<Value>, Arc<str>> {
    let Some(custom) = &definition.custom else {
        return Ok(objects
            .into_iter()
            .map(|object| portcullis_machinery::convert::from_storage(definition, object))
            .collect());
    };
    let Maker::Webhook(config) = maker else {
        let converted = on_the_spot(definition, custom, maker, objects, wanted);
        return converted.unwrap_or_else(|| Ok(Vec::new()));
    };
    known(definition, custom, &objects)?;
    let who = asked(definition, objects.first().map_or("", object::api_version));
    let answer = webhook::convert(server, config, &objects, wanted).await;
    let answer = answer.map_err(|why| format!("{who} failed: {why}"))?;
    let mut converted = review::accept(&objects, answer, wanted, &who)?;
    prune(custom, &mut converted, wanted);
    Ok(converted)
}

/// The same for custom resources, where nobody has to be waited for; else `None`.
fn on_the_spot(
    definition: &ResourceDefinition,
    custom: &CustomResource,
    maker: &Maker,
    mut objects: Vec<Value>,
    wanted: &str,
) -> Option<Result<Vec<Value>, Arc<str>>> {
    let component = match maker {
        Maker::Webhook(_) => return None,
        Maker::Host => {
            objects.iter_mut().for_each(|object| object::set_at(object, &["apiVersion"], wanted));
            prune(custom, &mut objects, wanted);
            return Some(Ok(objects));
        }
        Maker::Component(component) => component,
    };
    let ask = || {
        known(definition, custom, &objects)?;
        let who = asked(definition, objects.first().map_or("", object::api_version));
        let request = json!({
            "uid": Uuid::new_v4().to_string(), "desiredAPIVersion": wanted,
            "group": definition.group, "resource": definition.plural, "kind": definition.kind,
        });
        let answer = component.convert(json!({"request": request, "objects": objects}));
        let answer = answer.map_err(|why| format!("{who} failed: {why}"))?;
        let mut converted = review::accept(&objects, answer, wanted, &who)?;
        prune(custom, &mut converted, wanted);
        Ok(converted)
    };
    Some(ask())
}

/// Only versions that the definition has can be converted from.
fn known(definition: &ResourceDefinition, custom: &CustomResource, objects: &[Value]) -> Result<(), Arc<str>> {
    for from in objects.iter().map(object::api_version) {
        let (group, version) = split_api_version(from);
        if group != definition.group || !custom.types.contains_key(version) {
            return Err(format!("request to convert CR from an invalid group/version: {from}").into());
        }
    }
    Ok(())
}

/// What the type of the version does not know is gone.
fn prune(custom: &CustomResource, objects: &mut [Value], version: &str) {
    let schema = custom.types.get(split_api_version(version).1);
    if let Some(schema) = schema.and_then(|schema| schema.custom()) {
        for object in objects {
            // Metadata that does not fit its type is none that was stored.
            let _ = structural::prune::prune(object, schema.structural());
        }
    }
}
