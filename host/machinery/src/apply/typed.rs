//! Objects seen through their types: which paths they have, how two of them differ, and how they merge.

use super::set::Set;
use crate::schema::{Emit, Field, ListShape, ListType, Schema, SchemaRef, Shape};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet};

/// How the parts of a value are owned.
#[derive(Clone, Copy)]
pub(super) enum Grain<'s> {
    /// As a whole.
    Leaf,
    /// An object of known fields, each on its own.
    Struct(&'s SchemaRef),
    /// A map, each key on its own; the type of its values if known.
    Map(Option<&'s SchemaRef>),
    /// A list, each item on its own.
    List(&'s ListShape),
}

/// The fields whose maps are one value in the API (`+mapType=atomic`): selectors are replaced, not merged. That is so of
/// built-in types, which all have a name in the reference's language; a definition of custom resources says it of any
/// map, and such a map has no shape of a map here.
fn is_atomic_map(schema: Option<&SchemaRef>, name: &str) -> bool {
    matches!(name, "selector" | "nodeSelector") && schema.is_some_and(|schema| !schema.go_type.is_empty())
}

/// How a value of this type is owned. Values without a type are owned key by key, their lists as a whole.
pub(super) fn grain<'s>(schema: Option<&'s SchemaRef>, field: &str, value: &Value) -> Grain<'s> {
    match schema.map(|schema| &schema.shape) {
        Some(Shape::Object(object)) if object.atomic => Grain::Leaf,
        Some(Shape::Object(object)) if object.fields().is_empty() => Grain::Map(None),
        Some(Shape::Object(_)) => schema.map_or(Grain::Leaf, Grain::Struct),
        Some(Shape::Map(_)) if is_atomic_map(schema, field) => Grain::Leaf,
        Some(Shape::Map(values)) => Grain::Map(Some(values)),
        Some(Shape::List(list)) if list.list_type != ListType::Atomic => Grain::List(list),
        Some(Shape::Any) | None if value.is_object() => Grain::Map(None),
        _ => Grain::Leaf,
    }
}

/// The type of a member, and whether it is a declared field (and not a key of a map).
pub(super) fn member<'s>(grain: Grain<'s>, key: &str) -> (Option<&'s SchemaRef>, bool) {
    match grain {
        Grain::Struct(schema) => match schema.field(key) {
            Some(field) => (Some(&field.schema), true),
            None => (None, false),
        },
        Grain::Map(values) => (values, false),
        _ => (None, false),
    }
}

/// What tells an item of a list apart, as a step. A key that the item leaves out counts with its default.
pub(super) fn item_step(list: &ListShape, item: &Value) -> Result<String, String> {
    if list.list_type == ListType::Set {
        return Ok(format!("v:{item}"));
    }
    let mut keys = Map::new();
    for key in &list.map_keys {
        let default = || list.items.field(key).and_then(|field: &Field| field.default.clone());
        match item.get(&**key).cloned().or_else(default) {
            Some(value) => {
                keys.insert(key.to_string(), value);
            }
            None => {
                let why = "associative list with keys has an element that omits key field";
                return Err(format!("{why} {:?} (and doesn't have default value)", &**key));
            }
        }
    }
    Ok(format!("k:{}", Value::Object(keys)))
}

/// The steps and items of a list; the first of several with the same step, since live objects may have duplicates.
pub(super) fn items<'v>(list: &ListShape, value: &'v Value) -> Vec<(String, &'v Value)> {
    let mut seen = HashMap::new();
    let mut result = Vec::new();
    for item in value.as_array().into_iter().flatten() {
        if let Ok(step) = item_step(list, item)
            && seen.insert(step.clone(), ()).is_none()
        {
            result.push((step, item));
        }
    }
    result
}

