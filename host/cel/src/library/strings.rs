//! Text: the standard's functions, the extended strings library, and regular expressions.

use regex::Regex;

use super::{Outcome, failed, to_text};
use crate::value::Val;

pub(super) fn call<'a>(name: &str, args: &[Val<'a>]) -> Option<Outcome<'a>> {
    let yes = |value: bool| Some(Ok(Val::Bool(value)));
    let int = |value: i64| Some(Ok(Val::Int(value)));
    let text = |value: String| Some(Ok(Val::String(value.into())));
    match (name, args) {
        ("matches", [Val::String(a), Val::String(pattern)]) => Some(regex(pattern).map(|r| Val::Bool(r.is_match(a)))),
        ("find", [Val::String(a), Val::String(pattern)]) => {
            Some(regex(pattern).map(|r| r.find(a).map_or("", |found| found.as_str()).into()))
        }
        ("findAll", [Val::String(a), Val::String(pattern), rest @ ..]) => {
            let most = match rest {
                [Val::Int(most)] => usize::try_from(*most).unwrap_or(usize::MAX),
                _ => usize::MAX,
            };
            Some(
                regex(pattern)
                    .map(|r| Val::list(r.find_iter(a).take(most).map(|found| found.as_str().into()).collect())),
            )
        }
        ("contains", [Val::String(a), Val::String(b)]) => yes(a.contains(&**b)),
        ("startsWith", [Val::String(a), Val::String(b)]) => yes(a.starts_with(&**b)),
        ("endsWith", [Val::String(a), Val::String(b)]) => yes(a.ends_with(&**b)),
        ("lowerAscii", [Val::String(a)]) => text(a.to_ascii_lowercase()),
        ("upperAscii", [Val::String(a)]) => text(a.to_ascii_uppercase()),
        ("trim", [Val::String(a)]) => text(a.trim().to_owned()),
        ("reverse", [Val::String(a)]) => text(a.chars().rev().collect()),
        ("charAt", [Val::String(a), Val::Int(at)]) => {
            let count = a.chars().count();
            match usize::try_from(*at).ok().filter(|at| *at <= count) {
                Some(at) => text(a.chars().nth(at).map(String::from).unwrap_or_default()),
                None => Some(failed(format!("index out of range: {at}"))),
            }
        }
        ("indexOf", [Val::String(a), Val::String(b), rest @ ..]) => {
            let from = match rest {
                [Val::Int(from)] => *from,
                _ => 0,
            };
            let Some(skip) = usize::try_from(from).ok().filter(|from| *from <= a.chars().count()) else {
                return Some(failed(format!("index out of range: {from}")));
            };
            let start = a.char_indices().nth(skip).map_or(a.len(), |(at, _)| at);
            int(a[start..].find(&**b).map_or(-1, |at| a[..start + at].chars().count() as i64))
        }
        ("lastIndexOf", [Val::String(a), Val::String(b), rest @ ..]) => {
            let end = match rest {
                [Val::Int(until)] => {
                    let Some(until) = usize::try_from(*until).ok().filter(|until| *until <= a.chars().count()) else {
                        return Some(failed(format!("index out of range: {until}")));
                    };
                    let start = a.char_indices().nth(until).map_or(a.len(), |(at, _)| at);
                    (start + b.len()).min(a.len())
                }
                _ => a.len(),
            };
            int(a.get(..end)?.rfind(&**b).map_or(-1, |at| a[..at].chars().count() as i64))
        }
        ("replace", [Val::String(a), Val::String(from), Val::String(to)]) => text(a.replace(&**from, to)),
        ("replace", [Val::String(a), Val::String(from), Val::String(to), Val::Int(most)]) => {
            text(match usize::try_from(*most) {
                Ok(most) => a.replacen(&**from, to, most),
                Err(_) => a.replace(&**from, to),
            })
        }
        ("split", [Val::String(a), Val::String(by), rest @ ..]) => {
            let most = match rest {
                [Val::Int(most)] => usize::try_from(*most).ok(),
                _ => None,
            };
            Some(Ok(Val::list(split(a, by, most).into_iter().map(Val::from).collect())))
        }
        ("substring", [Val::String(a), Val::Int(start), rest @ ..]) => Some(substring(a, *start, rest)),
        ("join", [list, rest @ ..]) => {
            let items = list.items()?;
            let by = match rest {
                [Val::String(by)] => &**by,
                _ => "",
            };
            let texts: Option<Vec<String>> = items
                .iter()
                .map(|item| match item {
                    Val::String(text) => Some(text.to_string()),
                    _ => None,
                })
                .collect();
            texts.map(|texts| Ok(Val::String(texts.join(by).into())))
        }
        ("jsonpatch.escapeKey", [Val::String(a)]) => text(a.replace('~', "~0").replace('/', "~1")),
        ("strings.quote", [Val::String(a)]) => text(serde_json::Value::from(&**a).to_string()),
        ("format", [Val::String(pattern), args]) => Some(format(pattern, &args.items()?)),
        _ => None,
    }
}

