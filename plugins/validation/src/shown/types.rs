//! Writes values by the table of types.
//!
//! A line of the table is `Type: Name member kind; …`. Kinds: `s` text, `i` number, `b` boolean and `q` quantity, each
//! with its zero value where the member is absent; `n` anything else, `null` where absent; `T` a value of type T, `*T`
//! one that may be `null`, `[]T` a list of them, `{}T` a map of them by name, `|T` a T or a boolean, `+T` the members of T
//! in this object's place. A `?` before the kind leaves the member out where it says nothing.

use std::collections::BTreeMap;

use portcullis_sdk::{ValueRef, to_json};

use crate::values::is_blank;

const TABLE: &str = include_str!("types.txt");

fn members(name: &str) -> &'static str {
    let line = TABLE.lines().find_map(|line| line.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')));
    line.unwrap_or("")
}

/// Where line breaks go: the depth, or `None` for one line.
type Depth = Option<usize>;

fn line_break(out: &mut String, depth: Depth) {
    if let Some(depth) = depth {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', depth));
    }
}

fn deeper(depth: Depth) -> Depth {
    depth.map(|depth| depth + 1)
}

/// Writes `value` as one of type `name`; one that is absent gets its zero values.
pub(super) fn write(out: &mut String, name: &str, value: ValueRef, depth: Depth) {
    out.push('{');
    let mut first = true;
    fields(out, name, value, deeper(depth), &mut first);
    if !first {
        line_break(out, depth);
    }
    out.push('}');
}

fn fields(out: &mut String, name: &str, value: ValueRef, depth: Depth, first: &mut bool) {
    for member in members(name).split(';') {
        let mut words = member.split_whitespace();
        let (Some(shown), Some(key), Some(kind)) = (words.next(), words.next(), words.next()) else { continue };
        let found = if key == "." { value } else { value.get(key) };
        if let Some(inlined) = kind.strip_prefix('+') {
            fields(out, inlined, found, depth, first);
            continue;
        }
        let kind = match kind.strip_prefix('?') {
            Some(_) if is_blank(found) => continue,
            Some(rest) => rest,
            None => kind,
        };
        if !std::mem::take(first) {
            out.push(',');
        }
        line_break(out, depth);
        out.push('"');
        out.push_str(shown);
        out.push_str(if depth.is_some() { "\": " } else { "\":" });
        write_kind(out, kind, found, depth);
    }
}

fn write_kind(out: &mut String, kind: &str, value: ValueRef, depth: Depth) {
    if let Some(of) = kind.strip_prefix("[]") {
        if value.is_empty() {
            return out.push_str("null");
        }
        out.push('[');
        for (index, item) in value.iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            line_break(out, deeper(depth));
            write(out, of, item, deeper(depth));
        }
        line_break(out, depth);
        return out.push(']');
    }
    if let Some(of) = kind.strip_prefix("{}") {
        if value.is_empty() {
            return out.push_str("null");
        }
        let entries: BTreeMap<&str, ValueRef> = value.entries().collect();
        out.push('{');
        for (index, (key, item)) in entries.into_iter().enumerate() {
            if index > 0 {
                out.push(',');
            }
            line_break(out, deeper(depth));
            out.push_str(&escape(serde_json::Value::from(key).to_string()));
            out.push_str(if depth.is_some() { ": " } else { ":" });
            write(out, of, item, deeper(depth));
        }
        line_break(out, depth);
        return out.push('}');
    }
    if let Some(of) = kind.strip_prefix('|') {
        return alternative(out, of, value, depth);
    }
    match kind {
        "s" if value.is_none() => out.push_str("\"\""),
        "i" if value.is_none() => out.push('0'),
        "b" if value.is_none() => out.push_str("false"),
        "q" if value.is_none() => out.push_str("\"0\""),
        "s" | "i" | "b" | "q" | "n" => json(out, value, depth),
        pointer if pointer.starts_with('*') && value.is_none() => out.push_str("null"),
        name => write(out, name.trim_start_matches('*'), value, depth),
    }
}

/// A value of a type, or whether any is let in.
fn alternative(out: &mut String, of: &str, value: ValueRef, depth: Depth) {
    if value.is_none() {
        return out.push_str("null");
    }
    let allows = value.as_bool().unwrap_or(true);
    let separator = if depth.is_some() { "\": " } else { "\":" };
    out.push('{');
    line_break(out, deeper(depth));
    out.push_str(&format!("\"Allows{separator}{allows},"));
    line_break(out, deeper(depth));
    out.push_str(&format!("\"Schema{separator}"));
    match value.as_bool() {
        Some(_) => out.push_str("null"),
        None => write(out, of, value, deeper(depth)),
    }
    line_break(out, depth);
    out.push('}');
}

/// Characters that could end a script are escaped, as the reference's encoder does.
fn escape(text: String) -> String {
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

/// JSON as is.
fn json(out: &mut String, value: ValueRef, depth: Depth) {
    match depth {
        Some(_) if !value.is_empty() => {
            let entries: Vec<(Option<&str>, ValueRef)> = match value.index(0).is_absent() {
                true => value.entries().map(|(key, value)| (Some(key), value)).collect(),
                false => value.iter().map(|item| (None, item)).collect(),
            };
            let (open, close) = if entries[0].0.is_some() { ('{', '}') } else { ('[', ']') };
            out.push(open);
            for (index, (key, item)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                line_break(out, deeper(depth));
                if let Some(key) = key {
                    out.push_str(&escape(serde_json::Value::from(key).to_string()));
                    out.push_str(": ");
                }
                json(out, item, deeper(depth));
            }
            line_break(out, depth);
            out.push(close);
        }
        _ if value.is_empty() && !is_scalar(value) => out.push_str("null"),
        _ => out.push_str(&escape(to_json(value).to_string())),
    }
}

fn is_scalar(value: ValueRef) -> bool {
    use portcullis_sdk::tape::Kind;
    !matches!(value.kind(), Kind::Array | Kind::Object | Kind::Absent)
}
