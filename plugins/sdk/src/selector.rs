use crate::ValueRef;

/// Whether a LabelSelector selects an object with these labels: one that is absent selects nothing, an empty one
/// everything, and one with an unknown operator nothing.
#[must_use]
pub fn selects(selector: ValueRef, labels: ValueRef) -> bool {
    if selector.is_none() {
        return false;
    }
    selector.get("matchLabels").entries().all(|(key, value)| labels.get(key).is_str(value.str_or_empty()))
        && selector.get("matchExpressions").iter().all(|expression| {
            let value = labels.get(expression.get("key").str_or_empty()).as_str();
            let listed = value.is_some_and(|value| expression.get("values").iter().any(|one| one.is_str(value)));
            match expression.get("operator").str_or_empty() {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}
