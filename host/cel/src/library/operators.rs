//! Operators, and what works on any value.

use std::cmp::Ordering;
use std::rc::Rc;

use super::{Outcome, failed};
use crate::types::Listed;
use crate::value::Val;

pub(super) fn call<'a>(name: &str, args: &[Val<'a>]) -> Option<Outcome<'a>> {
    Some(match (name, args) {
        ("_==_", [a, b]) => Ok(Val::Bool(a.equals(b))),
        ("_!=_", [a, b]) => Ok(Val::Bool(!a.equals(b))),
        ("!_", [Val::Bool(value)]) => Ok(Val::Bool(!value)),
        ("_<_" | "_<=_" | "_>_" | "_>=_", [a, b]) => compare(name, a, b),
        ("-_", [Val::Int(value)]) => whole(value.checked_neg()),
        ("-_", [Val::Double(value)]) => Ok(Val::Double(-value)),
        ("_+_" | "_-_" | "_*_" | "_/_" | "_%_", [a, b]) => arithmetic(name, a, b),
        ("@in", [item, list]) => contains(item, list),
        ("cel.@mapInsert", [a, b]) => merge(a, b),
        ("cel.@mapInsert", [map, key, value]) => merge(map, &Val::Map(Rc::new(vec![(key.clone(), value.clone())]))),
        ("_[_]" | "_[?_]", [container, key]) => index(container, key, name == "_[?_]"),
        ("size", [value]) => match value {
            Val::String(text) => Ok(Val::Int(text.chars().count() as i64)),
            Val::Bytes(_) | Val::List(_) | Val::JsonList(..) | Val::Map(_) | Val::JsonMap(..) | Val::Object(..) => {
                Ok(Val::Int(value.size() as i64))
            }
            _ => return None,
        },
        ("type", [value]) => Ok(Val::Type(value.type_name().into())),
        ("dyn", [value]) => Ok(value.clone()),
        ("optional.of", [value]) => Ok(Val::some(value.clone())),
        ("optional.ofNonZeroValue", [value]) if value.is_zero() => Ok(Val::Optional(None)),
        ("optional.ofNonZeroValue", [value]) => Ok(Val::some(value.clone())),
        ("optional.unwrap" | "unwrapOpt", [list]) => {
            let unwrapped = |item| match item {
                Val::Optional(Some(value)) => Some((*value).clone()),
                _ => None,
            };
            Ok(Val::list(list.items()?.into_iter().filter_map(unwrapped).collect()))
        }
        ("optional.none", []) => Ok(Val::Optional(None)),
        ("hasValue", [Val::Optional(value)]) => Ok(Val::Bool(value.is_some())),
        ("value", [Val::Optional(Some(value))]) => Ok((**value).clone()),
        ("value", [Val::Optional(None)]) => failed("optional.none() dereference"),
        ("or" | "orValue", [Val::Optional(None), other]) => Ok(other.clone()),
        _ => return None,
    })
}

fn compare<'a>(name: &str, a: &Val<'a>, b: &Val<'a>) -> Outcome<'a> {
    let Some(order) = a.compare(b) else { return failed("no such overload") };
    Ok(Val::Bool(match name {
        "_<_" => order == Ordering::Less,
        "_<=_" => order != Ordering::Greater,
        "_>_" => order == Ordering::Greater,
        _ => order != Ordering::Less,
    }))
}

fn whole<'a>(value: Option<i64>) -> Outcome<'a> {
    value.map_or_else(|| failed("integer overflow"), |value| Ok(Val::Int(value)))
}

