//! What an object may look like: one graph of types for the built-in kinds (from a compact table of facts, see
//! [`builtin`]) and, in the same form, for custom resources.
//!
//! The graph says what the API's types say that a program needs: fields and their types, how lists and maps merge,
//! and how the reference's own types print a zero value, since clients compare what they read back with what they sent.

pub mod builtin;
mod custom;

pub use custom::CustomType;

use serde_json::Value;
use std::sync::{Arc, OnceLock};

/// A shared node of the graph. Graphs of built-in types may be cyclic (`JSONSchemaProps`); they live as long as the
/// process.
pub type SchemaRef = Arc<Schema>;

/// One type.
#[derive(Debug)]
pub struct Schema {
    /// The published name, such as `io.k8s.api.core.v1.PodSpec`; empty for plain and made-up types.
    pub name: Arc<str>,
    /// The name that decoder errors give the type: `string`, `int32`, `v1.Protocol`, `[]v1.Container`; empty if unknown.
    pub go_type: Arc<str>,
    /// What values look like.
    pub shape: Shape,
}

/// What values of a type look like.
#[derive(Debug)]
pub enum Shape {
    /// An object with known fields.
    Object(ObjectShape),
    /// An object with any keys, whose values all have one type.
    Map(SchemaRef),
    /// A list.
    List(ListShape),
    /// Text.
    String,
    /// A whole number of 32 bits.
    Int32,
    /// A whole number of 64 bits.
    Int64,
    /// A floating-point number.
    Number,
    /// True or false.
    Bool,
    /// A whole number, or text (a percentage, a port's name).
    IntOrString,
    /// A `resource.Quantity`: a number or text such as `100m`.
    Quantity,
    /// A `metav1.Time`: RFC 3339 with whole seconds, or null.
    Time,
    /// A `metav1.MicroTime`: RFC 3339 with microseconds, or null.
    MicroTime,
    /// A `metav1.Duration`: text such as `1m30s`.
    Duration,
    /// Bytes, base64 in JSON.
    Bytes,
    /// An object of any kind, kept as it stands (`runtime.RawExtension`, `metav1.FieldsV1`).
    RawObject,
    /// Any JSON value, kept as it stands.
    Any,
}

/// The fields of an object type.
#[derive(Debug, Default)]
pub struct ObjectShape {
    /// Filled in once, after the type exists, so that types may refer to each other.
    pub(crate) fields: OnceLock<Box<[Field]>>,
    /// Where the fields are, in the order in which the type declares them.
    pub(crate) declared: OnceLock<Box<[usize]>>,
    /// Whether unknown fields are kept (`x-kubernetes-preserve-unknown-fields`).
    pub preserve_unknown: bool,
    /// `x-kubernetes-map-type: atomic`: appliers own the object as a whole.
    pub atomic: bool,
    /// The structural schema, at the root of a custom resource's type: its instances take their form from it.
    pub custom: Option<Arc<CustomType>>,
}

/// How a list's items are told apart.
#[derive(Debug)]
pub struct ListShape {
    /// The items' type.
    pub items: SchemaRef,
    /// How appliers merge the list.
    pub list_type: ListType,
    /// The fields that name an item of a [`ListType::Map`].
    pub map_keys: Vec<Arc<str>>,
}

/// `x-kubernetes-list-type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ListType {
    /// The whole list belongs to one applier.
    #[default]
    Atomic,
    /// Each value is owned on its own, and is there once.
    Set,
    /// Items are told apart by key fields.
    Map,
}

/// `x-kubernetes-patch-strategy`, for strategic merge patches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PatchStrategy {
    /// Lists merge item by item.
    pub merge: bool,
    /// The keys not named in the patch go (unions such as volumes and update strategies).
    pub retain_keys: bool,
}

/// How the reference writes a field when its value is the type's zero value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Emit {
    /// Written if given at all: a pointer with `omitempty`, so an explicit zero survives.
    #[default]
    IfPresent,
    /// Left out when zero: a plain value with `omitempty` (empty lists and maps included), or any value with `omitzero`.
    NonZero,
    /// Always written: no `omitempty`, or a struct held by value (`status: {}`).
    Always,
}

