//! Collects errors.

use portcullis_sdk::{ErrorType, FieldError, ValueRef, to_json};

/// Errors in the order in which they were found.
#[derive(Default)]
pub struct Errors {
    list: Vec<FieldError>,
}

/// A value for a message.
pub trait Shown {
    /// As JSON text.
    fn shown(&self) -> String;
}

impl Shown for ValueRef<'_> {
    fn shown(&self) -> String {
        to_json(*self).to_string()
    }
}

impl Shown for str {
    fn shown(&self) -> String {
        serde_json::Value::from(self).to_string()
    }
}

impl Shown for i64 {
    fn shown(&self) -> String {
        self.to_string()
    }
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

    fn push(&mut self, error_type: ErrorType, field: impl Into<String>, value: String, detail: impl Into<String>) {
        self.list.push(FieldError { error_type, field: field.into(), value, detail: detail.into() });
    }

    /// A field that must be there is not.
    pub fn required(&mut self, field: impl Into<String>, detail: impl Into<String>) {
        self.push(ErrorType::Required, field, String::new(), detail);
    }

    /// A value is malformed, or does not fit others.
    pub fn invalid(&mut self, field: impl Into<String>, value: &(impl Shown + ?Sized), detail: impl Into<String>) {
        self.push(ErrorType::Invalid, field, value.shown(), detail);
    }

    /// A value is not one of those allowed.
    pub fn not_supported(&mut self, field: impl Into<String>, value: &(impl Shown + ?Sized), allowed: &[&str]) {
        let allowed: Vec<String> = allowed.iter().map(|value| value.shown()).collect();
        self.push(ErrorType::NotSupported, field, value.shown(), format!("supported values: {}", allowed.join(", ")));
    }

    /// A value that must be unique is there twice.
    pub fn duplicate(&mut self, field: impl Into<String>, value: &(impl Shown + ?Sized)) {
        self.push(ErrorType::Duplicate, field, value.shown(), "");
    }

    /// A field must not be set here.
    pub fn forbidden(&mut self, field: impl Into<String>, detail: impl Into<String>) {
        self.push(ErrorType::Forbidden, field, String::new(), detail);
    }

    /// A value refers to something that is not there.
    pub fn not_found(&mut self, field: impl Into<String>, value: &(impl Shown + ?Sized)) {
        self.push(ErrorType::NotFound, field, value.shown(), "");
    }

    /// A value is longer than so many bytes.
    pub fn too_long(&mut self, field: impl Into<String>, bytes: usize) {
        self.push(ErrorType::TooLong, field, String::new(), format!("may not be more than {bytes} bytes"));
    }

    /// Reports each of `messages` as an invalid value.
    pub fn invalid_each(&mut self, field: &str, value: &(impl Shown + ?Sized), messages: Vec<String>) {
        for message in messages {
            self.invalid(field, value, message);
        }
    }

    /// A number must not be negative; an absent one is not.
    pub fn non_negative(&mut self, field: impl Into<String>, value: ValueRef) {
        if let Some(number) = value.as_i64().filter(|number| *number < 0) {
            self.invalid(field, &number, "must be greater than or equal to 0");
        }
    }

    /// A field must not change.
    pub fn immutable(&mut self, field: impl Into<String>, new: ValueRef, old: ValueRef) {
        if to_json(new) != to_json(old) {
            self.invalid(field, &new, "field is immutable");
        }
    }
}