fn arithmetic<'a>(name: &str, a: &Val<'a>, b: &Val<'a>) -> Outcome<'a> {
    match (name, a, b) {
        ("_/_", Val::Int(_), Val::Int(0)) | ("_/_", Val::Uint(_), Val::Uint(0)) => failed("division by zero"),
        ("_%_", Val::Int(_), Val::Int(0)) | ("_%_", Val::Uint(_), Val::Uint(0)) => failed("modulus by zero"),
        (_, Val::Int(a), Val::Int(b)) => whole(match name {
            "_+_" => a.checked_add(*b),
            "_-_" => a.checked_sub(*b),
            "_*_" => a.checked_mul(*b),
            "_/_" => a.checked_div(*b),
            _ => a.checked_rem(*b),
        }),
        (_, Val::Uint(a), Val::Uint(b)) => {
            let result = match name {
                "_+_" => a.checked_add(*b),
                "_-_" => a.checked_sub(*b),
                "_*_" => a.checked_mul(*b),
                "_/_" => a.checked_div(*b),
                _ => a.checked_rem(*b),
            };
            result.map_or_else(|| failed("unsigned integer overflow"), |value| Ok(Val::Uint(value)))
        }
        ("_+_", Val::Double(a), Val::Double(b)) => Ok(Val::Double(a + b)),
        ("_-_", Val::Double(a), Val::Double(b)) => Ok(Val::Double(a - b)),
        ("_*_", Val::Double(a), Val::Double(b)) => Ok(Val::Double(a * b)),
        ("_/_", Val::Double(a), Val::Double(b)) => Ok(Val::Double(a / b)),
        ("_+_", Val::String(a), Val::String(b)) => Ok(Val::String(format!("{a}{b}").into())),
        ("_+_", Val::Bytes(a), Val::Bytes(b)) => Ok(Val::Bytes([&**a, &**b].concat().into())),
        ("_+_", Val::Duration(a), Val::Duration(b)) => span(a.checked_add(*b)),
        ("_-_", Val::Duration(a), Val::Duration(b)) => span(a.checked_sub(*b)),
        ("_+_", Val::Timestamp(at), Val::Duration(by)) | ("_+_", Val::Duration(by), Val::Timestamp(at)) => {
            moved(*at, *by)
        }
        ("_-_", Val::Timestamp(at), Val::Duration(by)) => moved(*at, -*by),
        ("_-_", Val::Timestamp(a), Val::Timestamp(b)) => {
            span(i64::try_from(a.as_nanosecond() - b.as_nanosecond()).ok())
        }
        ("_+_", ..) => match (a.items(), b.items()) {
            (Some(items), Some(more)) => Ok(Val::list(added(a.listed(), items, more))),
            _ => failed("no such overload"),
        },
        _ => failed("no such overload"),
    }
}

/// A list and what is added to it: a set gets what it does not have, a list told apart by keys new values for those.
fn added<'a>(listed: &Listed, mut items: Vec<Val<'a>>, more: Vec<Val<'a>>) -> Vec<Val<'a>> {
    for item in more {
        let known = match listed {
            Listed::Atomic => None,
            Listed::Set => items.iter().position(|known| known.equals(&item)),
            Listed::Map(keys) => items.iter().position(|known| known.same_keys(&item, keys)),
        };
        match known {
            Some(at) => items[at] = item,
            None => items.push(item),
        }
    }
    items
}

fn span<'a>(nanoseconds: Option<i64>) -> Outcome<'a> {
    nanoseconds.map_or_else(|| failed("duration overflow"), |value| Ok(Val::Duration(value)))
}

fn moved<'a>(at: jiff::Timestamp, by: i64) -> Outcome<'a> {
    let moved = at.checked_add(jiff::SignedDuration::from_nanos(by));
    moved.map_or_else(|_| failed("timestamp overflow"), |at| Ok(Val::Timestamp(at)))
}

fn contains<'a>(item: &Val<'a>, container: &Val<'a>) -> Outcome<'a> {
    if let Some(items) = container.items() {
        return Ok(Val::Bool(items.iter().any(|one| one.equals(item))));
    }
    if let (Val::JsonMap(members, _), Val::String(key)) = (container, item) {
        return Ok(Val::Bool(members.contains_key(&**key)));
    }
    match container.entries() {
        Some(entries) => Ok(Val::Bool(entries.iter().any(|(key, _)| key.equals(item)))),
        None => failed("no such overload"),
    }
}

fn merge<'a>(a: &Val<'a>, b: &Val<'a>) -> Outcome<'a> {
    let (Some(mut entries), Some(more)) = (a.entries(), b.entries()) else { return failed("no such overload") };
    for (key, value) in more {
        if entries.iter().any(|(known, _)| known.equals(&key)) {
            return failed("insert failed: key already exists");
        }
        entries.push((key, value));
    }
    Ok(Val::Map(Rc::new(entries)))
}

fn index<'a>(container: &Val<'a>, key: &Val<'a>, optional: bool) -> Outcome<'a> {
    if let Val::Optional(of) = container {
        return match of {
            None => Ok(Val::Optional(None)),
            Some(of) => index(of, key, true),
        };
    }
    let found = match (container, key) {
        (Val::List(items), Val::Int(at)) => usize::try_from(*at).ok().and_then(|at| items.get(at).cloned()),
        (Val::JsonList(items, of), Val::Int(at)) => {
            usize::try_from(*at).ok().and_then(|at| items.get(at)).map(|item| Val::from_json(item, of))
        }
        (Val::JsonMap(..) | Val::Object(..), Val::String(key)) => container.member(key),
        (Val::Map(entries), key) => entries.iter().find(|(known, _)| known.equals(key)).map(|(_, value)| value.clone()),
        _ => return failed("no such overload"),
    };
    match (found, optional) {
        (found, true) => Ok(Val::Optional(found.map(Rc::new))),
        (Some(found), false) => Ok(found),
        (None, false) => match key {
            Val::Int(at) if container.items().is_some() => failed(format!("index out of bounds: {at}")),
            key => failed(format!("no such key: {}", super::to_text(key).unwrap_or_default())),
        },
    }
}
