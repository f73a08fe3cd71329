//! The built-in types, read once from the table `facts/types.tsv`.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::{Emit, Field, ListShape, ListType, ObjectShape, PatchStrategy, Schema, SchemaRef, Shape};

/// The table; its first lines say how it is written.
pub(crate) const TYPES: &str = include_str!("../../facts/types.tsv");

/// Types that appliers own as a whole (`x-kubernetes-map-type: atomic`), which the table does not say.
const ATOMIC: &[&str] = &[
    "api.autoscaling.v1.CrossVersionObjectReference",
    "api.core.v1.ConfigMapKeySelector",
    "api.core.v1.EndpointAddress",
    "api.core.v1.EndpointPort",
    "api.core.v1.FileKeySelector",
    "api.core.v1.LocalObjectReference",
    "api.core.v1.NodeSelector",
    "api.core.v1.NodeSelectorTerm",
    "api.core.v1.ObjectFieldSelector",
    "api.core.v1.ObjectReference",
    "api.core.v1.ResourceFieldSelector",
    "api.core.v1.ScopeSelector",
    "api.core.v1.SecretKeySelector",
    "api.core.v1.SecretReference",
    "api.core.v1.TopologySelectorTerm",
    "api.core.v1.TypedLocalObjectReference",
    "api.discovery.v1.EndpointPort",
    "api.networking.v1.ServiceBackendPort",
    "api.rbac.v1.RoleRef",
    "api.rbac.v1.Subject",
    "api.admissionregistration.v1.MatchResources",
    "api.admissionregistration.v1.NamedRuleWithOperations",
    "api.admissionregistration.v1.ParamKind",
    "api.admissionregistration.v1.ParamRef",
    "api.admissionregistration.v1.Variable",
    "meta.LabelSelector",
    "meta.OwnerReference",
];

static BUILTIN: LazyLock<BTreeMap<String, SchemaRef>> = LazyLock::new(|| read(TYPES));

/// The built-in type of a published name, such as `io.k8s.api.core.v1.Pod`.
pub fn schema(name: &str) -> Option<SchemaRef> {
    BUILTIN.get(name).cloned()
}

/// The names of all built-in types, sorted.
pub fn names() -> Vec<&'static str> {
    BUILTIN.keys().map(String::as_str).collect()
}

/// The published name of a type that the tables write short.
pub(crate) fn published(short: &str) -> String {
    match short.split_once('.') {
        Some(("api", rest)) => format!("io.k8s.api.{rest}"),
        Some(("meta", rest)) => format!("io.k8s.apimachinery.pkg.apis.meta.v1.{rest}"),
        _ => short.to_owned(),
    }
}

/// `v1.Container`: what decoder errors call a type.
fn go_name(published: &str) -> String {
    let mut parts = published.rsplitn(3, '.');
    match (parts.next(), parts.next()) {
        (Some(name), Some(version)) => format!("{version}.{name}"),
        _ => published.to_owned(),
    }
}

fn read(table: &str) -> BTreeMap<String, SchemaRef> {
    let headings = table.lines().filter_map(|line| line.strip_prefix('>'));
    let mut types: BTreeMap<String, SchemaRef> = headings
        .map(|short| {
            let name = published(short);
            let shape = ObjectShape { atomic: ATOMIC.contains(&short), ..ObjectShape::default() };
            let schema =
                Schema { name: Arc::from(&*name), go_type: go_name(&name).into(), shape: Shape::Object(shape) };
            (name, Arc::new(schema))
        })
        .collect();
    let mut current = String::new();
    let mut fields: BTreeMap<String, Vec<Field>> = BTreeMap::new();
    for line in table.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        match line.strip_prefix('>') {
            Some(short) => current = published(short),
            None => fields.entry(current.clone()).or_default().push(field(line, &current, &types)),
        }
    }
    for (name, fields) in fields {
        if let Some(Shape::Object(object)) = types.get(&name).map(|schema| &schema.shape) {
            object.set_fields(fields);
        }
    }
    types.retain(|name, _| !name.is_empty());
    types
}

fn field(line: &str, owner: &str, types: &BTreeMap<String, SchemaRef>) -> Field {
    let mut columns = line.split('\t');
    let mut next = || columns.next().unwrap_or_default();
    let (name, type_, flags, go_type, default) = (next(), next(), next(), next(), next());
    let (list_type, list_keys, strategy, merge_key) = (next(), next(), next(), next());
    let flag = |flag: char| flags.contains(flag);
    let list = (list_type, list_keys);
    Field {
        name: Arc::from(name),
        schema: type_of(type_, go_type, owner, list, types),
        required: flag('r'),
        default: serde_json::from_str(default).ok(),
        emit: if flag('a') {
            Emit::Always
        } else if flag('n') {
            Emit::NonZero
        } else {
            Emit::IfPresent
        },
        go_pointer: flag('p'),
        patch_strategy: PatchStrategy {
            merge: strategy.split(',').any(|part| part == "merge"),
            retain_keys: strategy.split(',').any(|part| part == "retainKeys"),
        },
        patch_merge_key: (!merge_key.is_empty()).then(|| Arc::from(merge_key)),
    }
}

fn type_of(
    text: &str,
    go_type: &str,
    owner: &str,
    (list_type, list_keys): (&str, &str),
    types: &BTreeMap<String, SchemaRef>,
) -> SchemaRef {
    let named = |shape: Shape, implied: String| {
        let go_type = if go_type.is_empty() { implied } else { go_type.to_owned() };
        Arc::new(Schema { name: Arc::from(""), go_type: go_type.into(), shape })
    };
    if let Some(items) = text.strip_prefix("[]") {
        let items = type_of(items, "", owner, ("", ""), types);
        let implied = format!("[]{}", items.go_type);
        let list_type = match list_type {
            "map" => ListType::Map,
            "set" => ListType::Set,
            _ => ListType::Atomic,
        };
        let map_keys = list_keys.split(',').filter(|key| !key.is_empty()).map(Arc::from).collect();
        return named(Shape::List(ListShape { items, list_type, map_keys }), implied);
    }
    if let Some(values) = text.strip_prefix("{}") {
        let values = type_of(values, "", owner, ("", ""), types);
        let implied = format!("map[string]{}", values.go_type);
        return named(Shape::Map(values), implied);
    }
    let plain = |shape: Shape, implied: &str| named(shape, implied.to_owned());
    match text {
        "string" => plain(Shape::String, "string"),
        "int32" => plain(Shape::Int32, "int32"),
        "int64" => plain(Shape::Int64, "int64"),
        "number" => plain(Shape::Number, "float64"),
        "bool" => plain(Shape::Bool, "bool"),
        "intstr" => plain(Shape::IntOrString, "intstr.IntOrString"),
        "quantity" => plain(Shape::Quantity, "resource.Quantity"),
        "time" => plain(Shape::Time, "v1.Time"),
        "microtime" => plain(Shape::MicroTime, "v1.MicroTime"),
        "duration" => plain(Shape::Duration, "v1.Duration"),
        "bytes" => plain(Shape::Bytes, "[]uint8"),
        "raw" => plain(Shape::RawObject, "runtime.RawExtension"),
        reference => {
            let name = if reference.contains('.') {
                published(reference)
            } else {
                let package = owner.rsplit_once('.').map_or("", |(package, _)| package);
                format!("{package}.{reference}")
            };
            // A name that the table does not define stands for a union that is kept as it is (JSONSchemaPropsOrBool).
            types.get(&name).cloned().unwrap_or_else(|| plain(Shape::Any, ""))
        }
    }
}
