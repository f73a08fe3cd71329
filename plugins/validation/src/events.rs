//! Events: of the core group, and of `events.k8s.io`, which asks for more.

use portcullis_sdk::ValueRef;

use crate::errors::IMMUTABLE;
use crate::values::same;
use crate::{Errors, Review, formats, meta};

/// What `events.k8s.io` calls the fields, what the errors call them, and whether they are fixed.
const FIXED: [(&str, &str); 14] = [
    ("regarding", "involvedObject"),
    ("reason", "reason"),
    ("note", "message"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
    ("reason", "reason"),
    ("type", "type"),
    ("eventTime", "eventTime"),
    ("action", "action"),
    ("related", "related"),
    ("reportingController", "reportingController"),
    ("reportingInstance", "reportingInstance"),
];

/// Checks an Event.
pub fn check(review: &Review, errors: &mut Errors) {
    if review.kind != "Event" || !review.is_main() {
        return;
    }
    let newer = review.group == "events.k8s.io";
    common(review, newer, errors);
    if !newer {
        return;
    }
    let event = review.object;
    if review.update {
        if !same(event.get("series"), review.old.get("series")) {
            series(event, errors);
        }
        for (member, shown) in FIXED {
            let (new, old) = (event.get(member), review.old.get(member));
            if !same(new, old) {
                errors.invalid(shown, &new, IMMUTABLE);
            }
        }
        return;
    }
    meta::names(formats::dns_subdomain, crate::Field::new("metadata"), event.get("metadata"), errors);
    series(event, errors);
    if event.get("eventTime").is_none() {
        errors.required("eventTime", "");
    }
    let kind = event.get("type").str_or_empty();
    if !matches!(kind, "Normal" | "Warning") {
        errors.invalid("type", "", format!("has invalid value: {kind}"));
    }
    let source = event.get("deprecatedSource");
    let sourced = ["component", "host"].iter().any(|name| !source.get(name).str_or_empty().is_empty());
    let unset = [
        ("firstTimestamp", !event.get("deprecatedFirstTimestamp").is_none()),
        ("lastTimestamp", !event.get("deprecatedLastTimestamp").is_none()),
        ("count", event.get("deprecatedCount").as_i64().unwrap_or(0) != 0),
        ("source", sourced),
    ];
    for (field, _) in unset.into_iter().filter(|(_, set)| *set) {
        errors.invalid(field, "", "needs to be unset");
    }
}

/// What both groups ask for.
fn common(review: &Review, newer: bool, errors: &mut Errors) {
    let event = review.object;
    let (object, message, controller) = if newer {
        ("regarding", "note", "reportingController")
    } else {
        ("involvedObject", "message", "reportingComponent")
    };
    let (namespace, of) = (review.namespace(), event.get(object).get("namespace").str_or_empty());
    let elsewhere = if event.get("eventTime").is_none() {
        if of.is_empty() { !matches!(namespace, "" | "default") } else { namespace != of }
    } else {
        of.is_empty() && !matches!(namespace, "default" | "kube-system")
    };
    if elsewhere {
        errors.invalid("involvedObject.namespace", of, "does not match event.namespace");
    }
    if !event.get("eventTime").is_none() {
        let reporter = event.get(controller).str_or_empty();
        errors.needs(controller, reporter);
        errors.invalid_each(controller, reporter, formats::qualified_name(reporter));
        for member in ["reportingInstance", "action", "reason"] {
            let text = event.get(member).str_or_empty();
            errors.needs(member, text);
            if text.len() > 128 {
                errors.invalid(member, "", "can have at most 128 characters");
            }
        }
        if event.get(message).str_or_empty().len() > 1024 {
            errors.invalid("message", "", "can have at most 1024 characters");
        }
    }
    errors.invalid_each("namespace", namespace, formats::dns_subdomain(namespace));
}

fn series(event: ValueRef, errors: &mut Errors) {
    let series = event.get("series");
    if series.is_none() {
        return;
    }
    if series.get("count").as_i64().unwrap_or(0) < 2 {
        errors.invalid("series.count", "", "should be at least 2");
    }
    if series.get("lastObservedTime").is_none() {
        errors.required("series.lastObservedTime", "");
    }
}
