//! DELETE of one object and of a collection: grace, finalizers, preconditions and what dependents are to become.

use std::sync::Arc;

use axum::body::Body;
use http::Response;
use jiff::{SignedDuration, Timestamp};
use portcullis_machinery::codec;
use portcullis_machinery::status::StatusDetails;
use portcullis_machinery::{Status, Value, object};
use portcullis_storage::cache::CachedObject;
use portcullis_storage::{Expect, StoreError};

use super::attempt::Attempt;
use super::options::{DeleteOptions, ListOptions};
use super::scope::store_error;
use super::transform::respond_object;
use super::{Scope, body, list, write};
use crate::admission::reinvocation::Reinvocation;
use crate::admission::{AdmissionAttributes, Operation, nodes};
use crate::customresources::conversion;
use crate::negotiation::body_media;
use crate::strategy::{self, GarbagePolicy};
use crate::webhooks;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";
const ATTEMPTS: usize = 16;

async fn read_options(scope: &Scope, request_body: Body) -> Result<DeleteOptions, Status> {
    let bytes = body::read(request_body, scope.server.config.max_request_body_bytes).await?;
    if bytes.is_empty() {
        return DeleteOptions::read(&scope.query, None);
    }
    let media = body_media(&scope.headers)?;
    let decoded = codec::decode(&bytes, media)
        .map_err(|error| Status::bad_request(format!("couldn't get version/kind; json parse error: {error}")))?;
    let kind = object::kind(&decoded.object);
    if !matches!(kind, "" | "DeleteOptions") {
        return Err(Status::bad_request("decoded object cannot be converted to DeleteOptions"));
    }
    DeleteOptions::read(&scope.query, Some(&decoded.object))
}

/// Answers a DELETE of one object.
///
/// # Errors
/// As the reference answers.
pub async fn delete(scope: &Scope, request_body: Body) -> Result<Response<Body>, Status> {
    let options = read_options(scope, request_body).await?;
    warn_of_orphans(scope, &options);
    let (answer, gone) = remove(scope, &options).await?;
    let code = if !gone && options.orphan == Some(false) { 202 } else { 200 };
    respond_object(scope, code, &answer)
}

/// Says that pods stay, which those who delete a job rarely expect.
fn warn_of_orphans(scope: &Scope, options: &DeleteOptions) {
    let job = scope.definition.kind == "Job" && scope.group() == "batch";
    if job && options.propagation.is_none() && options.orphan.is_none() {
        scope.cx.warn(
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove \
             them or set propagationPolicy=Orphan to suppress this warning",
        );
    }
}

/// Deletes the object that the path names, or marks it for deletion. Returns the answer's object (or Status) and
/// whether the object is gone.
///
/// # Errors
/// As the reference answers.
pub async fn remove(scope: &Scope, options: &DeleteOptions) -> Result<(Value, bool), Status> {
    remove_as(scope, options, false).await
}

/// The same for a deletion that has been admitted in another form (an eviction).
///
/// # Errors
/// As the reference answers.
pub async fn remove_admitted(scope: &Scope, options: &DeleteOptions) -> Result<(Value, bool), Status> {
    remove_as(scope, options, true).await
}

async fn remove_as(scope: &Scope, options: &DeleteOptions, admitted: bool) -> Result<(Value, bool), Status> {
    strategy::check_delete(scope)?;
    let mut fresh = scope.server.store.revision_now().is_some();
    for _ in 0..ATTEMPTS {
        let version = if fresh { None } else { Some(0) };
        let found = scope.cache().get(&scope.key(), version).await.map_err(|error| store_error(&error))?;
        let result = match found {
            Some(existing) => attempt(scope, options, &existing, admitted).await,
            None => Err(scope.not_found()),
        };
        match result {
            Ok(Attempt::Done(answer, gone)) => return Ok((answer.into_value(), gone)),
            Ok(Attempt::Unchanged(answer)) if fresh => return Ok((answer, false)),
            Ok(Attempt::Unchanged(_) | Attempt::Overtaken) => fresh = true,
            Ok(Attempt::Failed(status)) => return Err(status),
            Err(status) if fresh => return Err(status),
            Err(_) => fresh = true,
        }
    }
    Err(Status::modified(scope.group(), scope.resource(), &scope.name))
}