fn regex(pattern: &str) -> Result<Regex, crate::program::EvalError> {
    Regex::new(pattern).map_err(|error| crate::program::EvalError::failed(format!("error parsing regexp: {error}")))
}

fn split<'t>(text: &'t str, by: &str, most: Option<usize>) -> Vec<&'t str> {
    match (by.is_empty(), most) {
        (_, Some(0)) => Vec::new(),
        (false, Some(most)) => text.splitn(most, by).collect(),
        (false, None) => text.split(by).collect(),
        (true, most) => {
            let mut parts: Vec<&str> = text.char_indices().map(|(at, c)| &text[at..at + c.len_utf8()]).collect();
            if let Some(most) = most.filter(|most| *most < parts.len()) {
                let rest: usize = parts[..most - 1].iter().map(|part| part.len()).sum();
                parts.truncate(most - 1);
                parts.push(&text[rest..]);
            }
            parts
        }
    }
}

fn substring<'a>(text: &str, start: i64, rest: &[Val<'a>]) -> Outcome<'a> {
    let count = text.chars().count() as i64;
    let end = match rest {
        [Val::Int(end)] => *end,
        _ => count,
    };
    if start < 0 || start > count {
        return failed(format!("index out of range: {start}"));
    }
    if end < 0 || end > count {
        return failed(format!("index out of range: {end}"));
    }
    if start > end {
        return failed(format!("invalid substring range. start: {start}, end: {end}"));
    }
    let cut: String = text.chars().skip(start as usize).take((end - start) as usize).collect();
    Ok(Val::String(cut.into()))
}

/// `"%s is %d".format([a, b])`.
fn format<'a>(pattern: &str, args: &[Val<'a>]) -> Outcome<'a> {
    let mut out = String::new();
    let mut next = args.iter();
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let mut precision = None;
        if rest.peek() == Some(&'.') {
            rest.next();
            let mut digits = String::new();
            while let Some(digit) = rest.next_if(char::is_ascii_digit) {
                digits.push(digit);
            }
            precision = digits.parse::<usize>().ok();
        }
        let Some(verb) = rest.next() else {
            return failed("could not parse formatting clause: unexpected end of string");
        };
        if verb == '%' {
            out.push('%');
            continue;
        }
        let Some(arg) = next.next() else { return failed("index out of range: not enough arguments") };
        let piece = match (verb, arg) {
            ('s', arg) => shown(arg),
            ('d', Val::Int(_) | Val::Uint(_)) => shown(arg),
            ('f', Val::Double(value)) => format!("{value:.*}", precision.unwrap_or(6)),
            ('f', Val::Int(value)) => format!("{:.*}", precision.unwrap_or(6), *value as f64),
            ('e', Val::Double(value)) => format!("{value:.*e}", precision.unwrap_or(6)),
            ('b', Val::Int(value)) => format!("{value:b}"),
            ('b', Val::Bool(value)) => u8::from(*value).to_string(),
            ('o', Val::Int(value)) => format!("{value:o}"),
            ('x', Val::Int(value)) => format!("{value:x}"),
            ('X', Val::Int(value)) => format!("{value:X}"),
            ('x', Val::String(text)) => text.bytes().map(|byte| format!("{byte:02x}")).collect(),
            _ => return failed(format!("unrecognized formatting clause \"{verb}\"")),
        };
        out.push_str(&piece);
    }
    Ok(Val::String(out.into()))
}

/// A value as `%s` shows it.
fn shown(value: &Val<'_>) -> String {
    if let Some(items) = value.items() {
        return format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", "));
    }
    if let Some(entries) = value.entries() {
        let mut pairs: Vec<String> = entries.iter().map(|(k, v)| format!("{}: {}", shown(k), shown(v))).collect();
        pairs.sort();
        return format!("{{{}}}", pairs.join(", "));
    }
    match value {
        Val::Null => "null".to_owned(),
        other => to_text(other).unwrap_or_default(),
    }
}
