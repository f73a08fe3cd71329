//! An object as the cache keeps it.

use std::sync::{Arc, OnceLock, Weak};

use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::Value;

use super::forms::Forms;
use super::splice::Wire;
use crate::KeyValue;

/// A version of an object, immutable and shared.
#[derive(Debug)]
pub struct CachedObject {
    /// The key in the store, without the tenant's prefix.
    pub key: Arc<str>,
    /// `metadata.name`.
    pub name: Box<str>,
    /// `metadata.namespace`; empty if the object has none.
    pub namespace: Box<str>,
    /// The revision that made the object.
    pub create_revision: u64,
    /// The revision of this version: its resourceVersion. For the object of a deletion it is the deletion's.
    pub revision: u64,
    /// The object as compact JSON with its resourceVersion: what every reader gets.
    pub wire: Wire,
    /// The object's labels, sorted by key.
    pub labels: Vec<(Box<str>, Box<str>)>,
    /// The values of the resource's selectable fields (`spec.nodeName`), as the codec found them. `metadata.name` and
    /// `metadata.namespace` need not be among them.
    pub fields: Vec<(Arc<str>, Box<str>)>,
    keep_value: bool,
    value: Mutex<Parsed>,
    encoded: OnceLock<Option<Bytes>>,
    pub(super) forms: Forms,
}

/// The parsed form, if it has been asked for. A value takes about ten times the memory of the bytes, so it is kept
/// only while somebody uses it, unless the codec asked for more.
#[derive(Debug, Default)]
enum Parsed {
    #[default]
    No,
    Kept(Arc<Value>),
    InUse(Weak<Value>),
}

impl CachedObject {
    /// An object of its entry and its wire bytes.
    #[must_use]
    pub fn new(kv: &KeyValue, wire: Wire, name: &str, namespace: &str) -> Self {
        Self {
            key: kv.key.clone(),
            name: name.into(),
            namespace: namespace.into(),
            create_revision: kv.create_revision,
            revision: kv.mod_revision,
            wire,
            labels: Vec::new(),
            fields: Vec::new(),
            keep_value: false,
            value: Mutex::default(),
            encoded: OnceLock::new(),
            forms: Forms::default(),
        }
    }

    /// With these labels.
    #[must_use]
    pub fn with_labels(mut self, mut labels: Vec<(Box<str>, Box<str>)>) -> Self {
        labels.sort();
        self.labels = labels;
        self
    }

    /// With these values of selectable fields.
    #[must_use]
    pub fn with_fields(mut self, fields: Vec<(Arc<str>, Box<str>)>) -> Self {
        self.fields = fields;
        self
    }

    /// Keeps the parsed form once it has been built. For kinds with few objects that are read at every request.
    #[must_use]
    pub fn keeping_value(mut self, keep: bool) -> Self {
        self.keep_value = keep;
        self
    }

    /// The version that this form of the object is in: its `apiVersion`.
    #[must_use]
    pub fn api_version(&self) -> &str {
        self.wire.api_version()
    }

    /// The entry that an object's other form would have been read from: these bytes at this object's place.
    #[must_use]
    pub fn entry(&self, value: Bytes) -> KeyValue {
        let (create_revision, mod_revision) = (self.create_revision, self.revision);
        KeyValue { key: Arc::clone(&self.key), value, create_revision, mod_revision, unreadable: None }
    }

    /// The value of a label.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        self.labels.binary_search_by(|(k, _)| (**k).cmp(key)).ok().map(|at| &*self.labels[at].1)
    }

    /// The value of a selectable field; `metadata.name` and `metadata.namespace` are fields of every object.
    #[must_use]
    pub fn field(&self, path: &str) -> Option<&str> {
        match path {
            "metadata.name" => Some(&self.name),
            "metadata.namespace" => Some(&self.namespace),
            _ => self.fields.iter().find(|(name, _)| **name == *path).map(|(_, value)| &**value),
        }
    }

    /// The parsed form, with its resourceVersion. Readers at the same time share one parse.
    #[must_use]
    pub fn value(&self) -> Arc<Value> {
        let mut slot = self.value.lock();
        let had = match &*slot {
            Parsed::Kept(value) => Some(value.clone()),
            Parsed::InUse(value) => value.upgrade(),
            Parsed::No => None,
        };
        if let Some(value) = had {
            return value;
        }
        // The bytes were read as JSON by the codec when the object came in; only a codec that did not could make
        // this fail, and then null is what such an object reads as.
        let value = Arc::new(serde_json::from_slice(&self.wire.bytes()).unwrap_or(Value::Null));
        *slot = if self.keep_value { Parsed::Kept(value.clone()) } else { Parsed::InUse(Arc::downgrade(&value)) };
        value
    }

    /// The object in the other encoding that is served beside JSON, made by `make` when it is first asked for; `None` if
    /// it has none.
    #[must_use]
    pub fn encoded(&self, make: impl FnOnce(&Value) -> Option<Bytes>) -> Option<Bytes> {
        self.encoded.get_or_init(|| make(&self.value())).clone()
    }

    /// The object as the event of its deletion carries it: as it was, with the deletion's resourceVersion.
    #[must_use]
    pub fn deleted_at(&self, revision: u64) -> Self {
        Self {
            key: self.key.clone(),
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            create_revision: self.create_revision,
            revision,
            wire: self.wire.at(revision),
            labels: self.labels.clone(),
            fields: self.fields.clone(),
            keep_value: false,
            value: Mutex::default(),
            encoded: OnceLock::new(),
            forms: self.forms.map(|form| form.deleted_at(revision)),
        }
    }

    /// About how many bytes of memory the object takes.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.wire.len() + self.key.len() + 256 + 64 * (self.labels.len() + self.fields.len())
    }
}

/// Makes cached objects of entries. One for each resource.
pub trait ObjectCodec: Send + Sync + 'static {
    /// The object of an entry.
    ///
    /// # Errors
    /// A text if the value is not an object of the resource. Such an entry is logged and left out.
    fn decode(&self, kv: &KeyValue) -> Result<CachedObject, String>;
}
