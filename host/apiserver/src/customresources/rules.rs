//! Rules in CEL: on instances, and on the definitions that carry them.

use std::sync::Arc;

use portcullis_cel::rules::{RuleSet, definition};
use portcullis_machinery::schema::CustomType;
use portcullis_machinery::status::Cause;
use portcullis_machinery::structural::Structural;
use portcullis_machinery::{Value, object};

use crate::context::RequestContext;

/// The rules of a type, compiled when they are first needed.
fn rules_of(custom: &CustomType) -> Option<Arc<Option<RuleSet>>> {
    custom.derived(|schema| RuleSet::compile(schema, true))
}

/// Whether a type has rules.
pub fn any(custom: &CustomType) -> bool {
    rules_of(custom).is_some_and(|rules| rules.is_some())
}

/// What an instance's rules say; broken rules that the write did not bring about are warnings.
pub fn check(cx: &RequestContext, custom: &CustomType, instance: &Value, old: Option<&Value>) -> Vec<Cause> {
    let Some(rules) = rules_of(custom) else { return Vec::new() };
    let Some(rules) = &*rules else { return Vec::new() };
    let found = rules.run(instance, old, custom.structural());
    found.warnings.into_iter().for_each(|warning| cx.warn(warning));
    found.causes
}

/// What is wrong with the rules of a definition that is written. What an update leaves as it was is not checked again.
pub fn check_definition(crd: &Value, old: Option<&Value>) -> Vec<Cause> {
    let schemas = |crd: &Value| -> Vec<Value> {
        let versions = object::list_at(crd, &["spec", "versions"]).iter();
        versions.map(|v| object::get_at(v, &["schema", "openAPIV3Schema"]).cloned().unwrap_or_default()).collect()
    };
    let new = schemas(crd);
    if old.is_some_and(|old| schemas(old) == new) {
        return Vec::new();
    }
    // One schema of all versions is reported where older definitions had it.
    let same = new.windows(2).all(|pair| pair[0] == pair[1]);
    let mut causes = Vec::new();
    for (index, schema) in new.iter().enumerate().take(if same { 1 } else { usize::MAX }) {
        let place = if same { "spec.validation".to_owned() } else { format!("spec.versions[{index}].schema") };
        causes.extend(definition::check(&Structural::read(schema), &format!("{place}.openAPIV3Schema")));
    }
    causes
}
