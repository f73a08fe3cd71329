//! The built-in resources, read once from the table `facts/resources.tsv`, and the project's own `Plugin`.

use std::sync::{Arc, LazyLock};

use super::{ALL_VERBS, ColumnDefinition, FieldSelectorPath, ResourceDefinition, Storage, SubresourceDefinition};
use crate::schema::{self, Emit, Field, ListShape, ListType, PatchStrategy, Schema, SchemaRef, Shape};

/// The table; its first lines say how it is written.
const RESOURCES: &str = include_str!("../../facts/resources.tsv");

/// Every built-in resource in every version, in the order of the groups' preference.
pub(super) static DEFINITIONS: LazyLock<Vec<Arc<ResourceDefinition>>> = LazyLock::new(|| {
    let mut all = Vec::new();
    let (mut group, mut version) = ("", "");
    for line in RESOURCES.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        match line.strip_prefix('>') {
            Some(heading) => (group, version) = heading.trim().split_once('\t').unwrap_or(("", heading.trim())),
            None => all.extend(definition(line, group, version).map(Arc::new)),
        }
    }
    all.push(Arc::new(plugin()));
    all
});

fn words(text: &str) -> Vec<String> {
    text.split(',').filter(|word| !word.is_empty()).map(str::to_owned).collect()
}

fn verbs(text: &str) -> Vec<String> {
    if text == "*" { ALL_VERBS.iter().map(|verb| (*verb).to_owned()).collect() } else { words(text) }
}

fn definition(line: &str, group: &str, version: &str) -> Option<ResourceDefinition> {
    let mut columns = line.split('\t');
    let mut next = || columns.next().unwrap_or_default();
    let (plural, kind, singular, scope, short, categories) = (next(), next(), next(), next(), next(), next());
    let (verb_list, subresources, flags, prefix, stored, selectors, type_) =
        (next(), next(), next(), next(), next(), next(), next());
    let flag = |flag: char| flags.contains(flag);
    // `#v1` names the version that is advertised as the stored one, and changes nothing else.
    let (stored, advertised) = stored.split_once('#').unwrap_or((stored, ""));
    let (stored_group, stored_version) = match stored.split_once('/') {
        Some((group, version)) => (group, version),
        None if stored.is_empty() => (group, version),
        None => ("", stored),
    };
    let prefix = match (flag('x'), prefix) {
        (true, _) => String::new(),
        (false, "") => format!("/registry/{plural}"),
        (false, prefix) => format!("/registry/{prefix}"),
    };
    Some(ResourceDefinition {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        list_kind: format!("{kind}List"),
        plural: plural.to_owned(),
        singular: singular.to_owned(),
        short_names: words(short),
        categories: words(categories),
        namespaced: scope == "N",
        verbs: verbs(verb_list),
        subresources: subresources.split(' ').filter_map(|text| subresource(text, group, version)).collect(),
        schema: schema::builtin::schema(&schema::builtin::published(type_))?,
        storage: Storage {
            prefix,
            version: stored_version.to_owned(),
            advertised: if advertised.is_empty() { stored_version } else { advertised }.to_owned(),
            group: stored_group.to_owned(),
        },
        field_selectors: selectors.split(' ').filter(|text| !text.is_empty()).map(selector).collect(),
        columns: Vec::new(),
        builtin: true,
        allow_create_on_update: flag('c'),
        allow_unconditional_update: flag('u'),
        generation: flag('g'),
        graceful_deletion: flag('d'),
        off_by_default: version.contains("alpha") || version.contains("beta"),
    })
}

/// `status=Pod:get,patch,update` or `scale=autoscaling/v1/Scale:get`.
fn subresource(text: &str, group: &str, version: &str) -> Option<SubresourceDefinition> {
    let (name, rest) = text.split_once('=')?;
    let (kind, verb_list) = rest.split_once(':')?;
    let mut parts = kind.rsplitn(3, '/');
    let kind = parts.next()?;
    let version = parts.next().unwrap_or(version);
    let group = parts.next().unwrap_or(group);
    Some(SubresourceDefinition {
        name: name.to_owned(),
        kind: kind.to_owned(),
        group: group.to_owned(),
        version: version.to_owned(),
        verbs: verbs(verb_list),
    })
}

/// `label[=path][?value if absent]`.
fn selector(text: &str) -> FieldSelectorPath {
    let (text, absent) = text.split_once('?').unwrap_or((text, ""));
    let (label, path) = text.split_once('=').unwrap_or((text, text));
    let path = path.split('.').map(str::to_owned).collect();
    FieldSelectorPath { label: label.to_owned(), path, absent: absent.to_owned() }
}

fn field(name: &str, schema: SchemaRef, required: bool) -> Field {
    Field {
        name: Arc::from(name),
        schema,
        required,
        default: None,
        emit: Emit::IfPresent,
        go_pointer: true,
        patch_strategy: PatchStrategy::default(),
        patch_merge_key: None,
    }
}

