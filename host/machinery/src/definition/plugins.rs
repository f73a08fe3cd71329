//! The project's own group, `plugins.portcullis.dev/v1alpha1`: `Plugin`, which component decides what, and `Module`, the
//! content that was pushed. Types, columns and what `kubectl explain` says come from the table `facts/plugins.tsv`.

use super::builtin::{subresource, verbs};
use super::{ResourceDefinition, Storage};
use crate::schema::{self, Emit, Field, ListShape, ListType, PatchStrategy, Schema, SchemaRef, Shape};
use std::sync::Arc;

/// The group.
pub const GROUP: &str = "plugins.portcullis.dev";
/// The version.
pub const VERSION: &str = "v1alpha1";

/// What the published names of the group's types begin with.
const PACKAGE: &str = "dev.portcullis.plugins.v1alpha1";

/// The table; its first lines say how it is written.
const TYPES: &str = include_str!("../../facts/plugins.tsv");

/// A line of the table: a type's own has no field.
struct Line {
    owner: &'static str,
    field: &'static str,
    holds: &'static str,
    description: &'static str,
}

fn lines() -> impl Iterator<Item = Line> {
    let mut owner = "";
    TYPES.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(move |line| {
        let mut columns = line.split('\t');
        let mut next = || columns.next().unwrap_or_default();
        match line.starts_with('>') {
            true => {
                owner = next().trim_start_matches('>');
                Line { owner, field: "", holds: "", description: next() }
            }
            false => Line { owner, field: next(), holds: next(), description: next() },
        }
    })
}

/// What `kubectl explain` says of a type (`field` empty) or a field of it, if the type is of this group.
pub fn description(type_name: &str, field: &str) -> Option<&'static str> {
    let short = type_name.strip_prefix(PACKAGE)?.strip_prefix('.')?;
    lines().find(|line| line.owner == short && line.field == field).map(|line| line.description)
}

fn named(name: &str) -> SchemaRef {
    let fields = lines().filter(|line| line.owner == name && !line.field.is_empty());
    let fields = fields.map(|line| Field {
        name: Arc::from(line.field),
        schema: held(line.holds.trim_end_matches('!')),
        required: line.holds.ends_with('!'),
        default: None,
        emit: Emit::IfPresent,
        go_pointer: true,
        patch_strategy: PatchStrategy::default(),
        patch_merge_key: None,
    });
    Schema::object(&format!("{PACKAGE}.{name}"), fields.collect())
}

fn held(holds: &str) -> SchemaRef {
    let list = |items: SchemaRef, list_type: ListType, keys: &[&str]| {
        let map_keys = keys.iter().map(|key| Arc::from(*key)).collect();
        Schema::plain(Shape::List(ListShape { items, list_type, map_keys }))
    };
    if let Some(items) = holds.strip_prefix("[]") {
        return list(held(items), ListType::Atomic, &[]);
    }
    if let Some(items) = holds.strip_prefix("{type}") {
        return list(held(items), ListType::Map, &["type"]);
    }
    if let Some(values) = holds.strip_prefix("{}") {
        return Schema::plain(Shape::Map(held(values)));
    }
    if let Some(name) = holds.strip_prefix('#') {
        return named(name);
    }
    Schema::plain(match holds {
        "string" => Shape::String,
        "bool" => Shape::Bool,
        "int32" => Shape::Int32,
        "int64" => Shape::Int64,
        "quantity" => Shape::Quantity,
        builtin => match schema::builtin::schema(&schema::builtin::published(builtin)) {
            Some(found) => return found,
            None => Shape::Any,
        },
    })
}

/// The resources of the group.
pub(super) fn definitions() -> [ResourceDefinition; 2] {
    let modules = "delete,deletecollection,get,list,patch,update,watch";
    [
        // Modules come by their content alone: an object without bytes would be a promise that nobody keeps.
        definition("Module", "modules", modules, "content=Module:get,update", false),
        definition("Plugin", "plugins", "*", "status=Plugin:get,patch,update", true),
    ]
}

fn definition(kind: &str, plural: &str, verb_list: &str, sub: &str, generation: bool) -> ResourceDefinition {
    ResourceDefinition {
        group: GROUP.into(),
        version: VERSION.into(),
        kind: kind.into(),
        list_kind: format!("{kind}List"),
        plural: plural.into(),
        singular: kind.to_lowercase(),
        short_names: Vec::new(),
        categories: vec!["api-extensions".into()],
        namespaced: false,
        verbs: verbs(verb_list),
        subresources: subresource(sub, GROUP, VERSION).into_iter().collect(),
        schema: named(kind),
        storage: Storage {
            prefix: format!("/registry/{GROUP}/{plural}"),
            version: VERSION.into(),
            advertised: VERSION.into(),
            group: GROUP.into(),
        },
        field_selectors: Vec::new(),
        columns: Vec::new(),
        builtin: true,
        allow_create_on_update: false,
        allow_unconditional_update: false,
        generation,
        graceful_deletion: false,
        off_by_default: false,
        custom: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_field_is_described_once_and_every_type_exists() {
        let mut seen = BTreeSet::new();
        for Line { owner, field, holds, description } in lines() {
            assert!(seen.insert((owner, field)), "{owner}.{field} is there twice");
            assert!(description.ends_with('.'), "{owner}.{field}: {description:?} is no sentence");
            let refers = holds.trim_end_matches('!').split('#').nth(1);
            assert!(refers.is_none_or(|name| lines().any(|line| line.owner == name)), "{owner}.{field}: {holds}");
        }
        assert_eq!(
            description("dev.portcullis.plugins.v1alpha1.Limits", "fresh").map(|text| text.len() > 20),
            Some(true)
        );
        assert_eq!(description("io.k8s.api.core.v1.Pod", "spec"), None);
    }

    #[test]
    fn schemas_have_the_fields() {
        let [module, plugin] = definitions();
        let of =
            |schema: &SchemaRef, name: &str| schema.fields().iter().find(|f| &*f.name == name).unwrap().schema.clone();
        let limits = of(&of(&plugin.schema, "spec"), "limits");
        assert!(matches!(of(&limits, "memory").shape, Shape::Quantity));
        assert!(!module.has_verb("create") && module.subresource("content").is_some());
    }
}
