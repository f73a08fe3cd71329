//! Label selectors inside objects.

use portcullis_sdk::ValueRef;

use crate::shown::Typed;
use crate::{Errors, Field, formats, meta};

/// Checks a LabelSelector at `at`; nothing is wrong with one that is not there.
pub fn check(at: Field, selector: ValueRef, errors: &mut Errors) {
    meta::labels(at.child("matchLabels"), selector.get("matchLabels"), errors);
    let list = at.child("matchExpressions");
    for (index, expression) in selector.get("matchExpressions").iter().enumerate() {
        requirement(&list.index(index), expression, errors);
    }
}

fn requirement(at: &Field, expression: ValueRef, errors: &mut Errors) {
    let values = expression.get("values");
    match expression.get("operator").str_or_empty() {
        "In" | "NotIn" if values.is_empty() => {
            errors.required(at.child("values"), "must be specified when `operator` is 'In' or 'NotIn'");
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.forbidden(at.child("values"), detail);
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => errors.invalid(at.child("operator"), other, "not a valid selector operator"),
    }
    let key = expression.get("key").str_or_empty();
    errors.invalid_each(at.child("key"), key, formats::qualified_name(key));
    let list = at.child("values");
    for (index, value) in values.iter().enumerate() {
        let value = value.str_or_empty();
        errors.invalid_each(list.index(index), value, formats::label_value(value));
    }
}

/// A selector for a message.
pub fn shown(selector: ValueRef) -> Typed {
    Typed("LabelSelector", selector)
}

/// Whether a selector can be evaluated at all.
pub fn is_valid(selector: ValueRef) -> bool {
    let mut errors = Errors::new();
    check(Field::new(""), selector, &mut errors);
    errors.is_empty()
}

/// Whether a selector has no requirement.
pub fn is_empty(selector: ValueRef) -> bool {
    selector.get("matchLabels").is_empty() && selector.get("matchExpressions").is_empty()
}
