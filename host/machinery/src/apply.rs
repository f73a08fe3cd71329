//! Server-side apply and field ownership (`metadata.managedFields`; KEP-555).
//!
//! The work is in three parts: [`set`] has sets of paths, [`typed`] looks at objects through their types (which paths one
//! has, how two differ, how they merge), and [`managed`] reads and writes the owners. This module has the rules: who may
//! change what, and who owns it afterwards.

mod managed;
mod partial;
pub mod scale;
mod set;
mod typed;
mod versions;

pub use versions::Versions;

pub use partial::{PartialError, merge_in};

use crate::Status;
use crate::object;
use crate::schema::SchemaRef;
use crate::status::{Cause, StatusDetails};
use jiff::Timestamp;
use managed::{Entry, Managed, Manager, describe};
use serde_json::Value;
use set::Set;
use versions::Comparisons;

/// Who writes, and as what.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a> {
    /// The manager's name: `fieldManager=`, or what the User-Agent says before its first `/`.
    pub manager: &'a str,
    /// The subresource written through; empty for the object itself.
    pub subresource: &'a str,
    /// The version of the request's object, such as `apps/v1`.
    pub api_version: &'a str,
    /// The object's type.
    pub schema: &'a SchemaRef,
    /// Fields that this endpoint does not write (`status` on the main resource, all but `status` on the status
    /// subresource), as paths of object keys: they are never owned through it.
    pub reset_fields: &'a [&'a [&'a str]],
    /// The time of the write.
    pub now: Timestamp,
    /// The other versions of the kind, where they may have other fields.
    pub versions: Option<&'a dyn Versions>,
}

/// The annotation in which `kubectl apply` without the server keeps what it applied last.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// The manager whose first server-side apply takes over from that annotation without conflicts.
const KUBECTL: &str = "kubectl";

/// What is never owned: the server's own fields, and those that say which object it is.
const STRIPPED: &[&[&str]] = &[
    &["apiVersion"],
    &["kind"],
    &["metadata", "name"],
    &["metadata", "namespace"],
    &["metadata", "creationTimestamp"],
    &["metadata", "selfLink"],
    &["metadata", "uid"],
    &["metadata", "clusterName"],
    &["metadata", "generation"],
    &["metadata", "managedFields"],
    &["metadata", "resourceVersion"],
];

fn strip(set: &mut Set, writer: &Writer<'_>) {
    for path in STRIPPED.iter().chain(writer.reset_fields) {
        set.subtract_below(path);
    }
    if let Some(metadata) = set.below.get_mut("f:metadata") {
        metadata.here = false;
        if metadata.is_empty() {
            set.below.remove("f:metadata");
        }
    }
}

fn without_managed_fields(value: &Value) -> Value {
    let mut value = value.clone();
    object::remove_at(&mut value, &["metadata", "managedFields"]);
    value
}

/// Applies a configuration: merges it into the live object (an object with nothing but its identity if it is to be
/// created), removes what this manager applied before and does not any more, and keeps the owners up to date. With
/// `force`, fields of other managers are taken over; without it they are a 409 with a cause for each.
pub fn apply(live: &Value, configuration: &Value, force: bool, writer: &Writer<'_>) -> Result<Value, Status> {
    check_configuration(configuration, writer)?;
    let exists = !object::uid(live).is_empty();
    let mut managed = Managed::decode(live).unwrap_or_default();
    let live = without_managed_fields(live);
    if managed.0.is_empty() && exists {
        // Whoever wrote the object before anyone applied keeps what is in it, under a name of its own.
        let before = Writer { manager: "before-first-apply", ..*writer };
        record(&mut managed, &typed::blank(writer.schema, 0), &live, &before);
    }
    match try_apply(&live, configuration, managed.clone(), force, writer) {
        Err(conflicts) if writer.manager == KUBECTL && may_take_over(&live, &conflicts.fields, writer) => {
            try_apply(&live, configuration, managed, true, writer).map_err(|conflicts| conflicts.status)
        }
        result => result.map_err(|conflicts| conflicts.status),
    }
}