/// Refuses the deletion of another object, or of another version, than the one that is meant.
///
/// # Errors
/// 409.
pub(super) fn check_preconditions(scope: &Scope, options: &DeleteOptions, old: &Value) -> Result<(), Status> {
    // Kinds with an end of their own look at the preconditions themselves, and say otherwise what is wrong.
    let own_end = is_namespace(scope) || strategy::is_definition(scope);
    let what = if own_end { scope.resource() } else { &scope.definition.kind };
    let refuse = |why: String| Err(Status::conflict(scope.group(), what, &scope.name, &why));
    if let Some(uid) = options.uid.as_deref().filter(|uid| *uid != object::uid(old)) {
        if own_end {
            let have = object::uid(old);
            return refuse(format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {have}"));
        }
        return refuse(format!(
            "the UID in the precondition ({uid}) does not match the UID in record ({}). The object might have been \
             deleted and then recreated",
            object::uid(old)
        ));
    }
    let current = object::resource_version(old);
    if let Some(version) = options.resource_version.as_deref().filter(|version| *version != current) {
        if own_end {
            return refuse(format!(
                "Precondition failed: ResourceVersion in precondition: {version}, ResourceVersion in object meta: {current}"
            ));
        }
        return refuse(format!(
            "the ResourceVersion in the precondition ({version}) does not match the ResourceVersion in record \
             ({current}). The object might have been modified"
        ));
    }
    Ok(())
}

async fn admit(scope: &Scope, attributes: &AdmissionAttributes) -> Result<(), Status> {
    let mut nothing = Value::Null;
    nodes::check(scope, attributes, &nothing)?;
    scope.server.admission.mutate(&scope.cx, attributes, &mut nothing).await?;
    // There is nothing that could change, so there is no second round.
    webhooks::mutate(scope, attributes, &mut nothing, &mut Reinvocation::default()).await?;
    write::admit(scope, attributes, &Arc::new(nothing)).await
}

async fn attempt(
    scope: &Scope,
    options: &DeleteOptions,
    existing: &Arc<CachedObject>,
    admitted: bool,
) -> Result<Attempt, Status> {
    let old = conversion::form(scope, existing).await?.value();
    check_preconditions(scope, options, &old)?;
    let mut attributes = scope.attributes(Operation::Delete, &scope.name, options.dry_run, options.to_value());
    attributes.old_object = Some(old.clone());
    let mut new = (*old).clone();
    let graceful = grace(scope, options, &mut new);
    if graceful == Grace::Pending {
        return Ok(Attempt::Unchanged(answer(scope, &old)));
    }
    if !admitted {
        admit(scope, &attributes).await?;
    }
    let finalizers_changed = set_finalizers(scope, options, &mut new);
    strategy::prepare_for_delete(scope, &mut new);
    let held = object::finalizers(&new).next().is_some() || !strategy::may_end(scope, &new);
    if held && graceful == Grace::None {
        mark_as_deleting(scope, &mut new);
    }
    let shortened =
        graceful == Grace::Set && object::i64_at(&new, &["metadata", "deletionGracePeriodSeconds"]) != Some(0);
    if held || shortened {
        if options.dry_run || (new == *old && !finalizers_changed) {
            return Ok(Attempt::Unchanged(new));
        }
        let (bytes, mut answer) = conversion::to_store(scope, new).await?;
        let expect = Expect::ModRevision(existing.revision);
        return match scope.server.store.put(&existing.key, bytes, expect, None).await {
            Ok(revision) => {
                object::set_version(&mut answer, revision);
                Ok(Attempt::Done(answer.into(), false))
            }
            Err(error) => Ok(Attempt::refused(&error)),
        };
    }
    if options.dry_run {
        return Ok(Attempt::Done(answer(scope, &new).into(), true));
    }
    match scope.server.store.delete(&existing.key, Expect::ModRevision(existing.revision)).await {
        Ok((_, revision)) => {
            strategy::after_delete(scope, &new).await;
            object::meta_mut(&mut new).insert("resourceVersion".into(), revision.to_string().into());
            Ok(Attempt::Done(answer(scope, &new).into(), true))
        }
        Err(StoreError::NotFound) => Err(scope.not_found()),
        Err(error) => Ok(Attempt::refused(&error)),
    }
}

/// What came of graceful deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Grace {
    /// The kind knows none.
    None,
    /// The time and the period are set in the object.
    Set,
    /// The object is ending already, and not later than asked for.
    Pending,
}

/// Sets the time by which a pod is to have ended.
fn grace(scope: &Scope, options: &DeleteOptions, new: &mut Value) -> Grace {
    if !scope.definition.graceful_deletion {
        return Grace::None;
    }
    let now = Timestamp::now();
    let had = object::i64_at(new, &["metadata", "deletionGracePeriodSeconds"]);
    if let Some(ends) = object::deletion_timestamp(new).map(str::to_owned) {
        let Some(had) = had.filter(|had| *had != 0) else { return Grace::None };
        let Some(mut period) = options.grace.filter(|period| *period < had) else { return Grace::Pending };
        let ends: Timestamp = ends.parse().unwrap_or(now);
        let mut ends = ends.saturating_add(SignedDuration::from_secs(period - had)).unwrap_or(now);
        if ends < now {
            ends = now;
            period = period.min(1);
        }
        set_deletion(new, ends, period);
        return Grace::Set;
    }
    let assigned = object::str_at(new, &["spec", "nodeName"]).is_some_and(|node| !node.is_empty());
    let over = matches!(object::str_at(new, &["status", "phase"]), Some("Failed" | "Succeeded"));
    let asked = options.grace.or_else(|| object::i64_at(new, &["spec", "terminationGracePeriodSeconds"])).unwrap_or(30);
    let period = if assigned && !over { if asked < 0 { 1 } else { asked } } else { 0 };
    set_deletion(new, now.saturating_add(SignedDuration::from_secs(period)).unwrap_or(now), period);
    bump_generation(new);
    Grace::Set
}

