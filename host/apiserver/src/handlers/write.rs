//! The write path: admission, the kind's own rules, validation, encoding, and the store with compare-and-swap.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use portcullis_machinery::status::{Cause, StatusDetails};
use portcullis_machinery::{Status, Value, codec, defaults, object};
use portcullis_storage::{Expect, StoreError};
use uuid::Uuid;

use super::options::WriteOptions;
use super::scope::{cache_of, store_error};
use super::stored::Stored;
use super::{Scope, names};
use crate::admission::reinvocation::Reinvocation;
use crate::admission::{AdmissionAttributes, Operation, classes, limits, nodes, quota, signing};
use crate::context::RequestInfo;
use crate::customresources::conversion;
use crate::{explain, expressions, policies, strategy, webhooks};

const ATTEMPTS_TO_NAME: usize = 8;

/// How long an object is kept: events end after `--event-ttl`.
pub fn time_to_live(scope: &Scope) -> Option<Duration> {
    (scope.definition.kind == "Event").then_some(scope.server.config.event_ttl)
}

/// Refuses new content in a namespace that is missing or ending.
///
/// # Errors
/// 404 or 403.
pub async fn check_namespace(scope: &Scope, operation: Operation, name: &str) -> Result<(), Status> {
    if !scope.definition.namespaced || scope.namespace.is_empty() {
        return Ok(());
    }
    let registry = scope.server.registry.load_full();
    let Some(definition) = registry.resource("", "v1", "namespaces") else { return Ok(()) };
    let cache = cache_of(&scope.server, definition);
    let found = cache.get(&definition.key("", &scope.namespace), None).await.map_err(|error| store_error(&error))?;
    let Some(namespace) = found else {
        return Err(Status::not_found("", "namespaces", &scope.namespace));
    };
    if operation != Operation::Create {
        return Ok(());
    }
    let namespace = namespace.value();
    if object::str_at(&namespace, &["status", "phase"]) != Some("Terminating") {
        return Ok(());
    }
    let why = format!("unable to create new content in namespace {} because it is being terminated", scope.namespace);
    let mut status = Status::forbidden(scope.group(), scope.resource(), name, &why);
    let details = status.details.get_or_insert_with(StatusDetails::default);
    details.causes.push(Cause {
        reason: "NamespaceTerminating".into(),
        message: format!("namespace {} is being terminated", scope.namespace),
        field: "metadata.namespace".into(),
    });
    Err(status)
}

/// Steps 6 and 7.
///
/// # Errors
/// Whatever a validator answers.
pub async fn validate(scope: &Scope, attributes: &AdmissionAttributes, object: &Arc<Value>) -> Result<(), Status> {
    validate_object(scope, attributes, object).await?;
    signing::check(scope, attributes, object)?;
    limits::check(scope, attributes, object)?;
    classes::check(scope, attributes, object)?;
    admit(scope, attributes, object).await?;
    // Last, so that what is refused is not charged.
    explain::host(&scope.cx, "validator", "quotas", quota::charge(scope, attributes, object)).await
}

/// Step 6: whether the object is well formed.
///
/// # Errors
/// 422.
pub async fn validate_object(
    scope: &Scope,
    attributes: &AdmissionAttributes,
    object: &Arc<Value>,
) -> Result<(), Status> {
    strategy::check(scope, object)?;
    crate::customresources::validate::check(scope, attributes, object)?;
    let checked = scope.server.admission.validate_object(&scope.cx, attributes, object).await;
    expressions::check(scope, attributes, object, checked)
}

/// Step 7 as far as it is for others to decide: the policies, the components, the webhooks.
///
/// # Errors
/// Whatever a validator answers.
pub async fn admit(scope: &Scope, attributes: &AdmissionAttributes, object: &Arc<Value>) -> Result<(), Status> {
    let cx = &scope.cx;
    let policies = policies::check(&scope.server, cx, attributes, object);
    explain::host(cx, "validator", "ValidatingAdmissionPolicies", policies).await?;
    scope.server.admission.validate(cx, attributes, object).await?;
    explain::host(cx, "validator", "validating webhooks", webhooks::validate(scope, attributes, object)).await
}