fn list(items: SchemaRef, list_type: ListType, keys: &[&str]) -> SchemaRef {
    let map_keys = keys.iter().map(|key| Arc::from(*key)).collect();
    Schema::plain(Shape::List(ListShape { items, list_type, map_keys }))
}

/// `plugins.portcullis.dev/v1alpha1` Plugin.
fn plugin() -> ResourceDefinition {
    const TYPE: &str = "dev.portcullis.plugins.v1alpha1";
    let object = |name: &str, fields: Vec<Field>| Schema::object(&format!("{TYPE}.{name}"), fields);
    let typed = |shape: fn() -> Shape| Schema::plain(shape());
    let text = || Schema::plain(Shape::String);
    let texts = || list(Schema::plain(Shape::String), ListType::Atomic, &[]);
    let builtin =
        |name: &str| schema::builtin::schema(&schema::builtin::published(name)).unwrap_or_else(|| typed(|| Shape::Any));
    let optional = |name: &str, schema: SchemaRef| field(name, schema, false);
    let matching = object(
        "Match",
        vec![
            optional("operations", texts()),
            optional("apiGroups", texts()),
            optional("apiVersions", texts()),
            optional("resources", texts()),
            optional("namespaces", texts()),
            optional("excludeNamespaces", texts()),
            optional("namespaceSelector", builtin("meta.LabelSelector")),
            optional("objectSelector", builtin("meta.LabelSelector")),
        ],
    );
    let spec = object(
        "PluginSpec",
        vec![
            field("stage", text(), true),
            field(
                "source",
                object(
                    "Source",
                    vec![optional("file", text()), optional("digest", text()), optional("embedded", text())],
                ),
                true,
            ),
            optional("config", typed(|| Shape::Any)),
            optional("match", matching),
            optional("order", typed(|| Shape::Int32)),
            optional("failurePolicy", text()),
            optional(
                "limits",
                object(
                    "Limits",
                    vec![
                        optional("memory", typed(|| Shape::Quantity)),
                        optional("deadline", text()),
                        optional("concurrency", typed(|| Shape::Int32)),
                    ],
                ),
            ),
            optional(
                "grants",
                object(
                    "Grants",
                    vec![optional("clusterRead", typed(|| Shape::Bool)), optional("verify", typed(|| Shape::Bool))],
                ),
            ),
        ],
    );
    let mut status = vec![
        optional("conditions", list(builtin("meta.Condition"), ListType::Map, &["type"])),
        optional("activeDigest", text()),
    ];
    for counter in [
        "observedGeneration",
        "calls",
        "errors",
        "traps",
        "deadlineExceeded",
        "memoryExceeded",
        "p50Micros",
        "p99Micros",
    ] {
        status.push(optional(counter, typed(|| Shape::Int64)));
    }
    let schema = object(
        "Plugin",
        vec![
            optional("apiVersion", text()),
            optional("kind", text()),
            optional("metadata", builtin("meta.ObjectMeta")),
            field("spec", spec, true),
            optional("status", object("PluginStatus", status)),
        ],
    );
    let column = |name: &str, type_: &str, json_path: &str, description: &str| ColumnDefinition {
        name: name.to_owned(),
        type_: type_.to_owned(),
        format: String::new(),
        description: description.to_owned(),
        priority: 0,
        json_path: json_path.to_owned(),
    };
    ResourceDefinition {
        group: "plugins.portcullis.dev".into(),
        version: "v1alpha1".into(),
        kind: "Plugin".into(),
        list_kind: "PluginList".into(),
        plural: "plugins".into(),
        singular: "plugin".into(),
        short_names: Vec::new(),
        categories: vec!["api-extensions".into()],
        namespaced: false,
        verbs: verbs("*"),
        subresources: subresource("status=Plugin:get,patch,update", "plugins.portcullis.dev", "v1alpha1")
            .into_iter()
            .collect(),
        schema,
        storage: Storage {
            prefix: "/registry/plugins.portcullis.dev/plugins".into(),
            version: "v1alpha1".into(),
            advertised: "v1alpha1".into(),
            group: "plugins.portcullis.dev".into(),
        },
        field_selectors: Vec::new(),
        columns: vec![
            column("Stage", "string", ".spec.stage", "The stage of a request at which the component decides."),
            column("Ready", "string", ".status.conditions[?(@.type==\"Ready\")].status", "Whether a version serves."),
            column("Calls", "integer", ".status.calls", "How often the serving version was called."),
            column("Errors", "integer", ".status.errors", "How often a call gave no answer."),
            column("Age", "date", ".metadata.creationTimestamp", "The time since the object was made."),
        ],
        builtin: true,
        allow_create_on_update: false,
        allow_unconditional_update: false,
        generation: true,
        graceful_deletion: false,
        off_by_default: false,
    }
}
