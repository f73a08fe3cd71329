//! What a configuration is told about the expressions of its match conditions when it is written.

use portcullis_cel::{Kind, Program};
use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::{Value, object};

use super::conditions::variables;

/// What is wrong with the match conditions of a configuration. An update that leaves those of all webhooks as they are is
/// not asked again.
pub fn check(configuration: &Value, old: Option<&Value>) -> Vec<Cause> {
    let hooks = |configuration: &'_ Value| object::list_at(configuration, &["webhooks"]).to_vec();
    let new = hooks(configuration);
    if let Some(old) = old.map(hooks)
        && old.len() == new.len()
        && old.iter().zip(&new).all(|(old, new)| old.get("matchConditions") == new.get("matchConditions"))
    {
        return Vec::new();
    }
    let variables = variables();
    let mut causes = Vec::new();
    for (index, hook) in new.iter().enumerate() {
        for (at, condition) in object::list_at(hook, &["matchConditions"]).iter().enumerate() {
            let text = object::str_at(condition, &["expression"]).unwrap_or_default().trim();
            let why = match Program::compile(text, &variables) {
                _ if text.is_empty() => continue,
                Ok(program) if program.result().kind == Kind::Bool => continue,
                Ok(program) => format!("must evaluate to bool but got {}", program.result()),
                Err(error) => format!("compilation failed: {error}"),
            };
            let field = format!("webhooks[{index}].matchConditions[{at}].expression");
            causes.push(Cause::field(FieldErrorType::Invalid, field, &Value::from(text).to_string(), &why));
        }
    }
    causes
}
