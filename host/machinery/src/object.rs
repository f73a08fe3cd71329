//! Reading and writing the fields that every object has, on the mutable form of an object ([`Value`]).

use jiff::{Timestamp, Unit};
use serde_json::{Map, Value};

/// The object's metadata, if it has any.
pub fn meta(object: &Value) -> Option<&Map<String, Value>> {
    object.get("metadata")?.as_object()
}

/// The object's metadata for writing; made if absent. The object itself becomes `{}` if it was none.
pub fn meta_mut(object: &mut Value) -> &mut Map<String, Value> {
    object_at(object, &["metadata"])
}

/// The JSON object at `path`, for writing: every step is made if absent or of another type.
pub fn object_at<'a>(value: &'a mut Value, path: &[&str]) -> &'a mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    // The line above makes the conversion succeed; the fallback is unreachable but costs nothing to state.
    let Value::Object(map) = value else { unreachable!("the value was just made an object") };
    match path.split_first() {
        None => map,
        Some((first, rest)) => object_at(map.entry((*first).to_owned()).or_insert(Value::Null), rest),
    }
}

fn meta_str<'a>(object: &'a Value, field: &str) -> &'a str {
    meta(object).and_then(|m| m.get(field)).and_then(Value::as_str).unwrap_or("")
}

/// `apiVersion`, or the empty string.
pub fn api_version(object: &Value) -> &str {
    object.get("apiVersion").and_then(Value::as_str).unwrap_or("")
}

/// `kind`, or the empty string.
pub fn kind(object: &Value) -> &str {
    object.get("kind").and_then(Value::as_str).unwrap_or("")
}

/// `metadata.name`, or the empty string.
pub fn name(object: &Value) -> &str {
    meta_str(object, "name")
}

/// `metadata.namespace`, or the empty string.
pub fn namespace(object: &Value) -> &str {
    meta_str(object, "namespace")
}

/// `metadata.uid`, or the empty string.
pub fn uid(object: &Value) -> &str {
    meta_str(object, "uid")
}

/// `metadata.resourceVersion`, or the empty string.
pub fn resource_version(object: &Value) -> &str {
    meta_str(object, "resourceVersion")
}

/// `metadata.generateName`, or the empty string.
pub fn generate_name(object: &Value) -> &str {
    meta_str(object, "generateName")
}

/// `metadata.generation`, or 0.
pub fn generation(object: &Value) -> i64 {
    meta(object).and_then(|m| m.get("generation")).and_then(Value::as_i64).unwrap_or(0)
}

/// `metadata.deletionTimestamp`, if the object is being deleted.
pub fn deletion_timestamp(object: &Value) -> Option<&str> {
    meta(object)?.get("deletionTimestamp")?.as_str()
}

fn strings_of<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
    meta(object)
        .and_then(|m| m.get(field))
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(|map| map.iter().filter_map(|(k, v)| Some((k.as_str(), v.as_str()?))))
}

/// `metadata.labels`, in key order.
pub fn labels(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    strings_of(object, "labels")
}

/// One label's value.
pub fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    meta(object)?.get("labels")?.get(key)?.as_str()
}

/// `metadata.annotations`, in key order.
pub fn annotations(object: &Value) -> impl Iterator<Item = (&str, &str)> {
    strings_of(object, "annotations")
}

/// Sets `metadata.resourceVersion`.
pub fn set_version(object: &mut Value, revision: u64) {
    meta_mut(object).insert("resourceVersion".to_owned(), revision.to_string().into());
}

/// One annotation's value.
pub fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    meta(object)?.get("annotations")?.get(key)?.as_str()
}

/// `metadata.finalizers`.
pub fn finalizers(object: &Value) -> impl Iterator<Item = &str> {
    meta(object)
        .and_then(|m| m.get("finalizers"))
        .and_then(Value::as_array)
        .into_iter()
        .flat_map(|list| list.iter().filter_map(Value::as_str))
}

/// `metadata.ownerReferences`, as they stand.
pub fn owner_references(object: &Value) -> impl Iterator<Item = &Value> {
    meta(object).and_then(|m| m.get("ownerReferences")).and_then(Value::as_array).into_iter().flatten()
}

/// The owner reference with `controller: true`, if there is one.
pub fn controller_of(object: &Value) -> Option<&Value> {
    owner_references(object).find(|owner| owner.get("controller") == Some(&Value::Bool(true)))
}

/// The value at `path` (object keys only).
pub fn get_at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |at, key| at.get(key))
}

/// The same, for writing to a value that is there already.
pub fn get_at_mut<'a>(value: &'a mut Value, path: &[&str]) -> Option<&'a mut Value> {
    path.iter().try_fold(value, |at, key| at.get_mut(key))
}

/// The string at `path`.
pub fn str_at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a str> {
    get_at(value, path)?.as_str()
}

/// The integer at `path`.
pub fn i64_at(value: &Value, path: &[&str]) -> Option<i64> {
    get_at(value, path)?.as_i64()
}

/// The boolean at `path`; absent is false, as the API's optional booleans mean it.
pub fn bool_at(value: &Value, path: &[&str]) -> bool {
    get_at(value, path).and_then(Value::as_bool).unwrap_or(false)
}

/// The list at `path`; absent is empty.
pub fn list_at<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    get_at(value, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Writes `new` at `path`, making the objects on the way. An empty path replaces the whole.
pub fn set_at(value: &mut Value, path: &[&str], new: impl Into<Value>) {
    match path.split_last() {
        None => *value = new.into(),
        Some((last, parents)) => {
            object_at(value, parents).insert((*last).to_owned(), new.into());
        }
    }
}

/// Takes away what is at `path` and returns it.
pub fn remove_at(value: &mut Value, path: &[&str]) -> Option<Value> {
    let (last, parents) = path.split_last()?;
    get_at_mut(value, parents)?.as_object_mut()?.remove(*last)
}

/// A moment as `metav1.Time` writes it: UTC, whole seconds, `Z`.
pub fn rfc3339(at: Timestamp) -> String {
    let at = at
        .round(Unit::Second)
        .ok()
        .filter(|rounded| *rounded <= at)
        .unwrap_or_else(|| Timestamp::from_second(at.as_second()).unwrap_or(at));
    format!("{at:.0}")
}

/// A moment as `metav1.MicroTime` writes it: UTC, six digits after the point, `Z`.
pub fn rfc3339_micro(at: Timestamp) -> String {
    format!("{at:.6}")
}

/// Now, as `metav1.Time` writes it.
pub fn now_rfc3339() -> String {
    rfc3339(Timestamp::now())
}

/// Now, as `metav1.MicroTime` writes it.
pub fn now_micro() -> String {
    rfc3339_micro(Timestamp::now())
}
