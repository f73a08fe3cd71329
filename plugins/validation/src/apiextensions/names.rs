//! What the new kind is called.

use portcullis_sdk::ValueRef;

use crate::{Errors, Field, Review, SPEC, formats};

/// The definition's own name follows from what it defines. What is wrong with a name, if anything.
pub fn own_name(review: &Review, name: &str) -> Option<String> {
    let text = |of: ValueRef<'_>, name: &str| of.get(name).str_or_empty().to_owned();
    let spec = review.spec();
    let wanted = format!("{}.{}", text(spec.get("names"), "plural"), text(spec, "group"));
    (name != wanted).then(|| "must be spec.names.plural+\".\"+spec.group".to_owned())
}

/// The names at `spec.names`.
pub(super) fn check(names: ValueRef, errors: &mut Errors) {
    let at = SPEC.child("names");
    for member in ["plural", "singular", "kind", "listKind"] {
        let text = |name| names.get(name).str_or_empty();
        errors.needs(at.child(member), text(member));
    }
    form(&at, names, errors);
}

/// What the names look like, those that there are: also of those that were accepted.
pub(super) fn form(at: &Field, names: ValueRef, errors: &mut Errors) {
    let text = |name| names.get(name).str_or_empty();
    for member in ["plural", "singular"] {
        if !text(member).is_empty() {
            errors.invalid_each(at.child(member), text(member), formats::dns_1035_label(text(member)));
        }
    }
    for member in ["kind", "listKind"] {
        let name = text(member);
        for wrong in formats::dns_1035_label(&name.to_lowercase()).into_iter().filter(|_| !name.is_empty()) {
            let detail = format!("may have mixed case, but should otherwise match: {wrong}");
            errors.invalid(at.child(member), name, detail);
        }
    }
    list(&at.child("shortNames"), names.get("shortNames"), errors);
    if !text("kind").is_empty() && text("kind") == text("listKind") {
        errors.invalid(at.child("listKind"), text("listKind"), "kind and listKind may not be the same");
    }
    list(&at.child("categories"), names.get("categories"), errors);
}

fn list(at: &Field, names: ValueRef, errors: &mut Errors) {
    for (index, name) in names.iter().enumerate() {
        let name = name.str_or_empty();
        errors.invalid_each(at.index(index), name, formats::dns_1035_label(name));
    }
}
