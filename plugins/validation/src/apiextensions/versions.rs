//! Versions of the new kind, and what each has beside its schema.

use std::collections::BTreeSet;

use portcullis_sdk::{ValueRef, to_json};

use crate::shown::{Shown, Typed, with_json};
use crate::values::same;
use crate::{Errors, Field, SPEC, formats};

/// What the reference keeps once where all versions have the same, so that its versions are shown without it.
const COMMON: [&str; 4] = ["schema", "subresources", "additionalPrinterColumns", "selectableFields"];

/// Versions for a message.
struct Versions<'a>(ValueRef<'a>);

impl Shown for Versions<'_> {
    fn shown(&self) -> String {
        let first = self.0.index(0);
        let common = COMMON.into_iter().filter(|key| self.0.iter().all(|one| same(one.get(key), first.get(key))));
        let common: Vec<&str> = common.collect();
        let show = |one: ValueRef| {
            let mut version = to_json(one);
            if let Some(members) = version.as_object_mut() {
                members.retain(|key, _| !common.contains(&key.as_str()));
            }
            let mut text = String::new();
            with_json(&version, |version| text = Typed("CustomResourceDefinitionVersion", version).shown());
            text
        };
        let list: Vec<String> = self.0.iter().map(show).collect();
        format!("[{}]", list.join(","))
    }
}

/// The list of versions: good names, each once, one of them for storage.
pub(super) fn check(spec: ValueRef, errors: &mut Errors) {
    let (versions, list) = (spec.get("versions"), SPEC.child("versions"));
    let mut names = BTreeSet::new();
    let (mut stored, mut unique) = (0, true);
    for version in versions.iter() {
        stored += usize::from(version.get("storage").as_bool() == Some(true));
        unique &= names.insert(version.get("name").str_or_empty());
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

/// The name of a version, and the warning that its use gives.
pub(super) fn head(at: &Field, version: ValueRef, errors: &mut Errors) {
    let name = version.get("name").str_or_empty();
    let wrong = formats::dns_1035_label(name);
    if !wrong.is_empty() {
        errors.invalid(at.child("name"), name, wrong.join(","));
    }
    let Some(text) = version.get("deprecationWarning").as_str() else { return };
    let mut wrong = |detail: &str| errors.invalid(at.child("deprecationWarning"), text, detail);
    if version.get("deprecated").as_bool() != Some(true) {
        return wrong("can only be set for deprecated versions");
    }
    if text.len() > 256 {
        wrong("must be <= 256 characters long");
    }
    if text.is_empty() {
        wrong("must not be an empty string");
    }
    // Of all spaces, only the common one is printed.
    let hidden = |c: char| c.is_control() || (c.is_whitespace() && c != ' ');
    if let Some((index, _)) = text.char_indices().find(|(_, c)| hidden(*c)) {
        let detail =
            format!("must only contain printable UTF-8 characters; non-printable character found at index {index}");
        wrong(&detail);
    }
}

/// A path such as `.spec.replicas`, which begins with one of `roots`; what those are is said in `under`.
fn simple_path(at: Field, path: &str, roots: &[&str], under: &str, errors: &mut Errors) {
    if !path.starts_with('.') {
        errors.invalid(at, path, "must be a simple json path starting with .");
    } else if !roots.is_empty() && !roots.iter().any(|root| path.starts_with(root)) {
        errors.invalid(at, path, format!("should be a json path under {under}"));
    }
}

/// Subresources of a version.
pub(super) fn subresources(at: &Field, version: ValueRef, errors: &mut Errors) {
    let (scale, at) = (version.get("subresources").get("scale"), at.child("subresources.scale"));
    if scale.is_none() {
        return;
    }
    let text = |name| scale.get(name).str_or_empty();
    for (member, roots, under) in [
        ("specReplicasPath", &[".spec."][..], ".spec"),
        ("statusReplicasPath", &[".status."], ".status"),
        ("labelSelectorPath", &[".spec.", ".status."], "either .spec or .status"),
    ] {
        match text(member) {
            "" if member == "labelSelectorPath" => {}
            "" => errors.required(at.child(member), ""),
            path => simple_path(at.child(member), path, roots, under, errors),
        }
    }
}

/// Columns that tools print.
pub(super) fn columns(at: &Field, version: ValueRef, errors: &mut Errors) {
    let list = at.child("additionalPrinterColumns");
    for (index, column) in version.get("additionalPrinterColumns").iter().enumerate() {
        let at = list.index(index);
        let text = |name| column.get(name).str_or_empty();
        errors.needs(at.child("name"), text("name"));
        let one_of = |allowed: &[&str]| format!("must be one of {}", allowed.join(","));
        let types = ["boolean", "date", "integer", "number", "string"];
        if text("type").is_empty() {
            errors.required(at.child("type"), one_of(&types));
        } else if !types.contains(&text("type")) {
            errors.invalid(at.child("type"), text("type"), one_of(&types));
        }
        let formats = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
        if !text("format").is_empty() && !formats.contains(&text("format")) {
            errors.invalid(at.child("format"), text("format"), one_of(&formats));
        }
        let path = text("jsonPath");
        if errors.needs(at.child("JSONPath"), path) {
            simple_path(at.child("JSONPath"), path, &[], "", errors);
        }
    }
}

/// Fields that lists can be narrowed down by. `old` is the version as it was: as many as it had, it may keep.
pub(super) fn selectable(at: &Field, version: ValueRef, old: ValueRef, errors: &mut Errors) {
    let (fields, list) = (version.get("selectableFields"), at.child("selectableFields"));
    let root = version.get("schema").get("openAPIV3Schema");
    if !fields.is_empty() && root.is_none() {
        let detail = "may only be set when `version.schema.openAPIV3Schema` is not included";
        return errors.invalid(list, "", detail);
    }
    let mut seen = BTreeSet::new();
    for (index, field) in fields.iter().enumerate() {
        let (at, path) = (list.index(index), field.get("jsonPath").str_or_empty());
        let at = at.child("jsonPath");
        if path.is_empty() {
            errors.required(at, "");
            continue;
        }
        let schema = match selected(path, root) {
            Ok(schema) => schema,
            Err(why) => {
                errors.invalid(at, path, format!("is an invalid path: {why}"));
                continue;
            }
        };
        if path.split('.').nth(1) == Some("metadata") {
            errors.invalid(at, path, "must not point to fields in metadata");
        }
        if !matches!(schema.get("type").str_or_empty(), "string" | "boolean" | "integer") {
            let detail = "must point to a field of type string, boolean or integer. Enum string fields and strings with \
                          formats are allowed.";
            errors.invalid(at, path, detail);
        }
        errors.unique(&mut seen, at, path);
    }
    let kept = old.get("selectableFields").len() > MOST_SELECTABLE && same(fields, old.get("selectableFields"));
    if seen.len() > MOST_SELECTABLE && !kept {
        errors.too_many(list, seen.len(), MOST_SELECTABLE);
    }
}

const MOST_SELECTABLE: usize = 8;

/// The schema of the field that a path leads to; the texts are the reference's.
fn selected<'a>(path: &str, root: ValueRef<'a>) -> Result<ValueRef<'a>, &'static str> {
    if path.contains('[') {
        return Err("path contains array notation, which is not allowed");
    }
    let Some(rest) = path.strip_prefix('.') else { return Err("expected [ or . but got: ") };
    let mut schema = root;
    for part in rest.split('.') {
        schema = schema.get("properties").get(part);
        if schema.is_none() {
            return Err("does not refer to a valid field");
        }
    }
    Ok(schema)
}