/// Step 4, and the normal form afterwards.
///
/// # Errors
/// Whatever a mutator answers.
pub async fn mutate(scope: &Scope, attributes: &AdmissionAttributes, object: &mut Value) -> Result<(), Status> {
    nodes::check(scope, attributes, object)?;
    let mut rounds = Reinvocation::default();
    mutate_once(scope, attributes, object, &mut rounds).await?;
    if rounds.go_on() {
        mutate_once(scope, attributes, object, &mut rounds).await?;
    }
    Ok(())
}

/// One round of mutation: what the host fills in, the components, the policies, the webhooks.
async fn mutate_once(
    scope: &Scope,
    attributes: &AdmissionAttributes,
    object: &mut Value,
    rounds: &mut Reinvocation,
) -> Result<(), Status> {
    if attributes.operation == Operation::Create {
        limits::fill_in(scope, attributes, object);
        classes::fill_in(scope, attributes, object);
    }
    scope.server.admission.mutate(&scope.cx, attributes, object).await?;
    normalise(scope, object);
    let policies = policies::mutate(scope, attributes, object, rounds);
    explain::host(&scope.cx, "mutator", "MutatingAdmissionPolicies", policies).await?;
    explain::host(&scope.cx, "mutator", "mutating webhooks", webhooks::mutate(scope, attributes, object, rounds)).await
}

/// Brings the object into its type's form and fills in defaults.
pub fn normalise(scope: &Scope, object: &mut Value) {
    if codec::conform(object, &scope.definition.schema).is_ok() {
        defaults::apply_defaults(&scope.definition, object);
    }
}

/// Leaves out owner references that are there twice, and says so.
pub fn dedup_owners(scope: &Scope, object: &mut Value) {
    let Some(Value::Array(owners)) = object::meta_mut(object).get_mut("ownerReferences") else { return };
    let mut kept: Vec<Value> = Vec::with_capacity(owners.len());
    let mut doubled = Vec::new();
    for owner in std::mem::take(owners) {
        if kept.contains(&owner) {
            doubled.push(owner.get("uid").and_then(Value::as_str).unwrap_or("").to_owned());
        } else {
            kept.push(owner);
        }
    }
    *owners = kept;
    if !doubled.is_empty() {
        scope.cx.warn(format!(
            ".metadata.ownerReferences contains duplicate entries; API server dedups owner references in 1.20+, and \
             may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            doubled.join(", ")
        ));
    }
}

/// Asks whether the user may do `verb` with the object, for writes that become another verb on the way.
///
/// # Errors
/// 403.
pub fn authorize(scope: &Scope, verb: &str) -> Result<(), Status> {
    let info = RequestInfo { verb: verb.to_owned(), ..scope.cx.info.clone() };
    scope.server.authorizer.require(&scope.cx.user, &info)
}

/// Stores a new object and returns it as stored. `object` is decoded and has its type's form.
///
/// # Errors
/// 409 if the name is taken; whatever admission and validation answer.
pub async fn create(
    scope: &Scope,
    mut object: Value,
    options: &WriteOptions,
    options_value: Value,
) -> Result<Stored, Status> {
    let meta = object::meta_mut(&mut object);
    for field in ["creationTimestamp", "uid", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"] {
        meta.remove(field);
    }
    let namespace = if scope.definition.namespaced { scope.namespace.as_str() } else { "" };
    names::fit_namespace(&mut object, namespace)?;
    dedup_owners(scope, &mut object);
    let unlabelled = object::labels(&object).next().is_none();
    defaults::apply_defaults(&scope.definition, &mut object);
    if !options.applying {
        crate::ownership::track_in_versions(scope, None, &mut object, options).await?;
    }
    let name = object::name(&object).to_owned();
    check_namespace(scope, Operation::Create, &name).await?;
    let mut attributes = scope.attributes(Operation::Create, &name, options.dry_run, options_value);
    mutate(scope, &attributes, &mut object).await?;
    dedup_owners(scope, &mut object);
    let generated = object::name(&object).is_empty() && !object::generate_name(&object).is_empty();
    let mut attempt = 0;
    loop {
        attempt += 1;
        // Another attempt is made only for a generated name.
        let mut object = if generated { object.clone() } else { std::mem::take(&mut object) };
        let meta = object::meta_mut(&mut object);
        meta.insert("uid".into(), Uuid::new_v4().to_string().into());
        meta.insert("creationTimestamp".into(), object::rfc3339(Timestamp::now()).into());
        if generated {
            let name = names::generate(object::generate_name(&object));
            object::meta_mut(&mut object).insert("name".into(), name.into());
            defaults::apply_defaults(&scope.definition, &mut object);
        }
        attributes.set_name(object::name(&object));
        match create_once(scope, object, unlabelled || options.applying, options, &attributes).await {
            Err(status) if generated && status.reason == "AlreadyExists" && attempt < ATTEMPTS_TO_NAME => {}
            other => return other,
        }
    }
}

