//! Node selectors: the terms by which pods and volumes name the nodes that they can be on.

use portcullis_client::ObjectExt;
use portcullis_machinery::Value;

#[cfg(test)]
mod tests;

/// Whether any of the terms fits the node.
pub fn any_fits(terms: &[Value], node: &Value) -> bool {
    terms.iter().any(|term| fits(term, node))
}

/// All requirements of a term hold; a term without any fits nothing.
fn fits(term: &Value, node: &Value) -> bool {
    let (expressions, fields) = (term.list_at(&["matchExpressions"]), term.list_at(&["matchFields"]));
    !(expressions.is_empty() && fields.is_empty())
        && expressions.iter().all(|requirement| holds(requirement, node.label(requirement.str_at(&["key"]))))
        && fields.iter().all(|requirement| holds(requirement, Some(node.name())))
}

fn holds(requirement: &Value, value: Option<&str>) -> bool {
    let values = requirement.list_at(&["values"]);
    let listed = value.is_some_and(|value| values.iter().any(|known| known == value));
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<i64>().ok());
    let pair = number(value).zip(number(values.first().and_then(Value::as_str)));
    match requirement.str_at(&["operator"]) {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => pair.is_some_and(|(value, bound)| value > bound),
        "Lt" => pair.is_some_and(|(value, bound)| value < bound),
        _ => false,
    }
}
