//! Reading fields of objects held as JSON values.

use std::sync::Arc;

use portcullis_machinery::Value;

/// A shared, immutable object, as informers keep it.
pub type Object = Arc<Value>;

/// Fields that every object has, and safe ways to the others. All answers are empty where a field is absent.
pub trait ObjectExt {
    /// The value at a path of field names.
    fn at(&self, path: &[&str]) -> Option<&Value>;
    /// The string at a path; empty if there is none.
    fn str_at(&self, path: &[&str]) -> &str;
    /// The integer at a path.
    fn int_at(&self, path: &[&str]) -> Option<i64>;
    /// The boolean at a path; false if there is none.
    fn bool_at(&self, path: &[&str]) -> bool;
    /// The list at a path; empty if there is none.
    fn list_at(&self, path: &[&str]) -> &[Value];
    /// `metadata.name`.
    fn name(&self) -> &str {
        self.str_at(&["metadata", "name"])
    }
    /// `metadata.namespace`.
    fn namespace(&self) -> &str {
        self.str_at(&["metadata", "namespace"])
    }
    /// `metadata.uid`.
    fn uid(&self) -> &str {
        self.str_at(&["metadata", "uid"])
    }
    /// `metadata.resourceVersion`.
    fn resource_version(&self) -> &str {
        self.str_at(&["metadata", "resourceVersion"])
    }
    /// `namespace/name`, or `name` for cluster-scoped objects: the key in queues.
    fn key(&self) -> String {
        object_key(self.namespace(), self.name())
    }
    /// `metadata.generation`; 0 if absent.
    fn generation(&self) -> i64 {
        self.int_at(&["metadata", "generation"]).unwrap_or(0)
    }
    /// Whether `metadata.deletionTimestamp` is set.
    fn is_deleting(&self) -> bool {
        !self.str_at(&["metadata", "deletionTimestamp"]).is_empty()
    }
    /// A label's value.
    fn label(&self, name: &str) -> Option<&str> {
        self.at(&["metadata", "labels", name]).and_then(Value::as_str)
    }
    /// An annotation's value.
    fn annotation(&self, name: &str) -> Option<&str> {
        self.at(&["metadata", "annotations", name]).and_then(Value::as_str)
    }
    /// `metadata.ownerReferences`.
    fn owner_references(&self) -> &[Value] {
        self.list_at(&["metadata", "ownerReferences"])
    }
    /// The owner reference whose `controller` is true.
    fn controller_of(&self) -> Option<&Value> {
        self.owner_references().iter().find(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))
    }
}

impl ObjectExt for Value {
    fn at(&self, path: &[&str]) -> Option<&Value> {
        path.iter().try_fold(self, |value, field| value.get(field))
    }
    fn str_at(&self, path: &[&str]) -> &str {
        self.at(path).and_then(Value::as_str).unwrap_or("")
    }
    fn int_at(&self, path: &[&str]) -> Option<i64> {
        self.at(path).and_then(Value::as_i64)
    }
    fn bool_at(&self, path: &[&str]) -> bool {
        self.at(path).and_then(Value::as_bool).unwrap_or(false)
    }
    fn list_at(&self, path: &[&str]) -> &[Value] {
        self.at(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }
}

/// `namespace/name`, or `name` if there is no namespace.
pub fn object_key(namespace: &str, name: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") }
}

/// The two halves of an [`object_key`].
pub fn split_key(key: &str) -> (&str, &str) {
    key.split_once('/').unwrap_or(("", key))
}