async fn create_once(
    scope: &Scope,
    mut object: Value,
    labels_by_default: bool,
    options: &WriteOptions,
    attributes: &AdmissionAttributes,
) -> Result<Stored, Status> {
    let definition = &scope.definition;
    // The generation of a CSIDriver begins with its first change.
    if definition.generation && definition.kind != "CSIDriver" {
        object::meta_mut(&mut object).insert("generation".into(), 1.into());
    }
    strategy::prepare_for_create(scope, &mut object, labels_by_default)?;
    let claim = strategy::begin_create(scope, &mut object, options.dry_run).await?;
    // Some objects get their names only here.
    let named = attributes.name.is_empty().then(|| object::name(&object).to_owned());
    let named = named.map(|name| AdmissionAttributes { name, ..attributes.clone() });
    let result = create_prepared(scope, object, options, named.as_ref().unwrap_or(attributes)).await;
    strategy::finish(scope, claim, result.is_ok() && !options.dry_run).await;
    result
}

async fn create_prepared(
    scope: &Scope,
    mut object: Value,
    options: &WriteOptions,
    attributes: &AdmissionAttributes,
) -> Result<Stored, Status> {
    let definition = &scope.definition;
    let _ = codec::conform(&mut object, &definition.schema);
    scope.server.authorizer.check_escalation(&scope.cx.user, &scope.cx.info, &object, None)?;
    let object = Arc::new(object);
    validate(scope, attributes, &object).await?;
    let object = attributes.release(object);
    let name = object::name(&object).to_owned();
    if name.is_empty() {
        return Err(Status::bad_request("Name parameter required."));
    }
    if let Some(why) = names::path_segment_error(&name) {
        return Err(Status::bad_request(format!("Name parameter invalid: {}: {why}", Value::from(name.as_str()))));
    }
    let key = definition.key(&scope.namespace, &name);
    let taken = || Status::already_exists(&definition.group, &definition.plural, &name);
    if options.dry_run {
        let there = scope.cache().get(&key, None).await.map_err(|error| store_error(&error))?;
        return if there.is_some() { Err(taken()) } else { Ok(object.into()) };
    }
    if !matches!(object::resource_version(&object), "" | "0") {
        return Err(Status::failure(500, "", "resourceVersion should not be set on objects to be created"));
    }
    let (bytes, answer) = conversion::to_store(scope, object).await?;
    let bytes = strategy::revision::with_text(bytes, scope.raw_data.as_deref());
    match scope.server.store.put(&key, bytes.clone(), Expect::Absent, time_to_live(scope)).await {
        Ok(revision) => Ok(Stored::at(scope, answer, &bytes, revision)),
        Err(StoreError::Conflict { current }) => {
            let ending = current.is_some_and(|kv| {
                serde_json::from_slice::<Value>(&kv.value).is_ok_and(|old| object::deletion_timestamp(&old).is_some())
            });
            let mut status = taken();
            if ending {
                status.message = format!("object is being deleted: {}", status.message);
            }
            Err(status)
        }
        Err(error) => Err(store_error(&error)),
    }
}
