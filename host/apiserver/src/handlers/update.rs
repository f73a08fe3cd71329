//! PUT and PATCH: a new version of an object, built from the stored one and written with compare-and-swap.

use std::sync::Arc;

use axum::body::Body;
use http::Response;
use portcullis_machinery::definition::split_api_version;
use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::{Status, Value, codec, object};
use portcullis_storage::cache::CachedObject;
use portcullis_storage::{Expect, StoreError};

use super::attempt::Attempt;
use super::body::{self, Expected};
use super::options::{WriteKind, WriteOptions, write_options};
use super::scope::{SERVER_TIMEOUT, store_error};
use super::stored::Stored;
use super::{Scope, carried, names, patch, write};
use crate::admission::{AdmissionAttributes, Operation};
use crate::customresources::conversion;
use crate::negotiation::body_media;
use crate::{ownership, strategy};

/// How often a write is built anew because another one came in between.
const ATTEMPTS: usize = 16;

/// Changes an object in a way that is not a client's patch.
pub type Change = Box<dyn Fn(&Value) -> Result<Value, Status> + Send + Sync>;

/// Where the new version comes from.
pub enum Source {
    /// The client's object.
    Replace(Value),
    /// The client's patch.
    Patch(patch::Patch),
    /// A change by the server.
    Change(Change),
    /// A change of which all that admission sees has been admitted before (binding).
    Admitted(Change),
    /// A change of a part that has a form of its own (scale).
    Part(Box<dyn Part>),
}

/// A part of an object that is read and written in a form of its own, in which admission sees it too.
pub trait Part: Send + Sync {
    /// The part of an object as it is, and as it is to be.
    ///
    /// # Errors
    /// As the reference answers.
    fn forms(&self, whole: &Value) -> Result<(Value, Value), Status>;

    /// The object with the part as admission has left it.
    ///
    /// # Errors
    /// As the reference answers.
    fn put(&self, whole: &Value, part: &Value) -> Result<Value, Status>;

    /// Whether [`Self::put`] sees to the owners of fields itself.
    fn sees_to_owners(&self) -> bool;
}

/// What admission sees of a change, where that is not the object itself.
type Seen = (Scope, AdmissionAttributes, Value);

/// Answers a PUT.
///
/// # Errors
/// As the reference answers.
pub async fn update(scope: &Scope, request_body: Body) -> Result<Response<Body>, Status> {
    let bytes = body::read(request_body, scope.server.config.max_request_body_bytes).await?;
    let options = write_options(&scope.query, WriteKind::Update)?;
    let media = body_media(&scope.headers)?;
    let definition = &scope.definition;
    let expected = Expected {
        group: &definition.group,
        version: &definition.version,
        kind: &definition.kind,
        schema: &definition.schema,
    };
    let mut object = body::decode(&scope.cx, &bytes, media, expected, options.validation)?;
    portcullis_machinery::defaults::apply_defaults(definition, &mut object);
    let namespace = if definition.namespaced { scope.namespace.as_str() } else { "" };
    names::fit_namespace(&mut object, namespace)?;
    names::check_name(&object, &scope.name)?;
    write::dedup_owners(scope, &mut object);
    let raw_data = strategy::revision::sent(scope, &bytes, media);
    let scope = &Scope { raw_data, ..scope.clone() };
    let (stored, created) = apply(scope, &Source::Replace(object), &options).await?;
    stored.respond(scope, if created { 201 } else { 200 })
}

/// Builds, admits and stores the new version; returns it as stored, and whether it was made rather than changed.
///
/// # Errors
/// As the reference answers.
pub async fn apply(scope: &Scope, source: &Source, options: &WriteOptions) -> Result<(Stored, bool), Status> {
    let cache = scope.cache();
    let key = scope.key();
    // The embedded engine's cache is never behind. With another store the cached version is tried first, and any
    // failure is tried again with what the store holds.
    let mut fresh = scope.server.store.revision_now().is_some();
    for _ in 0..ATTEMPTS {
        let existing = cache.get(&key, if fresh { None } else { Some(0) }).await.map_err(|e| store_error(&e))?;
        let result = match &existing {
            Some(existing) => attempt(scope, source, options, existing).await,
            None => make(scope, source, options).await.map(|made| Attempt::Done(made, true)),
        };
        match result {
            Ok(Attempt::Done(object, made)) => return Ok((object, made)),
            Ok(Attempt::Unchanged(object)) if fresh => return Ok((object.into(), false)),
            Ok(Attempt::Unchanged(_) | Attempt::Overtaken) => fresh = true,
            Ok(Attempt::Failed(status)) => return Err(status),
            // A creation in which the store failed may have taken place.
            Err(status) if fresh || status.reason == SERVER_TIMEOUT => return Err(status),
            Err(_) => fresh = true,
        }
    }
    Err(Status::modified(scope.group(), scope.resource(), &scope.name))
}

