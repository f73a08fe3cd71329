//! Strategic merge patch (API reference, "Notes on the strategic merge patch"): a merge patch that knows from the schema
//! which lists merge by a key, and that has directives for what a merge cannot say.

use super::go_text;
use super::merge::require_object;
use crate::Status;
use crate::schema::{Field, Schema, SchemaRef};
use serde_json::{Map, Value};
use std::collections::{HashMap, HashSet};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const ELEMENT_ORDER: &str = "$setElementOrder/";
const DELETE_PRIMITIVES: &str = "$deleteFromPrimitiveList/";

type Object = Map<String, Value>;
type List = Vec<Value>;

/// Applies a strategic merge patch, already decoded, to an object of the type `schema`. Errors: 400 for a patch that is
/// malformed, 500 where the reference answers so (an unknown directive).
pub fn strategic_merge(document: &Value, patch: &Value, schema: &SchemaRef) -> Result<Value, Status> {
    require_object(patch)?;
    let Value::Object(patch) = patch else { return Ok(document.clone()) };
    let original = document.as_object().cloned().unwrap_or_default();
    merge_map(original, patch.clone(), Some(schema)).map(Value::Object)
}

/// An error that the reference does not translate for clients: 500 without a reason.
fn failure(message: String) -> Status {
    Status::failure(500, "", message)
}

fn no_merge_key(item: &Value, key: &str) -> Status {
    failure(format!("map: {} does not contain declared merge key: {key}", go_text(item)))
}

fn field<'a>(schema: Option<&'a SchemaRef>, key: &str) -> Option<&'a Field> {
    schema.and_then(|schema| schema.field(key))
}

fn child<'a>(schema: Option<&'a SchemaRef>, key: &str) -> Option<&'a SchemaRef> {
    schema.and_then(|schema| Schema::child(schema, key))
}

fn merge_map(mut original: Object, mut patch: Object, schema: Option<&SchemaRef>) -> Result<Object, Status> {
    match patch.get(PATCH).map(|directive| directive.as_str().unwrap_or_default()) {
        None => {}
        Some("replace") => {
            patch.remove(PATCH);
            return Ok(patch);
        }
        Some("delete") => return Ok(Object::new()),
        Some(_) => return Err(unknown_directive(&Value::Object(patch))),
    }
    retain_keys(&mut original, &mut patch)?;
    let ordered: Vec<String> = patch.keys().filter(|key| key.starts_with(ELEMENT_ORDER)).cloned().collect();
    for key in ordered {
        let order = patch.remove(&key).unwrap_or_default();
        order_list(&mut original, &mut patch, key.trim_start_matches(ELEMENT_ORDER), &order, schema)?;
    }
    for (key, value) in patch {
        let (key, deletes) = match key.strip_prefix(DELETE_PRIMITIVES) {
            Some(key) => (key.to_owned(), true),
            None => (key, false),
        };
        if value.is_null() {
            original.remove(&key);
            continue;
        }
        let merged = match (original.remove(&key), value) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                Some(Value::Object(merge_map(old, new, child(schema, &key))?))
            }
            (Some(Value::Array(old)), Value::Array(new)) => {
                Some(Value::Array(merge_list(old, new, &key, schema, deletes)?))
            }
            (old, _) if deletes => old,
            (_, mut new) => {
                discard_nulls(&mut new);
                without_directives(new)
            }
        };
        if let Some(merged) = merged {
            original.insert(key, merged);
        }
    }
    Ok(original)
}

fn unknown_directive(map: &Value) -> Status {
    let directive = map.get(PATCH).map(go_text).unwrap_or_default();
    failure(format!("unknown patch type: {directive} in map: {}", go_text(map)))
}

/// `$retainKeys`: all other keys of the original go, and the patch may name no others.
fn retain_keys(original: &mut Object, patch: &mut Object) -> Result<(), Status> {
    let Some(keys) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let malformed = || Status::bad_request("invalid patch format of retainKeys");
    let Value::Array(keys) = keys else { return Err(malformed()) };
    let keys: HashSet<&str> = keys.iter().filter_map(Value::as_str).collect();
    let directive = |key: &str| key.starts_with(DELETE_PRIMITIVES) || key.starts_with(ELEMENT_ORDER);
    if patch.iter().any(|(key, value)| !value.is_null() && !directive(key) && !keys.contains(key.as_str())) {
        return Err(malformed());
    }
    original.retain(|key, _| keys.contains(key.as_str()));
    Ok(())
}

