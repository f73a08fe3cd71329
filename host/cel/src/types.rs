//! The types of expressions.
//!
//! Beside what CEL knows of a type, a [`Type`] carries how large a value of it can be, because that is what the cost of
//! an expression depends on. Sizes of schema types come from `maxItems`, `maxLength` and `maxProperties`, or else from
//! how large a request can be.

pub mod openapi;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use portcullis_machinery::schema::ListType;
use portcullis_machinery::structural::{Additional, Structural, Type as SchemaType};

/// The size of the largest request, which bounds every value that is in one.
pub const MAX_REQUEST: u64 = 3 * 1024 * 1024;
/// A size that is not bounded by anything known.
pub const UNBOUNDED: u64 = u64::MAX;

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Anything; checked at evaluation.
    Dyn,
    /// `null`.
    Null,
    /// True or false.
    Bool,
    /// A whole number of 64 bits.
    Int,
    /// One without a sign.
    Uint,
    /// A floating-point number.
    Double,
    /// Text.
    String,
    /// Bytes.
    Bytes,
    /// A moment.
    Timestamp,
    /// A span of time.
    Duration,
    /// The type of a type.
    Type,
    /// A list.
    List(Box<Type>),
    /// A map.
    Map(Box<Type>, Box<Type>),
    /// An object of known fields.
    Object(Arc<ObjectType>),
    /// A value or none.
    Optional(Box<Type>),
    /// A type of a library, by its name.
    Opaque(&'static str),
    /// A message that expressions make (`Object.spec{…}`), by its name.
    Message(Arc<str>),
    /// A parameter in a signature.
    Param(char),
    /// What the items of an empty list would be: whatever is wanted.
    Free,
}

/// A type, and the most elements (items, bytes, members) that a value of it has.
#[derive(Clone, Debug)]
pub struct Type {
    /// What a value is.
    pub kind: Kind,
    /// See [`UNBOUNDED`].
    pub max: u64,
    /// How a list of values of this type is compared and added to.
    pub listed: Listed,
}

/// `x-kubernetes-list-type`, as far as it matters to expressions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Listed {
    /// In order.
    #[default]
    Atomic,
    /// Each value is there once, in any order.
    Set,
    /// Values are told apart by these members, in any order.
    Map(Arc<[String]>),
}

impl PartialEq for Type {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// An object type.
#[derive(Debug, Default)]
pub struct ObjectType {
    /// The name in messages.
    pub name: String,
    /// The fields by the names that expressions use, with the key in JSON.
    pub fields: BTreeMap<String, (String, Type)>,
}

/// Object types of one name are the same: they are made once for each schema.
impl PartialEq for ObjectType {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.name == other.name
    }
}

/// The type that says nothing.
pub static DYN: Type = Type { kind: Kind::Dyn, max: UNBOUNDED, listed: Listed::Atomic };

impl From<Kind> for Type {
    fn from(kind: Kind) -> Self {
        Self { kind, max: UNBOUNDED, listed: Listed::Atomic }
    }
}

impl Type {
    /// A list.
    pub fn list(items: Self) -> Self {
        Kind::List(Box::new(items)).into()
    }

    /// A map.
    pub fn map(keys: Self, values: Self) -> Self {
        Kind::Map(Box::new(keys), Box::new(values)).into()
    }

    /// An optional value.
    pub fn optional(of: Self) -> Self {
        Kind::Optional(Box::new(of)).into()
    }

    /// An object type of fields with plain names.
    pub fn object(name: &str, fields: Vec<(&str, Self)>) -> Self {
        let fields = fields.into_iter().map(|(name, type_)| (name.to_owned(), (name.to_owned(), type_))).collect();
        Kind::Object(Arc::new(ObjectType { name: name.to_owned(), fields })).into()
    }

    /// Whether nothing is known of a value.
    pub fn is_dyn(&self) -> bool {
        matches!(self.kind, Kind::Dyn | Kind::Free)
    }

    /// What is known of a value by two types that fit each other.
    #[must_use]
    pub fn merged(&self, other: &Self) -> Self {
        let kind = match (&self.kind, &other.kind) {
            (Kind::Free, kind) | (kind, Kind::Free) => kind.clone(),
            (Kind::List(a), Kind::List(b)) => Kind::List(Box::new(a.merged(b))),
            (Kind::Optional(a), Kind::Optional(b)) => Kind::Optional(Box::new(a.merged(b))),
            (Kind::Map(a, c), Kind::Map(b, d)) => Kind::Map(Box::new(a.merged(b)), Box::new(c.merged(d))),
            (kind, _) => kind.clone(),
        };
        Self { kind, max: self.max.max(other.max), listed: self.listed.clone() }
    }

    /// The type with nothing left free.
    #[must_use]
    pub fn closed(self) -> Self {
        let kind = match self.kind {
            Kind::Free => Kind::Dyn,
            Kind::List(items) => Kind::List(Box::new(items.closed())),
            Kind::Optional(of) => Kind::Optional(Box::new(of.closed())),
            Kind::Map(keys, values) => Kind::Map(Box::new(keys.closed()), Box::new(values.closed())),
            kind => kind,
        };
        Self { kind, ..self }
    }

