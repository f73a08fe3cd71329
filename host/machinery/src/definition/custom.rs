//! Custom resources: from a CustomResourceDefinition to what is served.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::{ColumnDefinition, FieldSelectorPath, ResourceDefinition, Storage, SubresourceDefinition};
use crate::object;
use crate::structural::graph;

/// What only custom resources have.
#[derive(Clone, Debug)]
pub struct CustomResource {
    /// The name of the definition.
    pub definition: String,
    /// Whether the definition is being deleted: nothing can be created any more.
    pub terminating: bool,
    /// The warning that every use of the version gives, if it is deprecated.
    pub deprecation: Option<String>,
    /// Where the scale is, if there is a scale subresource.
    pub scale: Option<ScalePaths>,
    /// The fields that may be selected in any version: what the cache of stored objects indexes.
    pub indexed: Vec<FieldSelectorPath>,
    /// The types of all versions, served or not, by the version's name.
    pub types: Arc<BTreeMap<String, crate::schema::SchemaRef>>,
    /// How objects come from one version to another.
    pub conversion: Conversion,
}

/// How objects come from one version of their kind to another.
#[derive(Clone, Debug, PartialEq)]
pub enum Conversion {
    /// Only the name of the version changes.
    None,
    /// The component of the Plugin of this name converts.
    Component(String),
    /// A webhook converts: `spec.conversion.webhook`.
    Webhook(Arc<Value>),
}

/// The annotation of a definition that names the Plugin whose component converts its objects. It comes before
/// `spec.conversion`, so that a definition may name a webhook for servers that know nothing of components.
pub const CONVERTER: &str = "plugins.portcullis.dev/converter";

impl Conversion {
    /// What a definition says.
    pub fn of(crd: &Value) -> Self {
        if let Some(plugin) = object::annotation(crd, CONVERTER).filter(|name| !name.is_empty()) {
            return Self::Component(plugin.to_owned());
        }
        match object::str_at(crd, &["spec", "conversion", "strategy"]) {
            Some("Webhook") => {
                let webhook = object::get_at(crd, &["spec", "conversion", "webhook"]);
                Self::Webhook(Arc::new(webhook.cloned().unwrap_or_default()))
            }
            _ => Self::None,
        }
    }
}

/// The fields that a scale is made of, as keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScalePaths {
    /// How many are wanted.
    pub spec_replicas: Vec<String>,
    /// How many there are.
    pub status_replicas: Vec<String>,
    /// The selector as text, if the definition names a field for it.
    pub selector: Option<Vec<String>>,
}

/// The keys of a simple path (`.spec.replicas`).
fn keys(path: &str) -> Vec<String> {
    path.split('.').filter(|key| !key.is_empty()).map(str::to_owned).collect()
}

/// How a version sorts among others, highest first: released ones, then beta, then alpha, each by its numbers; names of
/// another form come last, by the alphabet.
pub fn version_priority(version: &str) -> (u8, u64, u64, Reverse<String>) {
    let parsed = (|| {
        let rest = version.strip_prefix('v')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let major: u64 = rest[..digits].parse().ok()?;
        match &rest[digits..] {
            "" => Some((3, major, 0)),
            stage => {
                let (level, minor) = match (stage.strip_prefix("beta"), stage.strip_prefix("alpha")) {
                    (Some(minor), _) => (2, minor),
                    (_, Some(minor)) => (1, minor),
                    _ => return None,
                };
                Some((level, major, minor.parse().ok()?))
            }
        }
    })();
    let (level, major, minor) = parsed.unwrap_or((0, 0, 0));
    (level, major, minor, Reverse(version.to_owned()))
}

/// Whether a condition of a definition is `True`.
pub fn has_condition(crd: &Value, type_: &str) -> bool {
    object::list_at(crd, &["status", "conditions"]).iter().any(|condition| {
        object::str_at(condition, &["type"]) == Some(type_) && object::str_at(condition, &["status"]) == Some("True")
    })
}

/// The published name of a custom kind: the group's parts reversed, the version, the kind.
pub fn type_name(group: &str, version: &str, kind: &str) -> String {
    let mut parts: Vec<&str> = group.split('.').rev().collect();
    parts.extend([version, kind]);
    parts.join(".")
}

/// What a definition serves: its served versions, the most preferred first. Nothing until its names are accepted.
pub fn definitions(crd: &Value) -> Vec<Arc<ResourceDefinition>> {
    if !has_condition(crd, "Established") {
        return Vec::new();
    }
    let Some((versions, stored)) = versions_of(crd) else { return Vec::new() };
    let served = versions.iter().filter(|version| object::bool_at(version, &["served"]));
    served.map(|version| Arc::new(definition(crd, version, &stored))).collect()
}

/// The stored version of an established definition, whether it is served or not: how its instances are found.
pub fn stored_definition(crd: &Value) -> Option<Arc<ResourceDefinition>> {
    if !has_condition(crd, "Established") {
        return None;
    }
    let (versions, stored) = versions_of(crd)?;
    let version = versions.iter().find(|version| object::str_at(version, &["name"]) == Some(&stored.version))?;
    Some(Arc::new(definition(crd, version, &stored)))
}

/// The versions in the order of preference, and what is known of the stored one.
fn versions_of(crd: &Value) -> Option<(Vec<&Value>, Stored)> {
    let mut versions: Vec<&Value> = object::list_at(crd, &["spec", "versions"]).iter().collect();
    versions.sort_by_key(|version| Reverse(version_priority(object::str_at(version, &["name"]).unwrap_or_default())));
    let stored = versions.iter().find(|version| object::bool_at(version, &["storage"]))?;
    let name = |version: &Value| object::str_at(version, &["name"]).unwrap_or_default().to_owned();
    let stored = Stored {
        version: name(stored),
        types: Arc::new(versions.iter().map(|version| (name(version), schema_of(crd, version))).collect()),
        indexed: indexed(&versions),
        conversion: Conversion::of(crd),
    };
    Some((versions, stored))
}

