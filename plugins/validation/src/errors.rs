//! Collects errors.

use std::collections::BTreeSet;

use portcullis_sdk::{ErrorType, FieldError, ValueRef};

use crate::field::Place;
use crate::shown::Shown;
use crate::values;

/// What a number must be that counts something.
pub const NON_NEGATIVE: &str = "must be greater than or equal to 0";
/// What a field must be that may not change.
pub const IMMUTABLE: &str = "field is immutable";

/// Errors in the order in which they were found.
#[derive(Default)]
pub struct Errors {
    list: Vec<FieldError>,
}

impl Errors {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The errors.
    pub fn into_inner(self) -> Vec<FieldError> {
        self.list
    }

    /// Takes others in, in the order of their texts.
    pub fn extend_sorted(&mut self, others: Errors) {
        let mut others = others.list;
        let name = |error: &FieldError| match error.error_type {
            ErrorType::Required => "Required value",
            ErrorType::Forbidden => "Forbidden",
            ErrorType::Duplicate => "Duplicate value",
            ErrorType::NotSupported => "Unsupported value",
            _ => "Invalid value",
        };
        let key = |error: &FieldError| format!("{}: {}: {}: {}", error.field, name(error), error.value, error.detail);
        others.sort_by_cached_key(key);
        self.list.extend(others);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    fn push(&mut self, error_type: ErrorType, field: impl Place, value: String, detail: impl Into<String>) {
        self.list.push(FieldError { error_type, field: field.text(), value, detail: detail.into() });
    }

    /// A field that must be there is not.
    pub fn required(&mut self, field: impl Place, detail: impl Into<String>) {
        self.push(ErrorType::Required, field, String::new(), detail);
    }

    /// Text must not be empty. Tells whether it is not.
    pub fn needs(&mut self, field: impl Place, text: &str) -> bool {
        if text.is_empty() {
            self.required(field, "");
        }
        !text.is_empty()
    }

    /// A value is malformed, or does not fit others.
    pub fn invalid(&mut self, field: impl Place, value: &(impl Shown + ?Sized), detail: impl Into<String>) {
        self.push(ErrorType::Invalid, field, value.shown(), detail);
    }

    /// The same without a value to show.
    pub fn invalid_bare(&mut self, field: impl Place, detail: impl Into<String>) {
        self.push(ErrorType::Invalid, field, String::new(), detail);
    }

    /// A value is not one of those allowed.
    pub fn not_supported(&mut self, field: impl Place, value: &(impl Shown + ?Sized), allowed: &[&str]) {
        let allowed: Vec<String> = allowed.iter().map(|value| value.shown()).collect();
        self.push(ErrorType::NotSupported, field, value.shown(), format!("supported values: {}", allowed.join(", ")));
    }

    /// Text must be one of `allowed`.
    pub fn one_of(&mut self, field: impl Place, text: &str, allowed: &[&str]) {
        if !allowed.contains(&text) {
            self.not_supported(field, text, allowed);
        }
    }

    /// Text must be there, and be one of `allowed`.
    pub fn needs_one_of(&mut self, field: impl Place, text: &str, allowed: &[&str]) {
        if text.is_empty() {
            self.required(field, "");
        } else {
            self.one_of(field, text, allowed);
        }
    }

    /// Text must be one of `allowed`, or not be there at all.
    pub fn may_be_one_of(&mut self, field: impl Place, value: ValueRef, allowed: &[&str]) {
        if let Some(text) = value.as_str() {
            self.one_of(field, text, allowed);
        }
    }

    /// A value that must be unique is there twice.
    pub fn duplicate(&mut self, field: impl Place, value: &(impl Shown + ?Sized)) {
        self.push(ErrorType::Duplicate, field, value.shown(), "");
    }

    /// The same with an explanation.
    pub fn duplicate_because(&mut self, field: impl Place, value: &(impl Shown + ?Sized), detail: &str) {
        self.push(ErrorType::Duplicate, field, value.shown(), detail);
    }

    /// Reports the value if it has been seen before.
    pub fn unique<'a>(&mut self, seen: &mut BTreeSet<&'a str>, field: impl Place, value: &'a str) {
        if !seen.insert(value) {
            self.duplicate(field, value);
        }
    }

    /// A field must not be set here.
    pub fn forbidden(&mut self, field: impl Place, detail: impl Into<String>) {
        self.push(ErrorType::Forbidden, field, String::new(), detail);
    }

    /// A value refers to something that is not there.
    pub fn not_found(&mut self, field: impl Place, value: &(impl Shown + ?Sized)) {
        self.push(ErrorType::NotFound, field, value.shown(), "");
    }

    /// The same with an explanation.
    pub fn not_found_because(&mut self, field: impl Place, value: &(impl Shown + ?Sized), detail: impl Into<String>) {
        self.push(ErrorType::NotFound, field, value.shown(), detail);
    }

    /// A value is longer than so many bytes.
    pub fn too_long(&mut self, field: impl Place, bytes: usize) {
        self.push(ErrorType::TooLong, field, String::new(), format!("may not be more than {bytes} bytes"));
    }

    /// There are more items than `most`.
    pub fn too_many(&mut self, field: impl Place, found: usize, most: usize) {
        let items = if most == 1 { "item" } else { "items" };
        self.push(ErrorType::TooMany, field, found.to_string(), format!("must have at most {most} {items}"));
    }

    /// Reports each of `messages` as an invalid value.
    pub fn invalid_each(
        &mut self,
        field: impl Place + Clone,
        value: &(impl Shown + ?Sized),
        messages: impl IntoIterator<Item = String>,
    ) {
        for message in messages {
            self.invalid(field.clone(), value, message);
        }
    }

    /// A number must not be negative; an absent one is not.
    pub fn non_negative(&mut self, field: impl Place, value: ValueRef) {
        if let Some(number) = value.as_i64().filter(|number| *number < 0) {
            self.invalid(field, &number, NON_NEGATIVE);
        }
    }

    /// A number, if it is there, must not be negative, for each of these members of `of` at `at`.
    pub fn all_non_negative(&mut self, at: &crate::Field, of: ValueRef, members: &[&str]) {
        for member in members {
            self.non_negative(at.child(member), of.get(member));
        }
    }

    /// A field must not change.
    pub fn immutable(&mut self, field: impl Place, new: ValueRef, old: ValueRef) {
        if !values::same(new, old) {
            self.invalid(field, &new, IMMUTABLE);
        }
    }
}
