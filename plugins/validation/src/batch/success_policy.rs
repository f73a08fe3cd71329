//! When an indexed Job has done enough.

use portcullis_sdk::ValueRef;

use crate::{Errors, Field};

/// Checks the policy at `at`, which is part of `spec`.
pub(super) fn check(at: &Field, spec: ValueRef, errors: &mut Errors) {
    let policy = spec.get("successPolicy");
    if policy.is_none() {
        return;
    }
    if !spec.get("completionMode").is_str("Indexed") {
        return errors.invalid(at, &policy, "requires indexed completion mode");
    }
    let (rules, list) = (policy.get("rules"), at.child("rules"));
    if rules.is_empty() {
        errors.required(list, "at least one rules must be specified when the successPolicy is specified");
    }
    if rules.len() > 20 {
        errors.too_many(list, rules.len(), 20);
    }
    let completions = spec.get("completions").as_i64().unwrap_or(0);
    for (index, rule) in rules.iter().enumerate() {
        check_rule(&list.index(index), rule, completions, errors);
    }
}

fn check_rule(at: &Field, rule: ValueRef, completions: i64, errors: &mut Errors) {
    let (count, indexes) = (rule.get("succeededCount").as_i64(), rule.get("succeededIndexes").as_str());
    if count.is_none() && indexes.is_none() {
        errors.required(at, "at least one of succeededCount or succeededIndexes must be specified");
    }
    let mut total = 0;
    if let Some(text) = indexes {
        let place = at.child("succeededIndexes");
        if text.len() > 64 << 10 {
            errors.too_long(place, 64 << 10);
        }
        match read_indexes(text, completions) {
            Ok(count) => total = count,
            Err(why) => errors.invalid(place, text, format!("error parsing succeededIndexes: {why}")),
        }
    }
    let Some(count) = count else { return };
    let place = at.child("succeededCount");
    if count < 0 {
        errors.invalid(place, &count, crate::errors::NON_NEGATIVE);
    }
    if count > completions {
        let detail = format!("must be less than or equal to {completions} (the number of specified completions)");
        errors.invalid(place, &count, detail);
    }
    if indexes.is_some() && count > total {
        let detail = format!(
            "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        );
        errors.invalid(place, &count, detail);
    }
}

/// How many indexes text such as `1,3-5` names. They must ascend, and be below `completions`.
fn read_indexes(text: &str, completions: i64) -> Result<i64, String> {
    let (mut total, mut last): (i64, Option<i64>) = (0, None);
    if text.is_empty() {
        return Ok(0);
    }
    for part in text.split(',') {
        let ends: Vec<&str> = part.split('-').collect();
        if ends.len() > 2 {
            return Err(format!(
                "the fragment {part:?} violates the requirement that an index interval can have at most two parts separated by '-'"
            ));
        }
        let read = |text: &str| {
            text.parse::<i64>().map_err(|_| format!("cannot convert string to integer for index: {text:?}"))
        };
        let first = read(ends[0])?;
        if first >= completions {
            return Err(format!("too large index: {:?}", ends[0]));
        }
        if let Some(last) = last.filter(|last| *last >= first) {
            return Err(format!("non-increasing order, previous: {last}, current: {first}"));
        }
        let mut end = first;
        if let Some(text) = ends.get(1) {
            end = read(text)?;
            if end >= completions {
                return Err(format!("too large index: {text:?}"));
            }
            if first >= end {
                return Err(format!("non-increasing order, previous: {first}, current: {end}"));
            }
        }
        total += end - first + 1;
        last = Some(end);
    }
    Ok(total)
}