struct Stored {
    version: String,
    types: Arc<BTreeMap<String, crate::schema::SchemaRef>>,
    indexed: Vec<FieldSelectorPath>,
    conversion: Conversion,
}

fn schema_of(crd: &Value, version: &Value) -> crate::schema::SchemaRef {
    let text = |path: &[&str]| object::str_at(crd, path).unwrap_or_default();
    let name = object::str_at(version, &["name"]).unwrap_or_default();
    let name = type_name(text(&["spec", "group"]), name, text(&["spec", "names", "kind"]));
    let json = object::get_at(version, &["schema", "openAPIV3Schema"]).unwrap_or(&Value::Null);
    graph::schema(&name, json)
}

fn selectors(version: &Value) -> Vec<FieldSelectorPath> {
    let fields = object::list_at(version, &["selectableFields"]).iter();
    let paths = fields.filter_map(|field| object::str_at(field, &["jsonPath"]));
    let selector = |path: &str| FieldSelectorPath {
        fallback: Vec::new(),
        label: path.trim_start_matches('.').to_owned(),
        path: keys(path),
        absent: String::new(),
    };
    paths.map(selector).collect()
}

fn indexed(versions: &[&Value]) -> Vec<FieldSelectorPath> {
    let mut all: Vec<FieldSelectorPath> = versions.iter().flat_map(|version| selectors(version)).collect();
    all.sort_by(|a, b| a.label.cmp(&b.label));
    all.dedup();
    all
}

fn definition(crd: &Value, version: &Value, stored: &Stored) -> ResourceDefinition {
    let text = |path: &[&str]| object::str_at(crd, path).unwrap_or_default().to_owned();
    let texts = |path: &[&str]| -> Vec<String> {
        object::list_at(crd, path).iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (group, kind, plural) =
        (text(&["spec", "group"]), text(&["spec", "names", "kind"]), text(&["spec", "names", "plural"]));
    let name = object::str_at(version, &["name"]).unwrap_or_default().to_owned();
    let terminating = has_condition(crd, "Terminating");
    let verbs: &[&str] = if terminating {
        &["delete", "deletecollection", "get", "list", "patch", "update", "watch"]
    } else {
        &["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"]
    };
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let sub = |sub: &str, kind: &str, group: &str, version: &str| SubresourceDefinition {
        name: sub.to_owned(),
        kind: kind.to_owned(),
        group: group.to_owned(),
        version: version.to_owned(),
        verbs: owned(&["get", "patch", "update"]),
    };
    let path = |path: &str| object::str_at(version, &["subresources", "scale", path]).map(keys);
    let scale = path("specReplicasPath").zip(path("statusReplicasPath")).map(|(spec_replicas, status_replicas)| {
        let selector = path("labelSelectorPath").filter(|path| !path.is_empty());
        ScalePaths { spec_replicas, status_replicas, selector }
    });
    let mut subresources = Vec::new();
    if object::get_at(version, &["subresources", "status"]).is_some() {
        subresources.push(sub("status", &kind, &group, &name));
    }
    if scale.is_some() {
        subresources.push(sub("scale", "Scale", "autoscaling", "v1"));
    }
    let schema = stored.types.get(&name).cloned().unwrap_or_else(|| schema_of(crd, version));
    let deprecation = object::bool_at(version, &["deprecated"]).then(|| {
        let given = object::str_at(version, &["deprecationWarning"]).map(str::to_owned);
        given.unwrap_or_else(|| format!("{group}/{name} {kind} is deprecated"))
    });
    ResourceDefinition {
        kind,
        list_kind: text(&["spec", "names", "listKind"]),
        singular: text(&["spec", "names", "singular"]),
        short_names: texts(&["spec", "names", "shortNames"]),
        categories: texts(&["spec", "names", "categories"]),
        namespaced: object::str_at(crd, &["spec", "scope"]) == Some("Namespaced"),
        verbs: owned(verbs),
        subresources,
        schema,
        storage: Storage {
            prefix: format!("/registry/{group}/{plural}"),
            version: stored.version.clone(),
            advertised: stored.version.clone(),
            group: group.clone(),
        },
        field_selectors: selectors(version),
        columns: columns(version),
        builtin: false,
        allow_create_on_update: false,
        allow_unconditional_update: false,
        generation: true,
        graceful_deletion: false,
        off_by_default: false,
        custom: Some(CustomResource {
            definition: object::name(crd).to_owned(),
            terminating,
            deprecation,
            scale,
            indexed: stored.indexed.clone(),
            types: Arc::clone(&stored.types),
            conversion: stored.conversion.clone(),
        }),
        group,
        version: name,
        plural,
    }
}

fn columns(version: &Value) -> Vec<ColumnDefinition> {
    let given = object::list_at(version, &["additionalPrinterColumns"]).iter();
    given
        .map(|column| {
            let text = |key: &str| object::str_at(column, &[key]).unwrap_or_default().to_owned();
            ColumnDefinition {
                name: text("name"),
                type_: text("type"),
                format: text("format"),
                description: text("description"),
                priority: object::i64_at(column, &["priority"]).and_then(|p| i32::try_from(p).ok()).unwrap_or(0),
                json_path: text("jsonPath"),
            }
        })
        .collect()
}