fn check_configuration(configuration: &Value, writer: &Writer<'_>) -> Result<(), Status> {
    let version = object::api_version(configuration);
    if version != writer.api_version {
        return Err(Status::bad_request(format!(
            "Incorrect version specified in apply patch. Specified patch version: {version}, expected: {}",
            writer.api_version
        )));
    }
    if object::meta(configuration).and_then(|meta| meta.get("managedFields")).is_some_and(|fields| !fields.is_null()) {
        return Err(Status::bad_request("metadata.managedFields must be nil"));
    }
    let mut errors = Vec::new();
    typed::check(configuration, Some(writer.schema), "", &mut errors);
    if errors.is_empty() {
        return Ok(());
    }
    let why = joined(&errors);
    let (group, version) = crate::definition::split_api_version(version);
    // The reference does not translate this error, so clients see a 500 without a reason.
    Err(Status::failure(
        500,
        "",
        format!(
            "failed to create typed patch object ({}/{}; {group}/{version}, Kind={}): {why}",
            object::namespace(configuration),
            object::name(configuration),
            object::kind(configuration)
        ),
    ))
}

/// Errors of a type's check as one text.
fn joined(errors: &[String]) -> String {
    match errors {
        [one] => one.clone(),
        many => format!("errors:\n{}", many.iter().map(|error| format!("  {error}")).collect::<Vec<_>>().join("\n")),
    }
}

/// A refusal, with the fields that it is about.
struct Conflicts {
    status: Status,
    fields: Set,
}

fn try_apply(
    live: &Value,
    configuration: &Value,
    mut managed: Managed,
    force: bool,
    writer: &Writer<'_>,
) -> Result<Value, Box<Conflicts>> {
    let me = Manager::of(writer, true);
    let mut mine = typed::field_set(configuration, Some(writer.schema));
    for path in writer.reset_fields {
        mine.subtract_below(path);
    }
    let merged = typed::merge(live, configuration, Some(writer.schema), "");
    let before = managed.0.remove(&me);
    let entry = Entry {
        set: mine,
        api_version: writer.api_version.to_owned(),
        time: before.as_ref().and_then(|entry| entry.time.clone()),
    };
    managed.0.insert(me.clone(), entry);
    let mut result = merged;
    if let Some(before) = &before {
        versions::prune(&mut result, &before.set, &before.api_version, &managed, writer);
    }
    keep_identity(live, &mut result);

    let mut comparisons = Comparisons::new(live, &result, writer);
    managed.0.retain(|manager, entry| *manager == me || comparisons.of(&entry.api_version).is_some());
    let mut conflicts: Vec<(&Manager, &Entry, Set)> = Vec::new();
    for (manager, entry) in managed.0.iter().filter(|(manager, _)| **manager != me) {
        let Some(comparison) = comparisons.of(&entry.api_version) else { continue };
        let both = entry.set.intersection(&comparison.written);
        if !both.is_empty() {
            conflicts.push((manager, entry, both));
        }
    }
    if !force && !conflicts.is_empty() {
        return Err(Box::new(refuse(&conflicts)));
    }
    let taken: Vec<(Manager, Set)> = conflicts.into_iter().map(|(manager, _, set)| (manager.clone(), set)).collect();
    for (manager, set) in taken {
        if let Some(entry) = managed.0.get_mut(&manager) {
            entry.set.subtract(&set);
        }
    }
    for (_, entry) in managed.0.iter_mut().filter(|(manager, _)| **manager != me) {
        if let Some(comparison) = comparisons.of(&entry.api_version) {
            entry.set.subtract(&comparison.removed);
        }
    }
    let changed = result != *live;
    if let Some(entry) = managed.0.get_mut(&me) {
        strip(&mut entry.set, writer);
        if changed {
            entry.time = Some(object::rfc3339(writer.now));
        }
    }
    if writer.manager == KUBECTL && writer.subresource.is_empty() {
        renew_last_applied(&mut result, configuration);
    }
    managed.encode(&mut result);
    Ok(result)
}

/// Applying never takes away what says which object this is.
fn keep_identity(live: &Value, result: &mut Value) {
    for path in STRIPPED {
        if object::get_at(result, path).is_none()
            && let Some(value) = object::get_at(live, path)
        {
            object::set_at(result, path, value.clone());
        }
    }
}

