//! Values, which borrow the JSON that they are read from and convert it as they are looked at.

use std::cmp::Ordering;
use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;
use jiff::Timestamp;
use portcullis_machinery::quantity::Quantity;
use serde_json::{Map, Value as Json};

use crate::library::authz::{Authorize, Decision, Query};
use crate::program::EvalError;
use crate::types::{DYN, Kind, Listed, ObjectType, Type};

/// A value.
#[derive(Clone, Debug)]
pub enum Val<'a> {
    /// `null`.
    Null,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// One without a sign.
    Uint(u64),
    /// A floating-point number.
    Double(f64),
    /// Text.
    String(Rc<str>),
    /// Bytes.
    Bytes(Rc<[u8]>),
    /// A moment.
    Timestamp(Timestamp),
    /// A span of time, in nanoseconds.
    Duration(i64),
    /// A list made by the expression.
    List(Rc<Vec<Val<'a>>>),
    /// A map made by the expression, in the order of its making.
    Map(Rc<Vec<(Val<'a>, Val<'a>)>>),
    /// A list in JSON and the type of its items.
    JsonList(&'a [Json], &'a Type),
    /// A map in JSON and the type of its values.
    JsonMap(&'a Map<String, Json>, &'a Type),
    /// An object in JSON.
    Object(&'a Map<String, Json>, &'a ObjectType),
    /// A message that the expression made.
    Message(Rc<Message<'a>>),
    /// Values that are made when they are first asked for.
    Late(Rc<dyn Late<'a> + 'a>),
    /// A value or none.
    Optional(Option<Rc<Val<'a>>>),
    /// A type, by its name.
    Type(Rc<str>),
    /// A quantity.
    Quantity(Quantity),
    /// A URL.
    Url(Rc<crate::library::url::Url>),
    /// An address.
    Ip(std::net::IpAddr),
    /// A network, as it was written: an address and a length.
    Cidr(ipnet::IpNet),
    /// A version.
    Semver(Rc<crate::library::semver::Semver>),
    /// A named format.
    Format(&'static str),
    /// A question to an authorizer, as far as it has been put.
    Query(&'a dyn Authorize, Rc<Query>),
    /// An authorizer's answer.
    Decision(Rc<Decision>),
}

/// A message: a partial object, or an operation of a JSON patch.
#[derive(Clone, Debug)]
pub struct Message<'a> {
    /// The type's name.
    pub name: Arc<str>,
    /// The fields that were set.
    pub fields: Vec<(Rc<str>, Val<'a>)>,
}

impl<'a> Message<'a> {
    /// A field that was set.
    pub fn field(&self, name: &str) -> Option<&Val<'a>> {
        self.fields.iter().find(|(known, _)| **known == *name).map(|(_, value)| value)
    }
}

/// Members that are made when they are first asked for.
pub trait Late<'a>: std::fmt::Debug {
    /// A member; `None` if there is none of that name.
    fn member(&self, name: &str) -> Option<Result<Val<'a>, EvalError>>;
}

impl From<&str> for Val<'_> {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl<'a> Val<'a> {
    /// A value of JSON by its type.
    pub fn from_json(json: &'a Json, type_: &'a Type) -> Self {
        match (json, &type_.kind) {
            (Json::Null, _) => Self::Null,
            (Json::Bool(value), _) => Self::Bool(*value),
            (Json::Number(number), Kind::Double) => Self::Double(number.as_f64().unwrap_or_default()),
            (Json::Number(number), Kind::Int) => {
                Self::Int(number.as_i64().unwrap_or_else(|| number.as_f64().unwrap_or_default() as i64))
            }
            (Json::Number(number), _) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Self::Int(whole),
                (None, number) => Self::Double(number.unwrap_or_default()),
            },
            (Json::String(text), kind) => Self::text(text, kind),
            (Json::Array(items), Kind::List(of)) => Self::JsonList(items, of),
            (Json::Array(items), _) => Self::JsonList(items, &DYN),
            (Json::Object(members), Kind::Map(_, values)) => Self::JsonMap(members, values),
            (Json::Object(members), Kind::Object(object)) => Self::Object(members, object),
            (Json::Object(members), _) => Self::JsonMap(members, &DYN),
        }
    }

    fn text(text: &str, kind: &Kind) -> Self {
        match kind {
            Kind::Timestamp => {
                let date = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(jiff::tz::TimeZone::UTC).ok();
                let moment = text.parse::<Timestamp>().ok().or_else(|| date().map(|date| date.timestamp()));
                moment.map_or_else(|| text.into(), Self::Timestamp)
            }
            Kind::Duration => crate::library::parse_duration(text).map_or_else(|| text.into(), Self::Duration),
            Kind::Bytes => {
                let decoded = base64::engine::general_purpose::STANDARD.decode(text);
                decoded.map_or_else(|_| text.into(), |bytes| Self::Bytes(bytes.into()))
            }
            _ => text.into(),
        }
    }

    /// A list.
    pub fn list(items: Vec<Self>) -> Self {
        Self::List(Rc::new(items))
    }

    /// An optional value.
    pub fn some(value: Self) -> Self {
        Self::Optional(Some(Rc::new(value)))
    }

    /// The items, if it is a list.
    pub fn items(&self) -> Option<Vec<Self>> {
        match self {
            Self::List(items) => Some(items.to_vec()),
            Self::JsonList(items, of) => Some(items.iter().map(|item| Val::from_json(item, of)).collect()),
            _ => None,
        }
    }

    /// Keys and values, if it is a map.
    pub fn entries(&self) -> Option<Vec<(Self, Self)>> {
        match self {
            Self::Map(entries) => Some(entries.to_vec()),
            Self::JsonMap(members, of) => {
                Some(members.iter().map(|(key, value)| (key.as_str().into(), Val::from_json(value, of))).collect())
            }
            _ => None,
        }
    }

    /// The member of an object or map.
    pub fn member(&self, key: &str) -> Option<Self> {
        match self {
            Self::Object(members, type_) => {
                let (json, of) = type_.fields.get(key)?;
                members.get(json).map(|value| Val::from_json(value, of))
            }
            Self::JsonMap(members, of) => members.get(key).map(|value| Val::from_json(value, of)),
            Self::Message(message) => message.field(key).cloned(),
            Self::Map(entries) => {
                entries.iter().find(|(k, _)| matches!(k, Self::String(k) if **k == *key)).map(|(_, v)| v.clone())
            }
            _ => None,
        }
    }

    /// How many elements it has, for costs; 1 for what has none.
    pub fn size(&self) -> u64 {
        let size = match self {
            Self::String(text) => text.chars().count(),
            Self::Bytes(bytes) => bytes.len(),
            Self::Optional(Some(value)) => return value.size(),
            Self::List(items) => items.len(),
            Self::Map(entries) => entries.len(),
            Self::JsonList(items, _) => items.len(),
            Self::JsonMap(members, _) | Self::Object(members, _) => members.len(),
            Self::Ip(ip) => {
                if ip.is_ipv4() {
                    4
                } else {
                    16
                }
            }
            Self::Cidr(net) => usize::from(net.prefix_len()).div_ceil(8),
            _ => 1,
        };
        size as u64
    }

    /// The name of its type.
    pub fn type_name(&self) -> &str {
        match self {
            Self::Message(message) => &message.name,
            Self::Late(_) => "kubernetes.variables",
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Timestamp(_) => "google.protobuf.Timestamp",
            Self::Duration(_) => "google.protobuf.Duration",
            Self::List(_) | Self::JsonList(..) => "list",
            Self::Map(_) | Self::JsonMap(..) => "map",
            Self::Object(..) => "object",
            Self::Optional(_) => "optional_type",
            Self::Type(_) => "type",
            Self::Quantity(_) => "kubernetes.Quantity",
            Self::Url(_) => "kubernetes.URL",
            Self::Ip(_) => "net.IP",
            Self::Cidr(_) => "net.CIDR",
            Self::Semver(_) => "kubernetes.Semver",
            Self::Format(_) => "kubernetes.NamedFormat",
            Self::Query(..) => "kubernetes.authorization.Authorizer",
            Self::Decision(_) => "kubernetes.authorization.Decision",
        }
    }

    /// Whether it is what its type starts out as (`optional.ofNonZeroValue`).
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Null | Self::Optional(None) => true,
            Self::Bool(value) => !value,
            Self::Int(value) => *value == 0,
            Self::Uint(value) => *value == 0,
            Self::Double(value) => *value == 0.0,
            Self::Duration(value) => *value == 0,
            Self::String(_)
            | Self::Bytes(_)
            | Self::List(_)
            | Self::JsonList(..)
            | Self::Map(_)
            | Self::JsonMap(..) => self.size() == 0,
            Self::Message(message) => message.fields.is_empty(),
            _ => false,
        }
    }

    /// Whether two values are equal; values of different types are not, but numbers are by what they are worth.
    pub fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            (Self::String(a), Self::String(b)) | (Self::Type(a), Self::Type(b)) => a == b,
            (Self::Bytes(a), Self::Bytes(b)) => a == b,
            (Self::Url(a), Self::Url(b)) => a == b,
            (Self::Ip(a), Self::Ip(b)) => a == b,
            (Self::Cidr(a), Self::Cidr(b)) => a == b,
            (Self::Optional(a), Self::Optional(b)) => match (a, b) {
                (None, None) => true,
                (Some(a), Some(b)) => a.equals(b),
                _ => false,
            },
            (Self::Message(a), Self::Message(b)) => {
                let same = |(name, value): &(Rc<str>, Val<'a>)| b.field(name).is_some_and(|other| other.equals(value));
                a.name == b.name && a.fields.len() == b.fields.len() && a.fields.iter().all(same)
            }
            (Self::Object(a, _) | Self::JsonMap(a, _), Self::Object(b, _) | Self::JsonMap(b, _)) if a == b => true,
            (Self::Object(a, of), Self::Object(b, _) | Self::JsonMap(b, _)) => {
                // What differs in JSON may be the same as values: numbers, and lists whose order does not matter.
                let same = |(name, (json, _)): (&String, &(String, Type))| match (a.get(json), b.get(json)) {
                    (None, None) => true,
                    (Some(_), Some(_)) => match (self.member(name), other.member(name)) {
                        (Some(a), Some(b)) => a.equals(&b),
                        _ => false,
                    },
                    _ => false,
                };
                a.len() == b.len() && of.fields.iter().all(same)
            }
            (Self::JsonMap(..), Self::Object(..)) => other.equals(self),
            (Self::JsonList(a, _), Self::JsonList(b, _)) if a == b => true,
            (Self::JsonList(_, of), _) if of.listed != Listed::Atomic => {
                let (Some(a), Some(b)) = (self.items(), other.items()) else { return false };
                let found = |item: &Self| match &of.listed {
                    Listed::Map(keys) => {
                        a.iter().find(|one| one.same_keys(item, keys)).is_some_and(|one| one.equals(item))
                    }
                    _ => a.iter().any(|one| one.equals(item)),
                };
                a.len() == b.len() && b.iter().all(found)
            }
            _ => match (self.items(), other.items()) {
                (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| a.equals(b)),
                (None, None) => match (self.entries(), other.entries()) {
                    (Some(a), Some(b)) => {
                        a.len() == b.len()
                            && a.iter().all(|(key, value)| b.iter().any(|(k, v)| k.equals(key) && v.equals(value)))
                    }
                    (None, None) => self.compare(other) == Some(Ordering::Equal),
                    _ => false,
                },
                _ => false,
            },
        }
    }

    /// How a list is compared and added to.
    pub fn listed(&self) -> &Listed {
        match self {
            Self::JsonList(_, of) => &of.listed,
            _ => &Listed::Atomic,
        }
    }

    /// Whether two items of a list have the same keys.
    pub fn same_keys(&self, other: &Self, keys: &[String]) -> bool {
        let key = |of: &Self, key: &str| of.member(&crate::types::escape(key).unwrap_or_default());
        keys.iter().all(|name| match (key(self, name), key(other, name)) {
            (Some(a), Some(b)) => a.equals(&b),
            (None, None) => true,
            _ => false,
        })
    }

    /// The order of two values that have one.
    pub fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Uint(a), Self::Uint(b)) => Some(a.cmp(b)),
            (Self::Int(a), Self::Uint(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Self::Uint(a), Self::Int(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Self::String(a), Self::String(b)) => Some(a.cmp(b)),
            (Self::Bytes(a), Self::Bytes(b)) => Some(a.cmp(b)),
            (Self::Timestamp(a), Self::Timestamp(b)) => Some(a.cmp(b)),
            (Self::Duration(a), Self::Duration(b)) => Some(a.cmp(b)),
            (Self::Quantity(a), Self::Quantity(b)) => Some(a.cmp(b)),
            (Self::Semver(a), Self::Semver(b)) => Some(a.cmp(b)),
            _ => self.number()?.partial_cmp(&other.number()?),
        }
    }

    fn number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Uint(value) => Some(*value as f64),
            Self::Double(value) => Some(*value),
            _ => None,
        }
    }

    /// The value as JSON, for results that leave the expression.
    pub fn to_json(&self) -> Json {
        match self {
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            Self::Uint(value) => (*value).into(),
            Self::Double(value) => (*value).into(),
            Self::String(text) => (**text).into(),
            Self::Bytes(bytes) => base64::engine::general_purpose::STANDARD.encode(bytes).into(),
            Self::JsonList(items, _) => Json::Array(items.to_vec()),
            Self::JsonMap(members, _) | Self::Object(members, _) => Json::Object((*members).clone()),
            Self::List(items) => items.iter().map(Self::to_json).collect(),
            Self::Map(entries) => {
                let text = |key: &Self| match key {
                    Self::String(text) => text.to_string(),
                    other => other.to_json().to_string(),
                };
                Json::Object(entries.iter().map(|(key, value)| (text(key), value.to_json())).collect())
            }
            Self::Optional(Some(value)) => value.to_json(),
            Self::Message(message) => {
                Json::Object(message.fields.iter().map(|(name, value)| (name.to_string(), value.to_json())).collect())
            }
            other => crate::library::to_text(other).map_or(Json::Null, Json::from),
        }
    }
}
