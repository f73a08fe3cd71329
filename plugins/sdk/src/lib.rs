//! Write Portcullis policies in Rust: one function and one macro.
//!
//! A policy is a function from a configuration and the values it asked for to an answer:
//!
//! ```ignore
//! use portcullis_sdk::{Input, Verdict, deny};
//!
//! #[derive(serde::Deserialize)]
//! struct Config { registry: String }
//!
//! fn check(config: &Config, input: &Input) -> Verdict {
//!     for image in input.all(0).filter_map(|image| image.as_str()) {
//!         if !image.starts_with(&config.registry) {
//!             return deny(format!("{image} does not come from {}", config.registry));
//!         }
//!     }
//!     Verdict::allow()
//! }
//!
//! portcullis_sdk::validator!(Config, ["/object/spec/containers/*/image"], check);
//! ```
//!
//! The macros: [`authenticator!`], [`authorizer!`], [`mutator!`], [`validator!`], [`object_validator!`], [`scheduler!`] and
//! [`converter!`].
//! Each takes the type of the configuration (any `serde::Deserialize`; put rules on it with `serde(try_from)`), the
//! declared paths (entry `i` of the input belongs to path `i`; see `wit/types.wit`) and the function. Build with
//! `crate-type = ["cdylib", "rlib"]` for `wasm32-unknown-unknown`; the same crate's tests run natively.

pub mod bindings;
pub mod conversion;
mod convert;
pub mod host;
mod input;
mod macros;
mod patch;
mod selector;
#[cfg(not(target_family = "wasm"))]
pub mod testing;
mod verdict;

pub use bindings::{
    authenticator::exports::portcullis::policy::authenticator::Outcome,
    authorizer::exports::portcullis::policy::authorizer::Decision,
    common::portcullis::policy::types::{AuditAnnotation, Cause, Declaration, Denial, InputForm, UserInfo},
    mutator::exports::portcullis::policy::mutator::{Mutation, Operation, PatchOperation},
    object_validator::exports::portcullis::policy::object_validator::{ErrorType, FieldError, Findings},
    scheduler::exports::portcullis::policy::scheduler::{NodeBatch, Placement, SchedulerDeclaration},
    validator::exports::portcullis::policy::validator::Verdict,
};
pub use convert::to_json;
pub use input::Input;
#[doc(hidden)]
pub use macros::runtime;
pub use patch::Patch;
pub use portcullis_tape as tape;
pub use portcullis_tape::ValueRef;
pub use selector::selects;
pub use verdict::{cause, deny};
