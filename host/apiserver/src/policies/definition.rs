//! What a policy is told about its expressions when it is written.

use portcullis_cel::{Kind, Program, Type};
use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::{Value, object};

use super::compiled::{compose, variables};

/// What is wrong with the expressions of a policy.
pub fn check(policy: &Value) -> Vec<Cause> {
    let parameters = object::get_at(policy, &["spec", "paramKind"]).is_some();
    let (composed, types) = compose(policy, parameters);
    let mut causes = Vec::new();
    for (index, (_, program)) in composed.iter().enumerate() {
        let text =
            object::list_at(policy, &["spec", "variables"]).get(index).and_then(|v| object::str_at(v, &["expression"]));
        if let Err(error) = program {
            causes.push(invalid(
                &format!("spec.variables[{index}].expression"),
                text.unwrap_or_default(),
                &compilation(error),
            ));
        }
    }
    let (plain, full) = (variables(parameters, &[]), variables(parameters, &types));
    let mut each = |list: &str, field: &str, variables: &[(String, Type)], wanted: &[Kind]| {
        for (index, entry) in object::list_at(policy, &["spec", list]).iter().enumerate() {
            let text = object::str_at(entry, &[field]).unwrap_or_default();
            if text.trim().is_empty() {
                continue;
            }
            let at = format!("spec.{list}[{index}].{field}");
            match Program::compile(text, variables) {
                Err(error) => causes.push(invalid(&at, text, &compilation(&error))),
                Ok(program) if program.result().is_dyn() || wanted.contains(&program.result().kind) => {}
                Ok(program) => causes.push(invalid(&at, text, &mismatch(wanted, program.result()))),
            }
        }
    };
    each("validations", "expression", &full, &[Kind::Bool]);
    each("validations", "messageExpression", &full, &[Kind::String]);
    each("auditAnnotations", "valueExpression", &full, &[Kind::String, Kind::Null]);
    each("matchConditions", "expression", &plain, &[Kind::Bool]);
    causes
}

fn compilation(error: &str) -> String {
    format!("compilation failed: {error}")
}

fn invalid(field: &str, text: &str, why: &str) -> Cause {
    Cause::field(FieldErrorType::Invalid, field, &Value::from(text).to_string(), why)
}

fn mismatch(wanted: &[Kind], found: &Type) -> String {
    let word = |kind: &Kind| match kind {
        Kind::Null => "null_type".to_owned(),
        kind => Type::from(kind.clone()).to_string(),
    };
    match wanted {
        [one] => format!("must evaluate to {} but got {found}", word(one)),
        many => {
            let words: Vec<String> = many.iter().map(word).collect();
            format!("must evaluate to one of [{}] but got {found}", words.join(" "))
        }
    }
}