/// `$setElementOrder/<key>`: merges the list, if the patch has it, and puts it in the given order.
fn order_list(
    original: &mut Object,
    patch: &mut Object,
    key: &str,
    order: &Value,
    schema: Option<&SchemaRef>,
) -> Result<(), Status> {
    let malformed = |value: &Value| failure(format!("expected a slice, but received a {}", super::json_kind(value)));
    let Value::Array(order) = order else { return Err(malformed(order)) };
    let merge_key = merge_key(schema, key);
    let old = match original.remove(key) {
        Some(Value::Array(list)) => Some(list),
        None | Some(Value::Null) => None,
        Some(other) => return Err(malformed(&other)),
    };
    let new = match patch.remove(key) {
        Some(Value::Array(list)) => Some(list),
        None => None,
        Some(other) => return Err(malformed(&other)),
    };
    check_order(new.as_deref().unwrap_or_default(), order, merge_key.as_deref())?;
    let before = old.clone().unwrap_or_default();
    let merged = match (old, new) {
        (Some(old), Some(new)) => merge_list(old, new, key, schema, false)?,
        (Some(old), None) => old,
        (None, Some(new)) => new.into_iter().filter_map(without_directives).collect(),
        (None, None) => return Ok(()),
    };
    let merged = arrange(merged, order, &before, merge_key.as_deref())?;
    original.insert(key.to_owned(), Value::Array(merged));
    Ok(())
}

/// The items of the patch must come in the given order, each of them named in it.
fn check_order(patch: &[Value], order: &[Value], merge_key: Option<&str>) -> Result<(), Status> {
    let mut places = order.iter();
    for item in patch.iter().filter(|item| item.get(PATCH).is_none()) {
        let name = identity(item, merge_key)?;
        let found = places.by_ref().try_fold(false, |_, place| match identity(place, merge_key) {
            Ok(place) if place == name => Err(None),
            Ok(_) => Ok(false),
            Err(error) => Err(Some(error)),
        });
        match found {
            Err(None) => {}
            Err(Some(error)) => return Err(error),
            Ok(_) => {
                let show = |list: &[Value]| go_text(&Value::Array(list.to_vec()));
                return Err(failure(format!(
                    "The order in patch list:\n{}\n doesn't match $setElementOrder list:\n{}\n",
                    show(patch),
                    show(order)
                )));
            }
        }
    }
    Ok(())
}

/// The field by which the list under `key` merges.
fn merge_key(schema: Option<&SchemaRef>, key: &str) -> Option<String> {
    field(schema, key)?.patch_merge_key.as_ref().map(|key| key.to_string())
}

/// What tells an item from others: the merge key's value, or the item itself.
fn identity(item: &Value, merge_key: Option<&str>) -> Result<String, Status> {
    match (merge_key, item) {
        (Some(key), Value::Object(members)) => {
            members.get(key).map(Value::to_string).ok_or_else(|| no_merge_key(item, key))
        }
        (_, item) => Ok(item.to_string()),
    }
}

fn merge_list(
    original: List,
    patch: List,
    key: &str,
    schema: Option<&SchemaRef>,
    deletes: bool,
) -> Result<List, Status> {
    let merges = field(schema, key).is_some_and(|field| field.patch_strategy.merge);
    if !merges && !deletes {
        return Ok(patch);
    }
    if patch.iter().chain(&original).any(Value::is_array) {
        return Err(Status::failure(422, "", "lists of lists are not supported"));
    }
    let objects = patch.iter().chain(&original).next().is_some_and(Value::is_object);
    if patch.iter().chain(&original).any(|item| item.is_object() != objects) {
        return Err(failure("list element types are not identical".to_owned()));
    }
    if !objects {
        if deletes {
            return Ok(original.into_iter().filter(|item| !patch.contains(item)).collect());
        }
        let mut seen = HashSet::new();
        let both = original.iter().chain(&patch).filter(|item| seen.insert(item.to_string())).cloned().collect();
        return arrange(both, &patch, &original, None);
    }
    let merge_key =
        merge_key(schema, key).ok_or_else(|| failure(format!("cannot merge lists without merge key for {key}")))?;
    let (original, patch) = special_items(original, patch, &merge_key)?;
    let items = child(schema, key).and_then(|schema| schema.items());
    let mut places = HashMap::new();
    for (place, item) in original.iter().enumerate() {
        places.entry(identity(item, Some(&merge_key))?).or_insert(place);
    }
    let mut merged = original.clone();
    for item in &patch {
        let name = identity(item, Some(&merge_key))?;
        let Value::Object(new) = item.clone() else { continue };
        match places.get(&name).and_then(|place| merged.get_mut(*place)) {
            Some(Value::Object(old)) => *old = merge_map(std::mem::take(old), new, items)?,
            _ => {
                places.insert(name, merged.len());
                merged.push(Value::Object(new));
            }
        }
    }
    arrange(merged, &patch, &original, Some(&merge_key))
}

