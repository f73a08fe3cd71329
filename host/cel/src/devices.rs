//! Selectors of devices (`resource.k8s.io`): conditions on a device's driver, attributes and capacities.

use std::sync::LazyLock;

use crate::program::Program;
use crate::types::{Kind, Type};

/// The most that a selector may cost.
const MOST: u64 = 1_000_000;
/// The longest domain, and the most attributes or capacities of a device.
const DOMAIN: u64 = 63;
const IDENTIFIER: u64 = 32;
const ATTRIBUTES: u64 = 32;
/// The longest value of an attribute.
const VALUE: u64 = 64;

/// What is wrong with a selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// It cannot be compiled, or gives something else than a condition.
    #[error("{0}")]
    Invalid(String),
    /// It can cost too much.
    #[error("too complex, exceeds cost limit")]
    TooCostly,
}

/// The type of `device`.
static DEVICE: LazyLock<Type> = LazyLock::new(|| {
    let text = |most: u64| Type { max: most, ..Kind::String.into() };
    let map = |keys: Type, values: Type| Type { max: ATTRIBUTES, ..Type::map(keys, values) };
    let attribute = Type { max: VALUE, ..Kind::Dyn.into() };
    let capacity: Type = Kind::Opaque("kubernetes.Quantity").into();
    let by_domain = |values: Type| map(text(DOMAIN), map(text(IDENTIFIER), values));
    Type::object(
        "kubernetes.DRADevice",
        vec![
            ("driver", text(DOMAIN)),
            ("allowMultipleAllocations", Kind::Bool.into()),
            ("attributes", by_domain(attribute)),
            ("capacity", by_domain(capacity)),
        ],
    )
});

/// Checks a selector.
///
/// # Errors
/// What is wrong with it.
pub fn check(expression: &str) -> Result<(), SelectorError> {
    let program = Program::compile(expression, &[("device".to_owned(), DEVICE.clone())])
        .map_err(|error| SelectorError::Invalid(format!("compilation failed: {error}")))?;
    if !matches!(program.result().kind, Kind::Bool | Kind::Dyn) {
        let given = program.result();
        return Err(SelectorError::Invalid(format!("must evaluate to bool or the unknown type, not {given}")));
    }
    if program.max_cost() > MOST { Err(SelectorError::TooCostly) } else { Ok(()) }
}