    fn at_most(mut self, max: u64) -> Self {
        self.max = max;
        self
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = match &self.kind {
            Kind::List(items) => return write!(f, "list({items})"),
            Kind::Map(keys, values) => return write!(f, "map({keys}, {values})"),
            Kind::Optional(of) => return write!(f, "optional_type({of})"),
            Kind::Object(object) => return f.write_str(&object.name),
            Kind::Opaque(name) => return f.write_str(name),
            Kind::Message(name) => return f.write_str(name),
            Kind::Param(name) => return write!(f, "{name}"),
            Kind::Dyn | Kind::Free => "dyn",
            Kind::Null => "null",
            Kind::Bool => "bool",
            Kind::Int => "int",
            Kind::Uint => "uint",
            Kind::Double => "double",
            Kind::String => "string",
            Kind::Bytes => "bytes",
            Kind::Timestamp => "timestamp",
            Kind::Duration => "duration",
            Kind::Type => "type",
        };
        f.write_str(plain)
    }
}

/// Words of the language, which a field's name is escaped for.
const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// The name of a field in expressions; `None` if it cannot be named.
pub fn escape(name: &str) -> Option<String> {
    if RESERVED.contains(&name) {
        return Some(format!("__{name}__"));
    }
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let escaped = name
        .replace("__", "__underscores__")
        .replace('.', "__dot__")
        .replace('-', "__dash__")
        .replace('/', "__slash__");
    let fits = escaped.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    (begins && fits).then_some(escaped)
}

/// The least that a value takes in a request.
fn least(schema: &Structural) -> u64 {
    match schema.type_ {
        SchemaType::String | SchemaType::Array => 2,
        SchemaType::Boolean => 4,
        SchemaType::Object => {
            let required = schema.required.iter().filter_map(|key| {
                let property = schema.properties.get(key).filter(|property| property.default.is_none())?;
                Some(key.len() as u64 + least(property) + 4)
            });
            2 + required.sum::<u64>()
        }
        _ => 1,
    }
}

/// How many values of a schema can be in a request, as items of a list.
pub fn most_items(schema: &Structural) -> u64 {
    (MAX_REQUEST - 2) / (least(schema) + 1)
}

/// How many values of a schema can be in a request, as members of a map.
pub fn most_members(schema: &Structural) -> u64 {
    (MAX_REQUEST - 2) / (least(schema) + 6)
}

/// The type of a schema's values; `None` where rules cannot reach them. `root` is whether it is an object with metadata.
pub fn of_schema(schema: &Structural, root: bool) -> Option<Type> {
    named(schema, root, "object")
}

fn named(schema: &Structural, root: bool, name: &str) -> Option<Type> {
    if schema.int_or_string {
        let most = schema.length.1.map_or(MAX_REQUEST - 2, |most| most.saturating_mul(4));
        return Some(DYN.clone().at_most(most));
    }
    Some(match schema.type_ {
        SchemaType::Boolean => Kind::Bool.into(),
        SchemaType::Integer => Kind::Int.into(),
        SchemaType::Number => Kind::Double.into(),
        SchemaType::String => text(schema),
        SchemaType::Array => {
            let items = schema.items.as_ref()?;
            let most = schema.item_count.1.unwrap_or_else(|| most_items(items));
            let mut items = named(items, false, &format!("{name}.@idx"))?;
            items.listed = match schema.list_type {
                Some(ListType::Set) => Listed::Set,
                Some(ListType::Map) => Listed::Map(schema.map_keys.clone().into()),
                _ => Listed::Atomic,
            };
            Type::list(items).at_most(most)
        }
        SchemaType::Object => match &schema.additional {
            Additional::Schema(values) => {
                let most = schema.property_count.1.unwrap_or_else(|| most_members(values));
                let keys = Type::from(Kind::String).at_most(MAX_REQUEST - 2);
                Type::map(keys, named(values, false, &format!("{name}.@elem"))?).at_most(most)
            }
            _ => object(schema, root, name),
        },
        SchemaType::Unset => return None,
    })
}

fn text(schema: &Structural) -> Type {
    let kind = match schema.format.as_str() {
        "date" => return Type::from(Kind::Timestamp).at_most(12),
        "date-time" => return Type::from(Kind::Timestamp).at_most(32),
        "duration" => return Type::from(Kind::Duration).at_most(32),
        "byte" | "binary" => Kind::Bytes,
        _ => Kind::String,
    };
    let longest_choice =
        schema.enumeration.iter().filter_map(|choice| choice.as_str()).map(|choice| choice.len() as u64).max();
    // A character takes up to four bytes.
    let most = schema.length.1.map(|most| most.saturating_mul(4)).or(longest_choice).unwrap_or(MAX_REQUEST - 2);
    Type::from(kind).at_most(most)
}

fn object(schema: &Structural, root: bool, name: &str) -> Type {
    let mut fields = BTreeMap::new();
    for (key, property) in &schema.properties {
        if let (Some(escaped), Some(type_)) = (escape(key), named(property, false, &format!("{name}.{key}"))) {
            fields.insert(escaped, (key.clone(), type_));
        }
    }
    if root || schema.embedded {
        let text = || Type::from(Kind::String).at_most(MAX_REQUEST - 2);
        let metadata = Type::object(&format!("{name}.metadata"), vec![("name", text()), ("generateName", text())]);
        for (key, type_) in [("apiVersion", text()), ("kind", text()), ("metadata", metadata)] {
            fields.insert(key.to_owned(), (key.to_owned(), type_));
        }
    }
    Kind::Object(Arc::new(ObjectType { name: name.to_owned(), fields })).into()
}
