//! Label selectors inside objects.

use portcullis_sdk::ValueRef;

use crate::{Errors, formats, meta};

/// Checks a LabelSelector at `field`.
pub fn check(field: &str, selector: ValueRef, errors: &mut Errors) {
    meta::labels(&format!("{field}.matchLabels"), selector.get("matchLabels"), errors);
    for (index, expression) in selector.get("matchExpressions").iter().enumerate() {
        let at = format!("{field}.matchExpressions[{index}]");
        let operator = expression.get("operator").str_or_empty();
        let values = expression.get("values");
        match operator {
            "In" | "NotIn" if values.is_empty() => {
                errors.required(format!("{at}.values"), "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                errors.forbidden(
                    format!("{at}.values"),
                    "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                );
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => errors.invalid(format!("{at}.operator"), other, "not a valid selector operator"),
        }
        let key = expression.get("key").str_or_empty();
        errors.invalid_each(&format!("{at}.key"), key, formats::qualified_name(key));
        for (value_index, value) in values.iter().enumerate() {
            let value = value.str_or_empty();
            errors.invalid_each(&format!("{at}.values[{value_index}]"), value, formats::label_value(value));
        }
    }
}

/// Whether a selector can be evaluated at all.
pub fn is_valid(selector: ValueRef) -> bool {
    let mut errors = Errors::new();
    check("", selector, &mut errors);
    errors.into_inner().is_empty()
}

/// Whether a selector has no requirement.
pub fn is_empty(selector: ValueRef) -> bool {
    selector.get("matchLabels").is_empty() && selector.get("matchExpressions").is_empty()
}

/// Whether a valid selector matches these labels.
pub fn matches(selector: ValueRef, labels: ValueRef) -> bool {
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
