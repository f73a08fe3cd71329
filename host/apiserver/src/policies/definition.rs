//! What a policy is told about its expressions when it is written.
//!
//! All else about policies is the matter of object validators. Expressions that an update leaves as they were are
//! compiled too; only the match conditions are left alone if neither they nor the parameters' kind have changed.

use portcullis_cel::admission::{Names, Wanted};
use portcullis_cel::{Program, Type};
use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::{Value, object};

/// The longest expression of an audit annotation, in bytes.
const LONGEST_VALUE: usize = 5 << 10;

/// What is wrong with the expressions of a policy of either kind; `old` is what an update replaces.
pub fn check(policy: &Value, old: Option<&Value>) -> Vec<Cause> {
    let mut check = Check { policy, causes: Vec::new() };
    let mut names = Names::untyped(spec(policy, "paramKind").is_some());
    let same = |key: &str| old.is_some_and(|old| spec(old, key) == spec(policy, key));
    if !(same("paramKind") && same("matchConditions")) {
        check.each("matchConditions", &["expression"], Wanted::Bool, true, &names.variables(true));
    }
    let mutates = object::kind(policy) == "MutatingAdmissionPolicy";
    // Only a policy with variables has the name `variables`; a mutating one always has it.
    names.composed = mutates.then(Vec::new);
    check.variables(&mut names);
    let (full, unasked) = (names.variables(true), names.variables(false));
    if mutates {
        check.mutations(&full);
    } else {
        check.each("validations", &["expression"], Wanted::Bool, false, &full);
        check.each("validations", &["messageExpression"], Wanted::String, false, &unasked);
        check.each("auditAnnotations", &["valueExpression"], Wanted::StringOrNull, true, &full);
    }
    check.causes
}

/// The order in which the parts of a policy are checked, and with it what is wrong with them told.
const ORDER: [&str; 9] = [
    "failurePolicy",
    "paramKind",
    "matchConstraints",
    "matchConditions",
    "variables",
    "validations",
    "auditAnnotations",
    "mutations",
    "reinvocationPolicy",
];

/// Within each entry of a list, too.
const WITHIN: [&str; 8] =
    ["patchType", "key", "expression", "messageExpression", "message", "reason", "valueExpression", "name"];

/// Brings what validators and the check of expressions have found into one order.
pub fn sort(causes: &mut [Cause]) {
    causes.sort_by_key(|cause| {
        let rest = cause.field.strip_prefix("spec.").unwrap_or(&cause.field);
        let part = rest.split(['.', '[']).next().unwrap_or_default();
        let place = ORDER.iter().position(|known| *known == part).unwrap_or(0);
        let entry = rest.strip_prefix(part).and_then(|rest| rest.strip_prefix('[')?.split_once(']'));
        let Some((index, within)) = entry else { return (place, 0, 0) };
        let last = within.rsplit('.').next().unwrap_or_default();
        // Variables are named before they say what they are.
        let last = if part == "variables" && last == "name" { "key" } else { last };
        let within = WITHIN.iter().position(|known| *known == last).unwrap_or(WITHIN.len());
        (place, index.parse::<usize>().unwrap_or(0) + 1, within)
    });
}

fn spec<'v>(policy: &'v Value, key: &str) -> Option<&'v Value> {
    object::get_at(policy, &["spec", key])
}

struct Check<'p> {
    policy: &'p Value,
    causes: Vec<Cause>,
}

impl<'p> Check<'p> {
    fn list(&self, key: &str) -> &'p [Value] {
        object::list_at(self.policy, &["spec", key])
    }

    fn invalid(&mut self, field: &str, text: &str, why: &str) {
        self.causes.push(Cause::field(FieldErrorType::Invalid, field, &Value::from(text).to_string(), why));
    }

    /// Checks an expression; `trimmed` is whether it is compiled without the blanks around it.
    fn one(&mut self, field: &str, text: &str, wanted: Wanted, trimmed: bool, variables: &[(String, Type)]) {
        let source = if trimmed { text.trim() } else { text };
        if !source.trim().is_empty()
            && let Err(why) = wanted.compile(source, variables)
        {
            let shown = if wanted == Wanted::StringOrNull { text } else { source };
            self.invalid(field, shown, &why);
        }
    }

    fn each(&mut self, list: &str, path: &[&str], wanted: Wanted, trimmed: bool, variables: &[(String, Type)]) {
        for (index, entry) in self.list(list).iter().enumerate() {
            let text = object::str_at(entry, path).unwrap_or_default();
            if wanted == Wanted::StringOrNull && text.trim().len() > LONGEST_VALUE {
                continue;
            }
            self.one(&format!("spec.{list}[{index}].{}", path.join(".")), text, wanted, trimmed, variables);
        }
    }

    fn variables(&mut self, names: &mut Names) {
        for (index, variable) in self.list("variables").iter().enumerate() {
            let text = |key: &str| object::str_at(variable, &[key]).unwrap_or_default();
            let (name, expression) = (text("name"), text("expression"));
            if expression.trim().is_empty() {
                continue;
            }
            let made: Result<Program, String> = names.compose(name, expression);
            if let Err(error) = made {
                let field = format!("spec.variables[{index}].expression");
                self.invalid(&field, expression, &format!("compilation failed: {error}"));
            }
        }
    }

    fn mutations(&mut self, variables: &[(String, Type)]) {
        for (index, mutation) in self.list("mutations").iter().enumerate() {
            let (part, wanted) = match object::str_at(mutation, &["patchType"]) {
                Some("ApplyConfiguration") => ("applyConfiguration", Wanted::Object),
                Some("JSONPatch") => ("jsonPatch", Wanted::Operations),
                _ => continue,
            };
            let text = object::str_at(mutation, &[part, "expression"]).unwrap_or_default();
            self.one(&format!("spec.mutations[{index}].{part}.expression"), text, wanted, true, variables);
        }
    }
}
