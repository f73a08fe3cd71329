//! Tables of custom resources, from the columns that their definitions give.

use super::age::age;
use super::{Column, described, specs};
use crate::definition::ColumnDefinition;
use crate::object::name;
use crate::openapi::Descriptions;
use jiff::Timestamp;
use serde_json::Value;

pub(super) fn columns(given: &[ColumnDefinition], descriptions: &dyn Descriptions) -> Vec<Column> {
    let custom = |column: &ColumnDefinition| Column {
        name: column.name.clone(),
        type_: column.type_.clone(),
        format: column.format.clone(),
        description: if column.description.is_empty() {
            format!("Custom resource definition column (in JSONPath format): {}", column.json_path)
        } else {
            column.description.clone()
        },
        priority: column.priority,
    };
    let standard = |name: &str, type_: &str| specs::column(name, type_, 0, described::describe("", name, descriptions));
    let age = given.is_empty().then(|| standard("Age", "date"));
    std::iter::once(standard("Name", "string")).chain(given.iter().map(custom)).chain(age).collect()
}

pub(super) fn cells(given: &[ColumnDefinition], object: &Value, now: Timestamp) -> Vec<Value> {
    let age_cell =
        |value: Option<&Value>| value.and_then(Value::as_str).map_or(Value::Null, |at| age(Some(at), now).into());
    let cell = |column: &ColumnDefinition| {
        let found = find(object, &column.json_path);
        match (column.type_.as_str(), found) {
            ("date", found) => age_cell(found),
            (_, None | Some(Value::Null)) => Value::Null,
            ("integer", Some(Value::Number(number))) => {
                number.as_i64().or_else(|| number.as_f64().map(|n| n as i64)).into()
            }
            ("number", Some(Value::Number(number))) => number.clone().into(),
            ("boolean", Some(Value::Bool(value))) => (*value).into(),
            ("string", Some(Value::String(text))) => text.clone().into(),
            ("string", Some(other)) => other.to_string().into(),
            _ => Value::Null,
        }
    };
    let created = given.is_empty().then(|| age_cell(object.pointer("/metadata/creationTimestamp")));
    std::iter::once(name(object).into()).chain(given.iter().map(cell)).chain(created).collect()
}

/// The first value at a simple JSON path: `.spec.a[0].b`, `.metadata.annotations.a\.b`, `.status.conditions[?(@.type=="Ready")].status`.
fn find<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let (mut at, mut rest) = (object, path);
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix('[') {
            let end = inside.find(']')?;
            let step = &inside[..end];
            rest = &inside[end + 1..];
            at = match step.strip_prefix("?(@.").and_then(|test| test.strip_suffix(')')) {
                Some(test) => {
                    let (field, wanted) = test.split_once("==")?;
                    let wanted = wanted.trim().trim_matches(['"', '\'']);
                    let matches = |item: &&Value| item.get(field.trim()).and_then(Value::as_str) == Some(wanted);
                    at.as_array()?.iter().find(matches)?
                }
                None if step == "*" => at.as_array()?.first()?,
                None => match step.trim_matches(['"', '\'']).parse::<usize>() {
                    Ok(index) => at.get(index)?,
                    Err(_) => at.get(step.trim_matches(['"', '\'']))?,
                },
            };
            continue;
        }
        rest = rest.strip_prefix('.').unwrap_or(rest);
        let mut key = String::new();
        let mut chars = rest.char_indices();
        let mut end = rest.len();
        while let Some((index, char)) = chars.next() {
            match char {
                '\\' => key.extend(chars.next().map(|(_, char)| char)),
                '.' | '[' => {
                    end = index;
                    break;
                }
                char => key.push(char),
            }
        }
        rest = &rest[end..];
        if key.is_empty() && !rest.starts_with('[') {
            return if rest.is_empty() { Some(at) } else { None };
        }
        if !key.is_empty() {
            at = at.get(&key)?;
        }
    }
    Some(at)
}