/// The object is not there: some kinds, and apply, make it.
async fn make(scope: &Scope, source: &Source, options: &WriteOptions) -> Result<Stored, Status> {
    let applies = matches!(source, Source::Patch(patch) if patch.kind == patch::PatchKind::Apply);
    let puts = matches!(source, Source::Replace(_)) && scope.definition.allow_create_on_update;
    if !(applies || puts) || !scope.sub().is_empty() || !scope.definition.has_verb("create") {
        return Err(scope.not_found());
    }
    let object = match source {
        Source::Replace(object) => object.clone(),
        Source::Patch(patch) => {
            let mut object = patch.apply_in_versions(scope, None, options).await?;
            let namespace = if scope.definition.namespaced { scope.namespace.as_str() } else { "" };
            names::fit_namespace(&mut object, namespace)?;
            names::check_name(&object, &scope.name)?;
            object
        }
        Source::Change(_) | Source::Admitted(_) | Source::Part(_) => return Err(scope.not_found()),
    };
    let uid = object::uid(&object);
    if !uid.is_empty() {
        let why = if applies {
            format!("uid mismatch: the provided object specified uid {uid}, and no existing object was found")
        } else {
            precondition_text(scope, uid, "")
        };
        return Err(Status::conflict(scope.group(), scope.resource(), &scope.name, &why));
    }
    write::authorize(scope, "create")?;
    let mut object = object;
    if puts {
        object::meta_mut(&mut object).remove("resourceVersion");
    }
    write::create(scope, object, options, options.to_value("CreateOptions")).await
}

fn precondition_text(scope: &Scope, wanted: &str, found: &str) -> String {
    format!(
        "StorageError: invalid object, Code: 4, Key: {}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: \
         UID in precondition: {wanted}, UID in object meta: {found}",
        scope.key()
    )
}