/// Whether there is nothing in the value: null, or an object or list without members.
fn is_bare(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// Checks a configuration against its type; the texts are the reference's.
pub(super) fn check(value: &Value, schema: Option<&SchemaRef>, path: &str, errors: &mut Vec<String>) {
    let Some(schema) = schema.filter(|_| !value.is_null()) else { return };
    let expected = match (&schema.shape, value) {
        (Shape::Object(_) | Shape::Map(_), Value::Object(members)) => {
            let known = !matches!(&schema.shape, Shape::Object(object) if object.preserve_unknown || object.fields().is_empty());
            for (key, value) in members {
                let at = format!("{path}.{key}");
                match Schema::child(schema, key) {
                    Some(child) => check(value, Some(child), &at, errors),
                    None if known => errors.push(format!("{at}: field not declared in schema")),
                    None => {}
                }
            }
            return;
        }
        (Shape::List(list), Value::Array(list_items)) => {
            let mut seen = HashMap::new();
            for (index, item) in list_items.iter().enumerate() {
                let step = match list.list_type {
                    ListType::Atomic => Ok(format!("i:{index}")),
                    _ => item_step(list, item),
                };
                match step {
                    Ok(step) => {
                        let at = format!("{path}{}", super::set::step_text(&step));
                        check(item, Some(&list.items), &at, errors);
                        if seen.insert(step.clone(), ()).is_some() {
                            let what = super::set::step_text(&step);
                            errors.push(format!("{path}: duplicate entries for key {what}"));
                        }
                    }
                    Err(why) => errors.push(format!("{path}: element {index}: {why}")),
                }
            }
            return;
        }
        (Shape::Object(_) | Shape::Map(_), _) => "map",
        (Shape::List(_), _) => "list",
        (Shape::String | Shape::Bytes | Shape::Time | Shape::MicroTime | Shape::Duration, value)
            if !value.is_string() =>
        {
            "string"
        }
        (Shape::Bool, value) if !value.is_boolean() => "boolean",
        (Shape::Int32 | Shape::Int64 | Shape::Number, value) if !value.is_number() => "numeric (int or float)",
        (Shape::Quantity | Shape::IntOrString, Value::Object(_) | Value::Array(_)) => "any scalar",
        _ => return,
    };
    let found = match (expected, value) {
        // Each check of the reference has its own way to show what it found.
        ("string", value) => format!("&value.valueUnstructured{{Value:{}}}", go_syntax(value)),
        ("numeric (int or float)", Value::String(_)) => "string".to_owned(),
        ("numeric (int or float)", Value::Bool(_)) => "bool".to_owned(),
        ("numeric (int or float)", Value::Array(_)) => "[]interface {}".to_owned(),
        ("numeric (int or float)", Value::Object(_)) => "map[string]interface {}".to_owned(),
        (_, value) => format!("&{{{}}}", crate::patch::go_text(value)),
    };
    errors.push(format!("{path}: expected {expected}, got {found}"));
}

/// A value as the reference's language writes it down.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Array(items) => {
            format!("[]interface {{}}{{{}}}", items.iter().map(go_syntax).collect::<Vec<_>>().join(", "))
        }
        Value::Object(members) => {
            let members: Vec<String> =
                members.iter().map(|(key, value)| format!("{key:?}:{}", go_syntax(value))).collect();
            format!("map[string]interface {{}}{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}

/// The paths that a configuration has, and so claims.
pub(super) fn field_set(value: &Value, schema: Option<&SchemaRef>) -> Set {
    let mut set = Set::default();
    collect(value, schema, "", &mut set);
    set
}

fn collect(value: &Value, schema: Option<&SchemaRef>, field: &str, set: &mut Set) {
    let grain = grain(schema, field, value);
    match (grain, value) {
        (Grain::Struct(_) | Grain::Map(_), Value::Object(members)) => {
            for (key, value) in members {
                let (child, declared) = member(grain, key);
                let below = set.below.entry(format!("f:{key}")).or_default();
                collect(value, child, key, below);
                below.here |= is_bare(value) || !declared;
            }
        }
        (Grain::List(list), Value::Array(_)) => {
            for (step, item) in items(list, value) {
                let below = set.below.entry(step).or_default();
                collect(item, Some(&list.items), "", below);
                below.here = true;
            }
        }
        (Grain::Struct(_) | Grain::Map(_) | Grain::List(_), _) => {}
        (Grain::Leaf, _) => set.here = true,
    }
    set.below.retain(|_, below| !below.is_empty());
}

/// How a write changed an object.
#[derive(Default)]
pub(super) struct Comparison {
    /// Paths that are new, or have a new value.
    pub written: Set,
    /// Paths that are gone.
    pub removed: Set,
}

/// Compares two objects of one type.
pub(super) fn compare(old: &Value, new: &Value, schema: &SchemaRef) -> Comparison {
    let mut comparison = Comparison::default();
    let mut path = Vec::new();
    differ(Some(old), Some(new), Some(schema), "", &mut path, &mut comparison);
    comparison
}

fn differ(
    old: Option<&Value>,
    new: Option<&Value>,
    schema: Option<&SchemaRef>,
    field: &str,
    path: &mut Vec<String>,
    out: &mut Comparison,
) {
    // What did not change, which is most of an object, needs no walk.
    if old == new {
        return;
    }
    let shown = new.or(old).unwrap_or(&Value::Null);
    let grain = grain(schema, field, shown);
    let empty =
        |value: Option<&Value>| value.is_none_or(|value| is_bare(value) || value.as_array().is_some_and(Vec::is_empty));
    let leaf = matches!(grain, Grain::Leaf) || (empty(old) && empty(new));
    match (old, new) {
        (None, Some(_)) => out.written.insert(path),
        (Some(_), None) => out.removed.insert(path),
        _ if leaf => out.written.insert(path),
        _ => {}
    }
    if leaf {
        return;
    }
    let no_members = Map::new();
    match grain {
        Grain::Struct(_) | Grain::Map(_) => {
            let (before, after) = (old.and_then(Value::as_object), new.and_then(Value::as_object));
            let (before, after) = (before.unwrap_or(&no_members), after.unwrap_or(&no_members));
            let gone = before.keys().filter(|key| !after.contains_key(*key));
            // Nobody owns the list of owners.
            let metadata = path.len() == 1 && path.first().is_some_and(|step| step == "f:metadata");
            for key in after.keys().chain(gone).filter(|key| !(metadata && *key == "managedFields")) {
                path.push(format!("f:{key}"));
                // A struct that the reference holds by value is there even if the stored text leaves it out.
                let held = if old.is_some() && !before.contains_key(key) { by_value(grain, key) } else { None };
                let before = before.get(key).or(held.as_ref());
                differ(before, after.get(key), member(grain, key).0, key, path, out);
                path.pop();
            }
        }
        Grain::List(list) => {
            let before: BTreeMap<String, &Value> =
                old.map(|old| items(list, old)).unwrap_or_default().into_iter().collect();
            let after: BTreeMap<String, &Value> =
                new.map(|new| items(list, new)).unwrap_or_default().into_iter().collect();
            let gone = before.keys().filter(|step| !after.contains_key(*step));
            for step in after.keys().chain(gone) {
                path.push(step.clone());
                differ(before.get(step).copied(), after.get(step).copied(), Some(&list.items), "", path, out);
                path.pop();
            }
        }
        Grain::Leaf => {}
    }
}

/// Merges a configuration into a live value: what it names takes its value, all else stays.
pub(super) fn merge(live: &Value, applied: &Value, schema: Option<&SchemaRef>, field: &str) -> Value {
    let grain = grain(schema, field, applied);
    match (grain, live, applied) {
        (Grain::Struct(_) | Grain::Map(_), Value::Object(live), Value::Object(applied)) => {
            let mut result = live.clone();
            for (key, value) in applied {
                let child = member(grain, key).0;
                let merged = live.get(key).map_or_else(|| value.clone(), |live| merge(live, value, child, key));
                result.insert(key.clone(), merged);
            }
            Value::Object(result)
        }
        (Grain::List(list), Value::Array(_), Value::Array(_)) => merge_list(list, live, applied),
        _ => applied.clone(),
    }
}

/// The items of both: the configuration's in its order, and between them the live object's own where they were. An own item
/// that stands before the next shared one goes before what the configuration adds there.
fn merge_list(list: &ListShape, live: &Value, applied: &Value) -> Value {
    let all = live.as_array().into_iter().flatten();
    let live: Vec<(String, &Value)> = all.filter_map(|item| Some((item_step(list, item).ok()?, item))).collect();
    let applied = items(list, applied);
    // An item that is in the live list twice is replaced and not merged.
    let mut places: HashMap<&str, Option<usize>> = HashMap::new();
    for (place, (step, _)) in live.iter().enumerate() {
        places.entry(step.as_str()).and_modify(|known| *known = None).or_insert(Some(place));
    }
    let named: HashSet<&str> = applied.iter().map(|(step, _)| step.as_str()).collect();
    let mut shared = applied.iter().map(|(step, _)| step.as_str()).filter(|step| places.contains_key(step)).peekable();
    let mut merged: HashSet<&str> = HashSet::new();
    let mut result = Vec::with_capacity(live.len() + applied.len());
    let (mut own, mut given) = (live.iter().peekable(), applied.iter().peekable());
    loop {
        if let Some((step, item)) = own.peek() {
            if !named.contains(step.as_str()) {
                result.push((*item).clone());
                own.next();
                continue;
            }
            let next_given = given.peek().is_some_and(|(given, _)| given == step);
            let passed = merged.contains(step.as_str());
            // A shared item waits for its turn; one that is out of its turn comes where the configuration has it.
            if passed || !next_given && given.peek().is_some() && shared.peek().is_some_and(|next| next != step) {
                own.next();
                continue;
            }
            if next_given {
                own.next();
            }
        }
        let Some((step, value)) = given.next() else { break };
        let old = places.get(step.as_str()).copied().flatten().and_then(|place| live.get(place));
        result.push(old.map_or_else(|| (*value).clone(), |(_, old)| merge(old, value, Some(&list.items), "")));
        merged.insert(step.as_str());
        if shared.peek().is_some_and(|next| next == step) {
            shared.next();
        }
    }
    Value::Array(result)
}

/// Takes out of a value what the applier named last time (`last`) and nobody names now (`kept`).
pub(super) fn prune(value: &mut Value, last: &Set, kept: &Set, schema: Option<&SchemaRef>, field: &str) {
    let grain = grain(schema, field, value);
    for (step, last) in &last.below {
        let owned = kept.below.get(step).filter(|kept| !kept.is_empty());
        match (grain, &mut *value) {
            (Grain::Struct(_) | Grain::Map(_), Value::Object(members)) => {
                let key = step.strip_prefix("f:").unwrap_or(step);
                let (child, declared) = member(grain, key);
                match (owned, members.get_mut(key)) {
                    (Some(kept), Some(value)) => prune(value, last, kept, child, key),
                    (None, Some(_)) if last.here || declared => {
                        members.remove(key);
                    }
                    (None, Some(value)) => prune(value, last, &Set::default(), child, key),
                    (_, None) => {}
                }
            }
            (Grain::List(list), Value::Array(entries)) => {
                let at = entries.iter().position(|item| item_step(list, item).is_ok_and(|found| found == *step));
                match (owned, at) {
                    (Some(kept), Some(at)) => {
                        if let Some(item) = entries.get_mut(at) {
                            prune(item, last, kept, Some(&list.items), "");
                        }
                    }
                    (None, Some(at)) if last.here => {
                        entries.remove(at);
                    }
                    (None, Some(at)) => {
                        if let Some(item) = entries.get_mut(at) {
                            prune(item, last, &Set::default(), Some(&list.items), "");
                        }
                    }
                    (_, None) => {}
                }
            }
            _ => {}
        }
    }
}

/// What the reference's type has before anything is set: the structs that it holds by value, such as `spec`, and the zero
/// values that it always writes. They are there from the start, so nobody adds them and nobody owns them as such.
pub(super) fn blank(schema: &SchemaRef, depth: usize) -> Value {
    let mut members = Map::new();
    // Types may contain themselves, though never by value; the bound costs nothing and makes sure.
    if depth < 16 {
        for field in schema.fields() {
            if is_by_value(field) {
                members.insert(field.name.to_string(), blank(&field.schema, depth + 1));
            } else if field.emit == Emit::Always {
                members.extend(zero(field).map(|value| (field.name.to_string(), value)));
            }
        }
    }
    Value::Object(members)
}

/// What a member that is always written is before it is set; none where that says nothing.
fn zero(field: &Field) -> Option<Value> {
    match field.schema.shape {
        Shape::List(_) | Shape::Map(_) | Shape::Time | Shape::MicroTime => Some(Value::Null),
        _ if field.go_pointer => None,
        Shape::String => Some("".into()),
        Shape::Bool => Some(false.into()),
        Shape::Int32 | Shape::Int64 => Some(0.into()),
        _ => None,
    }
}

fn is_by_value(field: &Field) -> bool {
    field.emit == Emit::Always && !field.go_pointer && matches!(field.schema.shape, Shape::Object(_))
}

/// What a member is before anything is set, if it is such a struct.
fn by_value(grain: Grain<'_>, key: &str) -> Option<Value> {
    let Grain::Struct(schema) = grain else { return None };
    schema.field(key).filter(|field| is_by_value(field)).map(|field| blank(&field.schema, 0))
}