fn refuse(conflicts: &[(&Manager, &Entry, Set)]) -> Conflicts {
    let (mut fields, mut causes, mut groups) = (Set::default(), Vec::new(), Vec::new());
    for (manager, entry, set) in conflicts {
        fields.unite((*set).clone());
        let name = describe(manager, entry);
        let paths = set.paths();
        for path in &paths {
            causes.push(Cause {
                reason: "FieldManagerConflict".to_owned(),
                message: format!("conflict with {name}"),
                field: path.clone(),
            });
        }
        let paths: Vec<String> = paths.iter().map(|path| format!("- {path}")).collect();
        groups.push(format!("conflicts with {name}:\n{}", paths.join("\n")));
    }
    let message = match causes.as_slice() {
        [only] => format!("Apply failed with 1 conflict: {}: {}", only.message, only.field),
        many => format!("Apply failed with {} conflicts: {}", many.len(), groups.join("\n")),
    };
    let details = StatusDetails { causes, ..StatusDetails::default() };
    Conflicts { status: Status::failure(409, "Conflict", message).with_details(details), fields }
}

/// Whether the fields in conflict are all ones that `kubectl apply` without the server owned, by its annotation, with
/// the values that they still have.
fn may_take_over(live: &Value, fields: &Set, writer: &Writer<'_>) -> bool {
    let Some(last) = object::annotation(live, LAST_APPLIED).and_then(|text| serde_json::from_str::<Value>(text).ok())
    else {
        return false;
    };
    let mut allowed = typed::field_set(&last, Some(writer.schema));
    let merged = typed::merge(live, &last, Some(writer.schema), "");
    allowed.subtract(&typed::compare(live, &merged, writer.schema).written);
    // The annotation itself is part of what that way of applying wrote.
    allowed.insert(&["f:metadata".to_owned(), "f:annotations".to_owned(), format!("f:{LAST_APPLIED}")]);
    let mut rest = fields.clone();
    rest.subtract(&allowed);
    rest.is_empty()
}

/// Where the annotation is there, it follows, so that both ways of applying can be mixed.
fn renew_last_applied(result: &mut Value, configuration: &Value) {
    if object::annotation(result, LAST_APPLIED).is_none() {
        return;
    }
    let mut applied = configuration.clone();
    object::remove_at(&mut applied, &["metadata", "annotations", LAST_APPLIED]);
    object::set_at(result, &["metadata", "annotations", LAST_APPLIED], format!("{applied}\n"));
}

/// Brings the owners up to date after an ordinary write (create, update, patch): `new` is about to be stored over
/// `live`, and may carry the `managedFields` that the client sent (an empty list resets them). A failure to understand
/// them never fails the write.
pub fn track_update(live: Option<&Value>, new: &mut Value, writer: &Writer<'_>) {
    let stored = || live.and_then(Managed::decode);
    // Owners cannot be set through a subresource. A client that does not know of owners sends none, and that must not
    // make the server forget them.
    let mut managed = if !writer.subresource.is_empty() {
        stored().unwrap_or_default()
    } else if Managed::is_reset(new) {
        Managed::default()
    } else {
        Managed::decode(new).or_else(stored).unwrap_or_default()
    };
    object::remove_at(new, &["metadata", "managedFields"]);
    match live {
        // An object whose owners nobody tracks stays so until someone applies.
        Some(_) if managed.0.is_empty() => {}
        Some(live) => record(&mut managed, live, new, writer),
        None => record(&mut managed, &typed::blank(writer.schema, 0), new, writer),
    }
    managed.encode(new);
}

/// Gives the writer what the write changed, and takes it from everyone else.
fn record(managed: &mut Managed, live: &Value, new: &Value, writer: &Writer<'_>) {
    let mut comparisons = Comparisons::new(live, new, writer);
    managed.0.retain(|_, entry| match comparisons.of(&entry.api_version) {
        Some(comparison) => {
            entry.set.subtract(&comparison.written);
            entry.set.subtract(&comparison.removed);
            true
        }
        None => false,
    });
    let mut comparison = comparisons.own;
    strip(&mut comparison.written, writer);
    if !comparison.written.is_empty() {
        let blank = Entry { set: Set::default(), api_version: writer.api_version.to_owned(), time: None };
        let entry = managed.0.entry(Manager::of(writer, false)).or_insert(blank);
        entry.set.unite(comparison.written);
        entry.time = Some(object::rfc3339(writer.now));
    }
}

#[cfg(test)]
mod tests;
