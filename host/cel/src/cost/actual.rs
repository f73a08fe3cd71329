//! What a call cost, from the values that it was given and gave.

use super::{CHECK, LIST, REGEX, STRUCT, TRAVERSE, scaled};
use crate::value::Val;

/// The cost of a call that has been made.
pub fn of_call(name: &str, args: &[Val<'_>], result: Option<&Val<'_>>) -> u64 {
    let size = |at: usize| args.get(at).map_or(1, Val::size);
    let read = |at: usize, times: f64| scaled(size(at), times * TRAVERSE);
    let pattern = |length: u64| ((1.0 + size(0) as f64) * TRAVERSE).ceil() as u64 * scaled(length, REGEX);
    let text = matches!(args.first(), Some(Val::String(_)));
    match name {
        "check" => CHECK,
        "fieldSelector" | "labelSelector" => LIST + read(1, 1.0) + scaled(scaled(size(1), 0.5), (LIST + STRUCT) as f64),
        "isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" => args.first().map_or(0, traversal),
        "url" | "lowerAscii" | "upperAscii" | "substring" | "trim" | "jsonpatch.escapeKey" => read(0, 1.0),
        "cidr" | "isIP" | "isCIDR" | "quantity" | "isQuantity" | "semver" | "isSemver" => read(0, 1.0),
        "ip" if text => read(0, 1.0),
        "replace" | "split" | "ip.isCanonical" => read(0, 2.0),
        "join" => scaled(result.map_or(1, Val::size), 2.0 * TRAVERSE),
        "find" | "findAll" | "matches" => pattern(size(1)),
        "containsIP" | "containsCIDR" => {
            let bits = scaled(size(0) * 2, TRAVERSE);
            let masked = if name == "containsCIDR" { read(0, 1.0) + 1 } else { 0 };
            bits + masked + if matches!(args.get(1), Some(Val::String(_))) { read(1, 1.0) } else { 0 }
        }
        "validate" => ((1.0 + size(1) as f64) * TRAVERSE).ceil() as u64 * scaled(format_regex(args.first()), REGEX),
        "slice" | "lists.range" => 1 + LIST + result.map_or(1, Val::size),
        "reverse" if !text => 1 + LIST + result.map_or(1, Val::size),
        "flatten" => {
            let depth = match args.get(1) {
                Some(Val::Int(depth)) => *depth as f64,
                _ => 1.0,
            };
            1 + LIST + (size(0) as f64 * depth) as u64
        }
        "distinct" | "sort" => compared_with_itself(args.first()),
        "@sortByAssociatedKeys" => compared_with_itself(args.get(1)),
        "sets.contains" | "sets.intersects" => 1 + size(0) * size(1),
        "sets.equivalent" => 1 + 2 * size(0) * size(1),
        "startsWith" | "endsWith" | "strings.quote" | "format" => read(0, 1.0),
        "bytes" if text => read(0, 1.0),
        "string" if matches!(args.first(), Some(Val::Bytes(_))) => read(0, 1.0),
        "@in" if args.get(1).is_some_and(|list| matches!(list, Val::List(_) | Val::JsonList(..))) => size(1),
        "_==_" if is_opaque(args.first()) => 1,
        "_==_" | "_!=_" => scaled(size(0).min(size(1)), TRAVERSE),
        "_<_" | "_<=_" | "_>_" | "_>=_" if text || matches!(args.first(), Some(Val::Bytes(_))) => {
            scaled(size(0).min(size(1)), TRAVERSE)
        }
        "_+_" if text || matches!(args.first(), Some(Val::Bytes(_))) => scaled(size(0) + size(1), TRAVERSE),
        "contains" => read(0, 1.0) * read(1, 1.0),
        _ => 1,
    }
}

/// The longest regular expression that a named format is estimated to have.
fn format_regex(format: Option<&Val<'_>>) -> u64 {
    match format {
        Some(Val::Format("dns1123Label" | "dns1123LabelPrefix" | "dns1035Label" | "dns1035LabelPrefix")) => 30,
        Some(Val::Format("dns1123Subdomain" | "dns1123SubdomainPrefix" | "qualifiedName")) => 60,
        Some(Val::Format("labelValue")) => 40,
        Some(Val::Format("uri" | "uuid" | "byte" | "date" | "datetime")) => 128,
        _ => 128,
    }
}

fn is_opaque(value: Option<&Val<'_>>) -> bool {
    matches!(
        value,
        Some(
            Val::Quantity(_)
                | Val::Ip(_)
                | Val::Cidr(_)
                | Val::Format(_)
                | Val::Url(_)
                | Val::Semver(_)
                | Val::Query(..)
                | Val::Decision(_)
        )
    )
}

/// The cost of looking at a whole value.
fn traversal(value: &Val<'_>) -> u64 {
    match value {
        Val::String(text) => (text.len() as f64 * TRAVERSE) as u64,
        Val::Bytes(bytes) => (bytes.len() as f64 * TRAVERSE) as u64,
        _ => match (value.items(), value.entries()) {
            (Some(items), _) => items.iter().map(traversal).sum(),
            (None, Some(entries)) => entries.iter().map(|(key, value)| traversal(key) + traversal(value)).sum(),
            (None, None) => 1,
        },
    }
}

fn compared_with_itself(list: Option<&Val<'_>>) -> u64 {
    let items = list.and_then(Val::items).unwrap_or_default();
    let text = matches!(items.first(), Some(Val::String(_) | Val::Bytes(_)));
    let size = (items.len() * items.len()) as f64;
    1 + LIST + (size * if text { 2.0 + TRAVERSE } else { 2.0 }) as u64
}
