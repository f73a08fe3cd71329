//! What no schema can say of a Web: its range is in order.

use portcullis_sdk::{ErrorType, FieldError, Findings, Input};

/// Takes no configuration.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// What is read of the request; entry `i` of the input belongs to path `i`.
pub const PATHS: [&str; 2] = ["/object/spec/min", "/object/spec/max"];

/// Finds what is wrong.
pub fn check(_: &Config, input: &Input) -> Findings {
    let mut findings = Findings::none();
    if let (Some(min), Some(max)) = (input.get(0).as_i64(), input.get(1).as_i64())
        && max < min
    {
        findings.errors.push(FieldError {
            error_type: ErrorType::Invalid,
            field: "spec.max".into(),
            value: max.to_string(),
            detail: "must be at least spec.min".into(),
        });
    }
    findings
}

portcullis_sdk::object_validator!(Config, PATHS, check);