/// Acts on the items that are directives (`$patch: delete` and `replace`) and returns what remains to be merged.
fn special_items(mut original: List, patch: List, merge_key: &str) -> Result<(List, List), Status> {
    let (mut plain, mut replace, mut deleted) = (List::new(), false, HashSet::new());
    for item in patch {
        match item.get(PATCH).map(|directive| directive.as_str().unwrap_or_default()) {
            None => plain.push(item),
            Some("delete") => {
                deleted.insert(identity(&item, Some(merge_key))?);
            }
            Some("replace") => replace = true,
            Some("merge") => return Err(failure("merging lists cannot yet be specified in the patch".to_owned())),
            Some(_) => return Err(unknown_directive(&item)),
        }
    }
    if replace {
        return Ok((plain, List::new()));
    }
    if !deleted.is_empty() {
        original.retain(|item| !identity(item, Some(merge_key)).is_ok_and(|name| deleted.contains(&name)));
    }
    Ok((original, plain))
}

/// Puts the items that `order` names in that order, leaves the others in the order of `before`, and interleaves the two
/// so that a server's item stays in front of what it was in front of.
fn arrange(list: List, order: &[Value], before: &[Value], merge_key: Option<&str>) -> Result<List, Status> {
    let places = |list: &[Value]| -> Result<HashMap<String, usize>, Status> {
        let mut places = HashMap::new();
        for (place, item) in list.iter().enumerate() {
            places.entry(identity(item, merge_key)?).or_insert(place);
        }
        Ok(places)
    };
    let (order, before) = (places(order)?, places(before)?);
    let (mut named, mut others) = (Vec::new(), Vec::new());
    for item in list {
        let name = identity(&item, merge_key)?;
        match order.get(&name) {
            Some(place) => named.push((*place, before.get(&name).copied(), item)),
            None => others.push((before.get(&name).copied().unwrap_or(usize::MAX), before.get(&name).copied(), item)),
        }
    }
    named.sort_by_key(|(place, ..)| *place);
    others.sort_by_key(|(place, ..)| *place);
    let mut result = List::with_capacity(named.len() + others.len());
    let (mut named, mut others) = (named.into_iter().peekable(), others.into_iter().peekable());
    loop {
        let other_first = match (others.peek(), named.peek()) {
            (Some((_, Some(other), _)), Some((_, Some(named), _))) => other < named,
            (Some(_), Some(_)) => false,
            (Some(_), None) => true,
            (None, _) => false,
        };
        match if other_first { others.next() } else { named.next() } {
            Some((.., item)) => result.push(item),
            None => return Ok(result),
        }
    }
}

/// Takes nulls out of what is new in the object: there is nothing that they could delete.
fn discard_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, value| !value.is_null());
            members.values_mut().for_each(discard_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(discard_nulls),
        _ => {}
    }
}

/// A new value without the parts that are directives; `None` if it is one itself.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Object(members) if members.contains_key(PATCH) => None,
        Value::Object(members) => {
            let keep = |(key, value)| without_directives(value).map(|value| (key, value));
            Some(Value::Object(members.into_iter().filter_map(keep).collect()))
        }
        Value::Array(items) => Some(Value::Array(items.into_iter().filter_map(without_directives).collect())),
        other => Some(other),
    }
}
