//! Owners in other versions than the writer's.
//!
//! A manager's fields are paths in the version that it wrote in. Whether a write touches them is seen in that version:
//! both objects are converted to it and compared there. Versions of built-in kinds are taken to have the same paths.

use std::collections::BTreeMap;
use std::fmt::Debug;

use serde_json::Value;

use super::set::Set;
use super::{Managed, Writer, typed};
use crate::schema::SchemaRef;

/// The other versions of a kind.
pub trait Versions: Debug {
    /// The type of a version (`example.com/v1`); `None` if there is no such version any more.
    fn schema(&self, api_version: &str) -> Option<&SchemaRef>;

    /// An object in another version; `None` if it cannot be converted.
    fn convert(&self, object: &Value, api_version: &str) -> Option<Value>;
}

/// How two objects differ, in each version in which somebody owns fields.
pub(super) struct Comparisons<'a> {
    old: &'a Value,
    new: &'a Value,
    writer: &'a Writer<'a>,
    /// In the writer's version.
    pub own: typed::Comparison,
    others: BTreeMap<String, Option<typed::Comparison>>,
}

impl<'a> Comparisons<'a> {
    pub fn new(old: &'a Value, new: &'a Value, writer: &'a Writer<'a>) -> Self {
        let own = compare(old, new, writer.schema, writer);
        Self { old, new, writer, own, others: BTreeMap::new() }
    }

    /// The difference in a version; `None` if there is no such version any more: nobody can own fields of it.
    pub fn of(&mut self, api_version: &str) -> Option<&typed::Comparison> {
        let Some(versions) = self.writer.versions.filter(|_| api_version != self.writer.api_version) else {
            return Some(&self.own);
        };
        let (old, new, writer) = (self.old, self.new, self.writer);
        let compared = || {
            let schema = versions.schema(api_version)?;
            let (old, new) = (versions.convert(old, api_version)?, versions.convert(new, api_version)?);
            Some(compare(&old, &new, schema, writer))
        };
        self.others.entry(api_version.to_owned()).or_insert_with(compared).as_ref()
    }
}

fn compare(old: &Value, new: &Value, schema: &SchemaRef, writer: &Writer<'_>) -> typed::Comparison {
    let mut comparison = typed::compare(old, new, schema);
    for path in writer.reset_fields {
        comparison.written.subtract_below(path);
        comparison.removed.subtract_below(path);
    }
    comparison
}

/// Takes out of a merged object what the applier named last time, in `last_version`, and nobody names now.
pub(super) fn prune(result: &mut Value, last: &Set, last_version: &str, managed: &Managed, writer: &Writer<'_>) {
    let mut owned: BTreeMap<&str, Set> = BTreeMap::new();
    for entry in managed.0.values() {
        let version = if writer.versions.is_some() { entry.api_version.as_str() } else { writer.api_version };
        owned.entry(version).or_default().unite(entry.set.clone());
    }
    let Some(versions) = writer.versions.filter(|_| owned.len() > 1 || last_version != writer.api_version) else {
        let kept = owned.remove(writer.api_version).unwrap_or_default();
        return typed::prune(result, last, &kept, Some(writer.schema), "");
    };
    let convert = |value: &Value, from: &str, to: &str| match from == to {
        true => Some(value.clone()),
        false => versions.convert(value, to),
    };
    let schema = |version: &str| match version == writer.api_version {
        true => Some(writer.schema),
        false => versions.schema(version),
    };
    // Of a version that is gone nothing is pruned.
    let Some(last_schema) = schema(last_version) else { return };
    let Some(mut merged) = convert(result, writer.api_version, last_version) else { return };
    let mut pruned = merged.clone();
    let kept = owned.remove(last_version).unwrap_or_default();
    typed::prune(&mut pruned, last, &kept, Some(last_schema), "");
    let mut at = last_version;
    for (version, kept) in &owned {
        let Some(schema) = schema(version) else { continue };
        let (Some(whole), Some(less)) = (convert(&merged, at, version), convert(&pruned, at, version)) else {
            continue;
        };
        // What went, but for what somebody owns in this version.
        let mut gone = typed::field_set(&whole, Some(schema));
        gone.subtract(&typed::field_set(&less, Some(schema)));
        (merged, pruned, at) = (whole.clone(), whole, version);
        typed::prune(&mut pruned, &gone, kept, Some(schema), "");
    }
    if let Some(back) = convert(&pruned, at, writer.api_version) {
        *result = back;
    }
}

#[cfg(test)]
mod tests;
