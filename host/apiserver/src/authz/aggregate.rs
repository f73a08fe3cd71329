//! Aggregated ClusterRoles: the rules of a role whose `aggregationRule` selects others (API reference, "Aggregated
//! ClusterRoles").

use portcullis_machinery::{Value, object};

/// Whether a label selector (`matchLabels` and `matchExpressions`) selects these labels.
fn selects(selector: &Value, role: &Value) -> bool {
    let label = |key: &str| object::label(role, key);
    let by_label = selector
        .get("matchLabels")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
        .all(|(key, value)| label(key).is_some() && label(key) == value.as_str());
    by_label
        && object::list_at(selector, &["matchExpressions"]).iter().all(|expression| {
            let found = label(object::str_at(expression, &["key"]).unwrap_or_default());
            let listed =
                || object::list_at(expression, &["values"]).iter().filter_map(Value::as_str).any(|v| Some(v) == found);
            match object::str_at(expression, &["operator"]).unwrap_or_default() {
                "In" => found.is_some() && listed(),
                "NotIn" => !(found.is_some() && listed()),
                "Exists" => found.is_some(),
                "DoesNotExist" => found.is_none(),
                _ => false,
            }
        })
}

/// The rules that an aggregated role should have: those of all roles that a selector selects, selector by selector, the
/// roles in order of their names, each rule once. `None` if the role is not aggregated.
pub fn aggregated_rules<'a>(role: &Value, roles: impl Iterator<Item = &'a Value>) -> Option<Value> {
    role.pointer("/aggregationRule/clusterRoleSelectors")?;
    let selectors = object::list_at(role, &["aggregationRule", "clusterRoleSelectors"]);
    let mut roles: Vec<&Value> = roles.filter(|other| object::name(other) != object::name(role)).collect();
    roles.sort_by_key(|role| object::name(role).to_owned());
    let mut rules: Vec<Value> = Vec::new();
    for selector in selectors {
        for other in roles.iter().filter(|other| selects(selector, other)) {
            for rule in object::list_at(other, &["rules"]) {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
    }
    Some(Value::Array(rules))
}
