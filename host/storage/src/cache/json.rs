//! A codec for any resource whose values are JSON.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{CachedObject, ObjectCodec, Wire};
use crate::KeyValue;

/// A field that selectors may name.
#[derive(Clone, Debug)]
pub struct SelectableField {
    /// The name under which the object has it.
    pub name: Arc<str>,
    /// Where it is, member by member. Numbers and booleans read as their JSON text.
    pub path: Vec<String>,
    /// The field that is read in its place if it is absent; empty for none.
    pub fallback: Vec<String>,
    /// What it reads as if it is absent.
    pub absent: Box<str>,
}

/// Reads names, labels and selectable fields out of JSON values without building them up.
pub struct JsonCodec {
    fields: Vec<SelectableField>,
    keep_values: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    namespace: Cow<'a, str>,
    labels: Option<BTreeMap<Box<str>, Box<str>>>,
}

type Members<'a> = BTreeMap<Cow<'a, str>, &'a RawValue>;

impl JsonCodec {
    /// A codec for a resource with these selectable fields.
    #[must_use]
    pub fn new(fields: &[SelectableField]) -> Self {
        Self { fields: fields.to_vec(), keep_values: false }
    }

    /// Keeps parsed forms, see [`CachedObject::keeping_value`].
    #[must_use]
    pub fn keep_values(mut self, keep: bool) -> Self {
        self.keep_values = keep;
        self
    }
}

/// The text of the value at a path, parsing only the objects on the way.
fn pick(members: &Members<'_>, path: &[String]) -> Option<Box<str>> {
    let (first, rest) = path.split_first()?;
    let raw = members.get(first.as_str())?;
    if !rest.is_empty() {
        return pick(&serde_json::from_str(raw.get()).ok()?, rest);
    }
    match raw.get() {
        "null" => None,
        text if text.starts_with('"') => serde_json::from_str::<String>(text).ok().map(Into::into),
        text => Some(text.into()),
    }
}

/// Members of an object with the members of those that have been looked into: `spec` is parsed once, however many of its
/// fields are selectable.
struct Opened<'a, 'p> {
    members: &'a Members<'a>,
    inner: BTreeMap<&'p str, Option<Members<'a>>>,
}

impl<'p> Opened<'_, 'p> {
    fn pick(&mut self, path: &'p [String]) -> Option<Box<str>> {
        match path {
            [first, rest @ ..] if !rest.is_empty() => {
                let open = || serde_json::from_str::<Members<'_>>(self.members.get(first.as_str())?.get()).ok();
                pick(self.inner.entry(first.as_str()).or_insert_with(open).as_ref()?, rest)
            }
            path => pick(self.members, path),
        }
    }
}

impl ObjectCodec for JsonCodec {
    fn decode(&self, kv: &KeyValue) -> Result<CachedObject, String> {
        let wire = Wire::new(&kv.value, kv.mod_revision)?;
        let members: Members<'_> = serde_json::from_slice(wire.stored()).map_err(|error| error.to_string())?;
        let metadata = match members.get("metadata") {
            Some(raw) => serde_json::from_str::<Metadata<'_>>(raw.get()).map_err(|error| error.to_string())?,
            None => Metadata::default(),
        };
        let labels = metadata.labels.unwrap_or_default().into_iter().collect();
        let mut opened = Opened { members: &members, inner: BTreeMap::new() };
        let mut fields = Vec::with_capacity(self.fields.len());
        for field in &self.fields {
            let value = opened.pick(&field.path).or_else(|| opened.pick(&field.fallback));
            fields.push((Arc::clone(&field.name), value.unwrap_or_else(|| field.absent.clone())));
        }
        let (name, namespace) = (metadata.name.into_owned(), metadata.namespace.into_owned());
        let wire = wire.clone();
        Ok(CachedObject::new(kv, wire, &name, &namespace)
            .with_labels(labels)
            .with_fields(fields)
            .keeping_value(self.keep_values))
    }
}
