//! Label and field selectors (API reference, "Labels and Selectors", "Field Selectors").

mod field;
mod label;
mod lexer;

pub use field::{FieldOperator, FieldSelector, FieldTerm};
pub use label::{LabelSelector, Operator, Requirement, label_key_error, label_value_error};

#[cfg(test)]
mod tests;
