//! Fields that have one of a fixed set of values.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::schema::builtin::published;

/// The table; its first lines say how it is written.
pub(super) const ENUMS: &str = include_str!("../../facts/enums.tsv");

/// By type, its fields and their values.
static TABLE: LazyLock<HashMap<String, Vec<(&'static str, Vec<&'static str>)>>> = LazyLock::new(|| {
    let mut table: HashMap<String, Vec<(&str, Vec<&str>)>> = HashMap::new();
    let lines = ENUMS.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once('\t'));
    for (values, fields) in lines {
        for (owner, field) in fields.split(',').filter_map(|field| field.rsplit_once('.')) {
            table.entry(published(owner)).or_default().push((field, values.split(',').collect()));
        }
    }
    table
});

/// Says in a field's document which values there are: of the field, or of what it is a list or a map of.
pub(super) fn restrict(property: &mut Value, type_name: &str, field: &str) {
    let Some(fields) = TABLE.get(type_name) else { return };
    let Some((_, values)) = fields.iter().find(|(name, _)| *name == field) else { return };
    match ["items", "additionalProperties"].into_iter().find(|inner| property[*inner].is_object()) {
        Some(inner) => property[inner]["enum"] = json!(values),
        None => property["enum"] = json!(values),
    }
}
