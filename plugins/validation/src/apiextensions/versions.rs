//! Versions of the new kind, and what each has beside its schema.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use crate::shown::Shown;
use crate::shown::Typed;
use crate::{Errors, Field, SPEC, formats};

/// Versions for a message.
struct Versions<'a>(ValueRef<'a>);

impl Shown for Versions<'_> {
    fn shown(&self) -> String {
        let list: Vec<String> =
            self.0.iter().map(|one| Typed("CustomResourceDefinitionVersion", one).shown()).collect();
        format!("[{}]", list.join(","))
    }
}

/// The list of versions: good names, each once, one of them for storage.
pub(super) fn check(spec: ValueRef, errors: &mut Errors) {
    let (versions, list) = (spec.get("versions"), SPEC.child("versions"));
    let mut names = BTreeSet::new();
    let (mut stored, mut unique) = (0, true);
    for (index, version) in versions.iter().enumerate() {
        let at = list.index(index);
        let name = version.get("name").str_or_empty();
        stored += usize::from(version.get("storage").as_bool() == Some(true));
        unique &= names.insert(name);
        let wrong = formats::dns_1035_label(name);
        if !wrong.is_empty() {
            errors.invalid(at.child("name"), name, wrong.join(","));
        }
        let warning = version.get("deprecationWarning");
        if let Some(text) = warning.as_str() {
            let place = at.child("deprecationWarning");
            if version.get("deprecated").as_bool() != Some(true) {
                errors.invalid(place, text, "can only be set for deprecated versions");
            }
            if text.is_empty() {
                errors.invalid(place, text, "must not be an empty string");
            } else if text.len() > 256 {
                errors.invalid(place, text, "must be <= 256 characters long");
            }
        }
    }
    if !unique {
        errors.invalid(list, &Versions(versions), "must contain unique version names");
    }
    if stored != 1 {
        errors.invalid(list, &Versions(versions), "must have exactly one version marked as storage version");
    }
    let first = versions.index(0).get("name").str_or_empty();
    let wrong = formats::dns_1035_label(first);
    if !first.is_empty() && !wrong.is_empty() {
        errors.invalid(SPEC.child("version"), first, wrong.join(","));
    }
}

/// A path such as `.spec.replicas`, without lists.
fn simple_path(at: Field, path: &str, roots: &[&str], errors: &mut Errors) {
    let part = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && !part.starts_with(|c: char| c.is_ascii_digit())
    };
    if path.is_empty() {
        return errors.required(at, "");
    }
    let good = path.strip_prefix('.').is_some_and(|rest| rest.split('.').all(part));
    if !good {
        errors.invalid(at, path, "should be a simple json path in dot notation");
    } else if !roots.is_empty() && !roots.iter().any(|root| path.starts_with(root)) {
        errors.invalid(at, path, format!("should be a json path under {}", roots.join(" or ")));
    }
}

/// Subresources of a version.
pub(super) fn subresources(at: &Field, version: ValueRef, errors: &mut Errors) {
    let (scale, at) = (version.get("subresources").get("scale"), at.child("subresources.scale"));
    if scale.is_none() {
        return;
    }
    let text = |name| scale.get(name).str_or_empty();
    simple_path(at.child("specReplicasPath"), text("specReplicasPath"), &[".spec."], errors);
    simple_path(at.child("statusReplicasPath"), text("statusReplicasPath"), &[".status."], errors);
    if !text("labelSelectorPath").is_empty() {
        let roots = [".spec.", ".status."];
        simple_path(at.child("labelSelectorPath"), text("labelSelectorPath"), &roots, errors);
    }
}

/// Columns that tools print.
pub(super) fn columns(at: &Field, version: ValueRef, errors: &mut Errors) {
    let list = at.child("additionalPrinterColumns");
    for (index, column) in version.get("additionalPrinterColumns").iter().enumerate() {
        let at = list.index(index);
        let text = |name| column.get(name).str_or_empty();
        errors.needs(at.child("name"), text("name"));
        if text("type").is_empty() {
            errors.required(at.child("type"), "must be one of boolean, date, integer, number, string");
        } else {
            errors.one_of(at.child("type"), text("type"), &["boolean", "date", "integer", "number", "string"]);
        }
        let formats = ["", "byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
        errors.one_of(at.child("format"), text("format"), &formats);
        let path = text("jsonPath");
        if errors.needs(at.child("jsonPath"), path) && !path.starts_with(['.', '[', '{']) {
            let detail = format!("does not start with '.': {path}");
            errors.invalid(at.child("jsonPath"), path, detail);
        }
    }
}

/// Fields that lists can be narrowed down by.
pub(super) fn selectable(at: &Field, version: ValueRef, errors: &mut Errors) {
    let (fields, list) = (version.get("selectableFields"), at.child("selectableFields"));
    let root = version.get("schema").get("openAPIV3Schema");
    if fields.len() > 8 {
        errors.too_many(list, fields.len(), 8);
    }
    let mut seen = BTreeSet::new();
    for (index, field) in fields.iter().enumerate() {
        let (at, path) = (list.index(index), field.get("jsonPath").str_or_empty());
        let at = at.child("jsonPath");
        if path.is_empty() {
            errors.required(at, "");
            continue;
        }
        if path.starts_with(".metadata") {
            errors.invalid(at, path, "is an invalid path: does not refer to a valid field");
        } else {
            selects(at, path, root, errors);
        }
        errors.unique(&mut seen, at, path);
    }
}

fn selects(at: Field, path: &str, root: ValueRef, errors: &mut Errors) {
    let mut schema = root;
    for part in path.trim_start_matches('.').split('.') {
        schema = schema.get("properties").get(part);
    }
    if schema.is_none() {
        return errors.invalid(at, path, "is an invalid path: does not refer to a valid field");
    }
    if !matches!(schema.get("type").str_or_empty(), "string" | "boolean" | "integer") {
        let detail = "must point to a field of type string, boolean or integer. Enum string fields and strings with \
                      formats are allowed.";
        errors.invalid(at, path, detail);
    }
}