fn set_deletion(new: &mut Value, at: Timestamp, period: i64) {
    let meta = object::meta_mut(new);
    meta.insert("deletionTimestamp".into(), object::rfc3339(at).into());
    meta.insert("deletionGracePeriodSeconds".into(), period.into());
}

fn bump_generation(new: &mut Value) {
    let generation = object::generation(new);
    if generation > 0 {
        object::meta_mut(new).insert("generation".into(), (generation + 1).into());
    }
}

fn is_namespace(scope: &Scope) -> bool {
    scope.definition.plural == "namespaces" && scope.definition.group.is_empty()
}

/// Marks an object that finalizers hold.
fn mark_as_deleting(scope: &Scope, new: &mut Value) {
    let namespace = is_namespace(scope);
    // Namespaces and definitions of custom resources have an end of their own, of which graceful deletion knows nothing.
    let own_end = namespace || (strategy::is_definition(scope) && object::deletion_timestamp(new).is_none());
    if object::deletion_timestamp(new).is_none() {
        if !own_end {
            bump_generation(new);
        }
        object::meta_mut(new).insert("deletionTimestamp".into(), object::rfc3339(Timestamp::now()).into());
    }
    if namespace {
        object::set_at(new, &["status", "phase"], "Terminating");
    } else if !own_end {
        object::meta_mut(new).insert("deletionGracePeriodSeconds".into(), 0.into());
    }
}

/// Sets the garbage collector's finalizers as the options, or else the kind, want it. Whether that changed anything.
fn set_finalizers(scope: &Scope, options: &DeleteOptions, new: &mut Value) -> bool {
    let policy = strategy::garbage_policy(scope);
    let had: Vec<String> = object::finalizers(new).map(str::to_owned).collect();
    let has = |name: &str| had.iter().any(|finalizer| finalizer == name);
    let (mut orphan, mut foreground) = (false, false);
    if policy != GarbagePolicy::Unsupported {
        match (options.orphan, options.propagation.as_deref()) {
            (Some(wanted), _) => orphan = wanted,
            (None, Some(word)) => (orphan, foreground) = (word == "Orphan", word == "Foreground"),
            (None, None) if has(ORPHAN) => orphan = true,
            (None, None) if has(FOREGROUND) => foreground = true,
            (None, None) => orphan = policy == GarbagePolicy::Orphan,
        }
    }
    let mut now: Vec<String> = had.iter().filter(|f| *f != ORPHAN && *f != FOREGROUND).cloned().collect();
    now.extend(orphan.then(|| ORPHAN.to_owned()));
    now.extend(foreground.then(|| FOREGROUND.to_owned()));
    let mut sorted = (had.clone(), now.clone());
    sorted.0.sort();
    sorted.1.sort();
    if sorted.0 == sorted.1 {
        return false;
    }
    let meta = object::meta_mut(new);
    if now.is_empty() {
        meta.remove("finalizers");
    } else {
        meta.insert("finalizers".into(), now.into());
    }
    true
}

/// What a deletion answers: the object for some kinds, a Status for the others.
fn answer(scope: &Scope, object: &Value) -> Value {
    if strategy::returns_deleted(scope) {
        return object.clone();
    }
    let status = Status {
        code: 0,
        ..Status::success(Some(StatusDetails {
            name: object::name(object).to_owned(),
            group: scope.group().to_owned(),
            kind: scope.resource().to_owned(),
            uid: object::uid(object).to_owned(),
            ..StatusDetails::default()
        }))
    };
    let mut value = serde_json::to_value(status).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        map.remove("code");
    }
    value
}

/// Answers a DELETE of a collection: everything that the selectors select, one by one.
///
/// # Errors
/// The first failure that is not a 404.
pub async fn delete_collection(scope: &Scope, request_body: Body) -> Result<Response<Body>, Status> {
    let selection = ListOptions::read(&scope.query, &scope.definition, false)?;
    let options = read_options(scope, request_body).await?;
    warn_of_orphans(scope, &options);
    let page = list::page(scope, &selection).await?;
    for found in &page.objects {
        let mut one = scope.clone();
        one.name = found.name.to_string();
        one.namespace = found.namespace.to_string();
        match remove(&one, &options).await {
            Err(status) if !status.is_not_found() => return Err(status),
            _ => {}
        }
    }
    list::respond_page(scope, page).await
}
