//! CEL as the Kubernetes API has it (API reference, "Common Expression Language in Kubernetes").
//!
//! The crate `cel` is the front end: its grammar, its errors of syntax, and its expansion of the standard macros are
//! those of the reference's own implementation, so that positions and costs agree. It neither checks types nor counts
//! costs, and that is what an API server must do before it runs a stranger's expression; so checking ([`check`]),
//! estimating ([`cost`]) and evaluating ([`eval`]) are here, over one tree.
//!
//! * [`types`] has the types of expressions, also those of structural schemas, and [`value`] the values, which borrow
//!   the JSON that they are read from.
//! * [`functions`] is the table of functions with their signatures; [`library`] is what they do.
//! * [`program`] puts it together: an environment of variables, a compiled expression, an evaluation within a budget.
//!   Rules of custom resources have `self` and `oldSelf`; admission policies have `object`, `oldObject`, `request`,
//!   `params`, `namespaceObject` and `variables` in the same way.
//! * [`rules`] is `x-kubernetes-validations` on structural schemas, and [`admission`] what policies' expressions can name.

#![forbid(unsafe_code)]

pub mod admission;
pub mod check;
pub mod cost;
pub mod devices;
pub mod eval;
pub mod functions;
pub mod library;
pub mod parse;
pub mod program;
pub mod rules;
pub mod types;
pub mod value;

pub use program::{Budget, EvalError, Options, Program, Variables};
pub use types::{Kind, Type};
pub use value::Val;
