//! What the functions do. [`call`] finds one by its name and the values that it is given.
//!
//! The arguments have the types that the signature says, or, where an argument's type was not known, any: those calls
//! end as the reference's do, with `no such overload`.

pub mod authz;
mod convert;
mod lists;
mod net;
mod operators;
mod quantity;
pub mod semver;
mod strings;
#[cfg(test)]
mod tests;
mod time;
pub mod url;

pub use convert::to_text;
pub use time::parse_duration;

use crate::program::EvalError;
use crate::value::Val;

/// What a function gives.
pub type Outcome<'a> = Result<Val<'a>, EvalError>;

fn failed<'a>(text: impl AsRef<str>) -> Outcome<'a> {
    Err(EvalError::failed(text))
}

/// Calls a function.
///
/// # Errors
/// If it fails, or takes no such values.
pub fn call<'a>(name: &str, args: &[Val<'a>]) -> Outcome<'a> {
    operators::call(name, args)
        .or_else(|| strings::call(name, args))
        .or_else(|| lists::call(name, args))
        .or_else(|| convert::call(name, args))
        .or_else(|| time::call(name, args))
        .or_else(|| net::call(name, args))
        .or_else(|| quantity::call(name, args))
        .or_else(|| semver::call(name, args))
        .or_else(|| url::call(name, args))
        .or_else(|| authz::call(name, args))
        .unwrap_or_else(|| failed("no such overload"))
}