/// One attempt on a version of the object; `None` if another write came in between.
async fn attempt(
    scope: &Scope,
    source: &Source,
    options: &WriteOptions,
    existing: &Arc<CachedObject>,
) -> Result<Attempt, Status> {
    let (group, resource, name) = (scope.group(), scope.resource(), scope.name.as_str());
    let old = conversion::form(scope, existing).await?.value();
    let mut attributes = scope.attributes(Operation::Update, name, options.dry_run, options.to_value("UpdateOptions"));
    attributes.old_object = Some(old.clone());
    let mut seen = None;
    let mut new = match source {
        Source::Replace(object) => {
            let uid = object::uid(object);
            if !uid.is_empty() && uid != object::uid(&old) {
                let why = precondition_text(scope, uid, object::uid(&old));
                return Err(Status::conflict(group, resource, name, &why));
            }
            let mut new = object.clone();
            ownership::track_in_versions(scope, Some(&old), &mut new, options).await?;
            new
        }
        Source::Patch(patch) => {
            let mut new = patch.apply_in_versions(scope, Some(&old), options).await?;
            if patch.kind != patch::PatchKind::Apply {
                ownership::track_in_versions(scope, Some(&old), &mut new, options).await?;
            }
            let namespace = if scope.definition.namespaced { scope.namespace.as_str() } else { "" };
            names::fit_namespace(&mut new, namespace)?;
            names::check_name(&new, name)?;
            new
        }
        Source::Change(change) | Source::Admitted(change) => {
            let mut new = change(&old)?;
            ownership::track_in_versions(scope, Some(&old), &mut new, options).await?;
            new
        }
        Source::Part(part) => {
            let (was, mut is) = part.forms(&old)?;
            let attributes = AdmissionAttributes { old_object: Some(Arc::new(was)), ..attributes.clone() };
            let of_part = carried::scope_of_body(scope);
            write::mutate(&of_part, &attributes, &mut is).await?;
            let mut new = part.put(&old, &is)?;
            if !part.sees_to_owners() {
                ownership::track_in_versions(scope, Some(&old), &mut new, options).await?;
            }
            seen = Some((of_part, attributes, is));
            new
        }
    };
    write::check_namespace(scope, Operation::Update, name).await?;
    if !matches!(source, Source::Admitted(_) | Source::Part(_)) {
        write::mutate(scope, &attributes, &mut new).await?;
    }
    write::dedup_owners(scope, &mut new);
    check_version(scope, &mut new, existing.revision)?;
    let meta = object::meta_mut(&mut new);
    match object::meta(&old).and_then(|old| old.get("generation")) {
        Some(generation) => meta.insert("generation".into(), generation.clone()),
        None => meta.remove("generation"),
    };
    strategy::prepare_for_update(scope, &mut new, &old)?;
    keep_system_fields(&mut new, &old);
    let claim = strategy::begin_update(scope, &mut new, &old, options.dry_run).await?;
    let admission = match (source, &seen) {
        (Source::Admitted(_), _) => Admission::Done,
        (_, Some(seen)) => Admission::OfPart(seen),
        _ => Admission::OfObject,
    };
    let result = finish(scope, source, options, existing, new, &attributes, &admission).await;
    strategy::finish(scope, claim, matches!(result, Ok(Attempt::Done(..) | Attempt::Unchanged(_))) && !options.dry_run)
        .await;
    result
}

/// What validators are still to see of a change.
enum Admission<'a> {
    Done,
    OfObject,
    OfPart(&'a Seen),
}

async fn finish(
    scope: &Scope,
    source: &Source,
    options: &WriteOptions,
    existing: &CachedObject,
    mut new: Value,
    attributes: &AdmissionAttributes,
    admission: &Admission<'_>,
) -> Result<Attempt, Status> {
    let old = attributes.old_object.as_deref().unwrap_or(&Value::Null);
    let _ = codec::conform(&mut new, &scope.definition.schema);
    scope.server.authorizer.check_escalation(&scope.cx.user, &scope.cx.info, &new, Some(old))?;
    let text = strategy::revision::stored(scope, existing.wire.stored());
    let new = Arc::new(new);
    let checked = match admission {
        Admission::OfObject => write::validate(scope, attributes, &new).await,
        Admission::Done => write::validate_object(scope, attributes, &new).await,
        Admission::OfPart((of_part, of_admission, part)) => {
            write::validate_object(scope, attributes, &new).await?;
            write::admit(of_part, of_admission, &Arc::new(part.clone())).await
        }
    };
    strategy::revision::check(scope, source, text, &new, checked)?;
    let new = attributes.release(new);
    let over = object::deletion_timestamp(old).is_some()
        && object::finalizers(&new).next().is_none()
        && object::i64_at(old, &["metadata", "deletionGracePeriodSeconds"]).unwrap_or(0) == 0
        && strategy::may_end(scope, &new);
    if options.dry_run {
        return Ok(Attempt::Done(new.into(), false));
    }
    let store = &scope.server.store;
    let expect = Expect::ModRevision(existing.revision);
    if over {
        return match store.delete(&existing.key, expect).await {
            Ok(_) | Err(StoreError::NotFound) => {
                strategy::after_delete(scope, &new).await;
                Ok(Attempt::Done(new.into(), false))
            }
            Err(error) => Ok(Attempt::refused(&error)),
        };
    }
    // What a new claim lacks in the store until it is written again, reading it adds: its first change is one in any case.
    let complete = scope.definition.kind != "PersistentVolumeClaim" || existing.create_revision != existing.revision;
    let unchanged = complete && same_but_for_times(&new, old);
    if unchanged && !is_stale(scope, existing).await? {
        return Ok(Attempt::Unchanged((*old).clone()));
    }
    let new = if unchanged { old.clone() } else { new };
    let (bytes, answer) = conversion::to_store(scope, new).await?;
    let bytes = strategy::revision::with_text(bytes, text);
    match store.put(&existing.key, bytes.clone(), expect, write::time_to_live(scope)).await {
        Ok(revision) => Ok(Attempt::Done(Stored::at(scope, answer, &bytes, revision), false)),
        Err(error) => Ok(Attempt::refused(&error)),
    }
}

