//! StatefulSets.

use portcullis_sdk::{ValueRef, to_json};
use serde_json::json;

use super::check_selector;
use super::mismatch;
use super::strategy::{amount, at_most_all, count_or_percent};
use crate::core::{always_restarts, pod, volume_claim};
use crate::shown::{Typed, with_json};
use crate::values::same_but;
use crate::{Errors, Review, SPEC, formats, meta, selector};

/// What may change.
const FREE: [&str; 7] = [
    "replicas",
    "template",
    "updateStrategy",
    "minReadySeconds",
    "ordinals",
    "revisionHistoryLimit",
    "persistentVolumeClaimRetentionPolicy",
];

/// A StatefulSet.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    let spec = review.spec();
    match spec.get("podManagementPolicy").str_or_empty() {
        "" => errors.required(SPEC.child("podManagementPolicy"), ""),
        "OrderedReady" | "Parallel" => {}
        other => errors.invalid(SPEC.child("podManagementPolicy"), other, "must be 'OrderedReady' or 'Parallel'"),
    }
    update_strategy(spec.get("updateStrategy"), errors);
    let at = SPEC.child("persistentVolumeClaimRetentionPolicy");
    let policy = spec.get("persistentVolumeClaimRetentionPolicy");
    for member in ["whenDeleted", "whenScaled"] {
        errors.may_be_one_of(at.child(member), policy.get(member), &["Retain", "Delete"]);
    }
    errors.all_non_negative(&SPEC, spec, &["replicas", "minReadySeconds"]);
    errors.non_negative(SPEC.child("ordinals.start"), spec.get("ordinals").get("start"));
    check_selector(spec.get("selector"), "statefulset", errors);
    template(review, errors);
    if review.update && !same_but(spec, review.old_spec(), &FREE) {
        let detail = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', \
                      'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and \
                      'minReadySeconds' are forbidden";
        errors.forbidden(SPEC, detail);
    }
}

fn update_strategy(strategy: ValueRef, errors: &mut Errors) {
    let at = SPEC.child("updateStrategy");
    let (rolling, place) = (strategy.get("rollingUpdate"), at.child("rollingUpdate"));
    match strategy.get("type").str_or_empty() {
        "" => errors.required(at, ""),
        "OnDelete" if !rolling.is_none() => {
            let shown = Typed("RollingUpdateStatefulSet", rolling);
            errors.invalid(place, &shown, "only allowed for updateStrategy 'RollingUpdate'");
        }
        "OnDelete" => {}
        "RollingUpdate" => {
            errors.non_negative(place.child("partition"), rolling.get("partition"));
            let most = rolling.get("maxUnavailable");
            if !most.is_none() {
                let place = place.child("maxUnavailable");
                count_or_percent(&place, most, errors);
                if amount(most) == 0 {
                    errors.invalid(place, &most, "cannot be 0");
                }
                at_most_all(&place, most, errors);
            }
        }
        _ => {
            let shown = Typed("StatefulSetUpdateStrategy", strategy);
            errors.invalid(at, &shown, "must be 'RollingUpdate' or 'OnDelete'");
        }
    }
}

/// The template is checked as the pods will be: with a volume for each claim.
fn template(review: &Review, errors: &mut Errors) {
    let (spec, at) = (review.spec(), SPEC.child("template"));
    let (given, template) = (spec.get("selector"), spec.get("template"));
    if !selector::is_valid(given) {
        return errors.invalid(SPEC.child("selector"), &selector::shown(given), "");
    }
    let labels = template.get("metadata").get("labels");
    if (given.is_none() || !selector::is_empty(given)) && !portcullis_sdk::selects(given, labels) {
        mismatch(&at, labels, errors);
    }
    let service = spec.get("serviceName").str_or_empty();
    if !review.update && !service.is_empty() {
        errors.invalid_each(SPEC.child("serviceName"), service, formats::dns_label(service));
    }
    let claims = spec.get("volumeClaimTemplates");
    if claims.is_empty() {
        pod::template(at, template, review, errors);
    } else {
        let list = SPEC.child("volumeClaimTemplates");
        if !review.update {
            for (index, claim) in claims.iter().enumerate() {
                let place = list.index(index);
                volume_claim::spec(place.child("spec"), claim.get("spec"), false, errors);
            }
        }
        let named = |claim: ValueRef| claim.get("metadata").get("name").str_or_empty().to_owned();
        let names: Vec<String> = claims.iter().map(named).collect();
        let mut whole = to_json(template);
        let of_claims = names.iter().map(|name| json!({"name": name, "persistentVolumeClaim": {"claimName": name}}));
        let others = template.get("spec").get("volumes");
        let others = others.iter().filter(|one| !names.iter().any(|name| one.get("name").is_str(name)));
        whole["spec"]["volumes"] = of_claims.chain(others.map(to_json)).collect();
        with_json(&whole, |template| pod::template(at, template, review, errors));
    }
    // These are checked once more.
    let (metadata, marks) = (template.get("metadata"), at.child("annotations"));
    meta::labels(at.child("labels"), metadata.get("labels"), errors);
    meta::annotations(marks, metadata.get("annotations"), errors);
    pod::annotations::check(marks, metadata, template.get("spec"), errors);
    always_restarts(&at, template, "StatefulSet", errors);
}
