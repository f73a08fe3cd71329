//! Quantities.

use std::cmp::Ordering;

use portcullis_machinery::quantity::{Format, Quantity};

use super::{Outcome, failed};
use crate::value::Val;

pub(super) fn call<'a>(name: &str, args: &[Val<'a>]) -> Option<Outcome<'a>> {
    let parse = |text: &str| Quantity::parse(text);
    let yes = |value: bool| Some(Ok(Val::Bool(value)));
    match (name, args) {
        ("quantity", [Val::String(text)]) => {
            Some(parse(text).map_or_else(|error| failed(error.to_string()), |quantity| Ok(Val::Quantity(quantity))))
        }
        ("isQuantity", [Val::String(text)]) => yes(parse(text).is_ok()),
        ("sign", [Val::Quantity(a)]) => Some(Ok(Val::Int(if a.is_zero() {
            0
        } else if a.is_negative() {
            -1
        } else {
            1
        }))),
        ("isInteger", [Val::Quantity(a)]) => yes(a.is_integer()),
        ("asInteger", [Val::Quantity(a)]) if a.is_integer() => Some(Ok(Val::Int(a.value()))),
        ("asInteger", [Val::Quantity(_)]) => Some(failed("cannot convert value to integer")),
        ("asApproximateFloat", [Val::Quantity(a)]) => Some(Ok(Val::Double(a.as_f64()))),
        ("isGreaterThan", [Val::Quantity(a), Val::Quantity(b)]) => yes(a > b),
        ("isLessThan", [Val::Quantity(a), Val::Quantity(b)]) => yes(a < b),
        ("compareTo", [Val::Quantity(a), Val::Quantity(b)]) => Some(Ok(Val::Int(match a.cmp(b) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }))),
        ("add", [Val::Quantity(a), b]) => Some(Ok(Val::Quantity(a.add(&other(b)?)))),
        ("sub", [Val::Quantity(a), b]) => Some(Ok(Val::Quantity(a.sub(&other(b)?)))),
        _ => None,
    }
}

fn other(value: &Val<'_>) -> Option<Quantity> {
    match value {
        Val::Quantity(quantity) => Some(quantity.clone()),
        Val::Int(value) => Some(Quantity::new(*value, Format::DecimalSi)),
        _ => None,
    }
}