/// Whether an object would be stored otherwise if it were written as it is: encrypted with another key, or in the version
/// that is the stored one now. Writing each object once more is how a cluster moves to either.
async fn is_stale(scope: &Scope, existing: &CachedObject) -> Result<bool, Status> {
    let (group, version) = split_api_version(existing.api_version());
    let storage = &scope.definition.storage;
    if (group, version) != (storage.group.as_str(), storage.version.as_str()) {
        return Ok(true);
    }
    scope.server.store.is_stale(&existing.key, existing.revision).await.map_err(|error| store_error(&error))
}

/// Whether the two differ in nothing but the times of field ownership.
fn same_but_for_times(new: &Value, old: &Value) -> bool {
    same_members(new, old, "metadata", |new, old| {
        same_members(new, old, "managedFields", |new, old| match (new.as_array(), old.as_array()) {
            (Some(new), Some(old)) => {
                new.len() == old.len()
                    && new.iter().zip(old).all(|(new, old)| same_members(new, old, "time", |_, _| true))
            }
            _ => new == old,
        })
    })
}

/// Whether two objects have the same members, one of which is compared in a way of its own; where only one of the two
/// has it, with null.
fn same_members(new: &Value, old: &Value, special: &str, same: impl Fn(&Value, &Value) -> bool) -> bool {
    let (Some(new), Some(old)) = (new.as_object(), old.as_object()) else { return new == old };
    let others = |members: &serde_json::Map<String, Value>| members.len() - usize::from(members.contains_key(special));
    others(new) == others(old)
        && new.iter().filter(|(key, _)| *key != special).all(|(key, value)| old.get(key) == Some(value))
        && match (new.get(special), old.get(special)) {
            (None, None) => true,
            (new, old) => same(new.unwrap_or(&Value::Null), old.unwrap_or(&Value::Null)),
        }
}

/// Compares the client's resourceVersion with that of the stored object.
fn check_version(scope: &Scope, new: &mut Value, current: u64) -> Result<(), Status> {
    let (group, resource, name) = (scope.group(), scope.resource(), scope.name.as_str());
    let given = object::resource_version(new).to_owned();
    let wanted = if given.is_empty() {
        0
    } else {
        given.parse::<u64>().map_err(|_| {
            Status::failure(500, "", format!("strconv.ParseUint: parsing {}: invalid syntax", Value::from(given)))
        })?
    };
    if wanted == 0 && !scope.definition.allow_unconditional_update {
        let cause =
            Cause::field(FieldErrorType::Invalid, "metadata.resourceVersion", "0", "must be specified for an update");
        return Err(Status::invalid(group, resource, name, vec![cause]));
    }
    if wanted != 0 && wanted != current {
        return Err(Status::modified(group, resource, name));
    }
    object::meta_mut(new).insert("resourceVersion".into(), current.to_string().into());
    Ok(())
}

/// What an update cannot change: identity and the state of deletion.
fn keep_system_fields(new: &mut Value, old: &Value) {
    let Some(old) = object::meta(old) else { return };
    let meta = object::meta_mut(new);
    if meta.get("uid").and_then(Value::as_str).unwrap_or("").is_empty()
        && let Some(uid) = old.get("uid")
    {
        meta.insert("uid".into(), uid.clone());
    }
    for field in ["creationTimestamp", "deletionTimestamp"] {
        if let Some(value) = old.get(field) {
            meta.insert(field.into(), value.clone());
        }
    }
    if let Some(grace) = old.get("deletionGracePeriodSeconds") {
        meta.entry("deletionGracePeriodSeconds").or_insert_with(|| grace.clone());
    }
    if !old.contains_key("deletionTimestamp") {
        meta.remove("deletionTimestamp");
        meta.remove("deletionGracePeriodSeconds");
    }
}