/// One field of an object type.
#[derive(Debug)]
pub struct Field {
    /// The name in JSON.
    pub name: Arc<str>,
    /// The type.
    pub schema: SchemaRef,
    /// Whether the published description says that it must be given.
    pub required: bool,
    /// The published default, if any (documentation and apply's keys; what writes defaults is [`crate::defaults`]).
    pub default: Option<Value>,
    /// When it is written.
    pub emit: Emit,
    /// Whether the reference holds it by pointer (null and absent are the same, zero is not).
    pub go_pointer: bool,
    /// The strategy for strategic merge patches.
    pub patch_strategy: PatchStrategy,
    /// The field that tells items apart in strategic merge patches.
    pub patch_merge_key: Option<Arc<str>>,
}

impl Schema {
    /// A type without a name.
    pub fn plain(shape: Shape) -> SchemaRef {
        Arc::new(Self { name: Arc::from(""), go_type: Arc::from(""), shape })
    }

    /// An object type of the given fields.
    pub fn object(name: &str, fields: Vec<Field>) -> SchemaRef {
        let shape = ObjectShape::default();
        shape.set_fields(fields);
        Arc::new(Self { name: Arc::from(name), go_type: Arc::from(""), shape: Shape::Object(shape) })
    }

    /// The fields of an object type, sorted by name; empty for other types.
    pub fn fields(&self) -> &[Field] {
        match &self.shape {
            Shape::Object(object) => object.fields(),
            _ => &[],
        }
    }

    /// The structural schema of a custom resource's type.
    pub fn custom(&self) -> Option<&Arc<CustomType>> {
        match &self.shape {
            Shape::Object(object) => object.custom.as_ref(),
            _ => None,
        }
    }

    /// One field of an object type.
    pub fn field(&self, name: &str) -> Option<&Field> {
        let fields = self.fields();
        let at = fields.binary_search_by(|field| (*field.name).cmp(name)).ok()?;
        fields.get(at)
    }

    /// The type of what is under `key`: a field's type, or a map's value type.
    pub fn child(&self, key: &str) -> Option<&SchemaRef> {
        match &self.shape {
            Shape::Map(values) => Some(values),
            _ => self.field(key).map(|field| &field.schema),
        }
    }

    /// The type of a list's items.
    pub fn items(&self) -> Option<&SchemaRef> {
        self.list().map(|list| &list.items)
    }

    /// A list type's particulars.
    pub fn list(&self) -> Option<&ListShape> {
        match &self.shape {
            Shape::List(list) => Some(list),
            _ => None,
        }
    }

    /// The type at a path of object keys, going through lists to their items.
    pub fn at(self: &Arc<Self>, path: &[&str]) -> Option<SchemaRef> {
        let mut at = Arc::clone(self);
        for key in path {
            while let Some(items) = at.items() {
                at = Arc::clone(items);
            }
            at = Arc::clone(at.child(key)?);
        }
        Some(at)
    }
}

impl ObjectShape {
    /// The fields, sorted by name.
    pub fn fields(&self) -> &[Field] {
        self.fields.get().map_or(&[], |fields| fields)
    }

    /// The fields, in the order in which the type declares them, which is that of the reference's own JSON.
    pub fn declared(&self) -> impl Iterator<Item = &Field> {
        let places = self.declared.get().map_or(&[][..], |places| places);
        places.iter().filter_map(|place| self.fields().get(*place))
    }

    /// Gives the type its fields; only the first call counts.
    pub(crate) fn set_fields(&self, mut fields: Vec<Field>) {
        let names: Vec<Arc<str>> = fields.iter().map(|field| field.name.clone()).collect();
        fields.sort_by(|a, b| a.name.cmp(&b.name));
        let place = |name: &Arc<str>| fields.partition_point(|field| field.name < *name);
        let _ = self.declared.set(names.iter().map(place).collect());
        let _ = self.fields.set(fields.into_boxed_slice());
    }
}
