//! CronJobs.

use portcullis_sdk::ValueRef;

use super::{job, schedule};
use crate::{Errors, Review, SPEC, selector};

/// Names of time zones: a line for each region.
const ZONES: &str = include_str!("zones.txt");
const NO_ZONE: &str = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones";

/// A CronJob.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    let spec = review.spec();
    let text = spec.get("schedule").str_or_empty();
    if errors.needs(SPEC.child("schedule"), text) {
        check_schedule(text, spec, review, errors);
    }
    errors.non_negative(SPEC.child("startingDeadlineSeconds"), spec.get("startingDeadlineSeconds"));
    if let Some(zone) = spec.get("timeZone").as_str()
        && !review.old_spec().get("timeZone").is_str(zone)
    {
        time_zone(zone, errors);
    }
    let policy = spec.get("concurrencyPolicy").str_or_empty();
    errors.needs_one_of(SPEC.child("concurrencyPolicy"), policy, &["Allow", "Forbid", "Replace"]);
    let at = SPEC.child("jobTemplate");
    let (at, template) = (at.child("spec"), spec.get("jobTemplate").get("spec"));
    job::spec(at, template, review, errors);
    let given = template.get("selector");
    if !given.is_none() {
        errors.invalid(at.child("selector"), &selector::shown(given), "`selector` will be auto-generated");
    }
    if template.get("manualSelector").as_bool() == Some(true) {
        errors.not_supported(at.child("manualSelector"), &true, &["nil", "false"]);
    }
    errors.all_non_negative(&SPEC, spec, &["successfulJobsHistoryLimit", "failedJobsHistoryLimit"]);
    // Eleven more are needed for the names of its Jobs.
    if !review.update && review.name().len() > 52 {
        errors.invalid("metadata.name", review.name(), "must be no more than 52 characters");
    }
}

fn check_schedule(text: &str, spec: ValueRef, review: &Review, errors: &mut Errors) {
    let at = SPEC.child("schedule");
    if let Err(why) = schedule::parse(text) {
        errors.invalid(at, text, why);
    }
    if !text.contains("TZ") {
        return;
    }
    if !spec.get("timeZone").is_none() {
        errors.invalid(at, text, "cannot use both timeZone field and TZ or CRON_TZ in schedule");
    } else if !review.old_spec().get("schedule").str_or_empty().contains("TZ") {
        errors.invalid(at, text, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead");
    }
}

/// Whether there is such a time zone.
pub(super) fn is_zone(name: &str) -> bool {
    let (region, city) = name.rsplit_once('/').unwrap_or(("", name));
    let found = |line: &str| {
        line.split_once(": ").is_some_and(|(of, names)| of == region && names.split(' ').any(|one| one == city))
    };
    ZONES.lines().any(found)
}

fn time_zone(zone: &str, errors: &mut Errors) {
    let at = SPEC.child("timeZone");
    if zone.is_empty() {
        return errors.invalid(at, zone, "timeZone must be nil or non-empty string");
    }
    let part = |part: &str| {
        (1..=14).contains(&part.len())
            && part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '+'))
            && !part.starts_with('-')
    };
    if !zone.split('/').all(part) {
        errors.invalid(at, zone, format!("unknown time zone {zone}"));
        return;
    }
    if zone.eq_ignore_ascii_case("local") {
        errors.invalid(at, zone, NO_ZONE);
    }
    if zone != "Local" && zone != "UTC" && !is_zone(zone) {
        errors.invalid(at, zone, format!("unknown time zone {zone}"));
    }
}
