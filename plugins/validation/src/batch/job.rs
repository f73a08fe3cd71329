//! Jobs.

use portcullis_sdk::ValueRef;

use super::{failure_policy, success_policy};
use crate::core::pod;
use crate::errors::IMMUTABLE;
use crate::shown::Typed;
use crate::values::{same, same_but};
use crate::{Errors, Field, Review, SPEC, formats, selector};

/// The most pods at a time, and the most failed indexes, of an indexed Job.
const MOST: i64 = 100_000;
/// The same for one with so many completions that each index counts its own failures.
const MOST_OF_MANY: i64 = 10_000;
const INDEXED: &str = "requires indexed completion mode";

/// A Job. The reference looks at the whole of it twice on an update.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    let new = review.spec();
    generated_selector(review, errors);
    whole(review, errors);
    if let Some(count) = new.get("completions").as_i64().filter(|count| *count > 0 && !review.update)
        && is_indexed(new)
    {
        let host = format!("{}-{}", review.name(), count - 1);
        if !formats::dns_label(&host).is_empty() {
            let detail = format!("will not able to create pod with invalid DNS label: {host}");
            errors.invalid("metadata.name", review.name(), detail);
        }
    }
    if review.update {
        whole(review, errors);
        update(new, review, errors);
    }
}

fn is_indexed(spec: ValueRef) -> bool {
    spec.get("completionMode").is_str("Indexed")
}

/// A selector that the server made names the Job's uid, and so must the template's labels.
fn generated_selector(review: &Review, errors: &mut Errors) {
    let (spec, metadata) = (review.spec(), review.object.get("metadata"));
    let given = spec.get("selector");
    if spec.get("manualSelector").as_bool() == Some(true) || given.is_none() {
        return;
    }
    let (uid, name) = (metadata.get("uid").str_or_empty(), review.name());
    if uid.is_empty() {
        errors.required("metadata.uid", "");
    }
    let labels = spec.get("template").get("metadata").get("labels");
    let at = Field::new("spec.template.metadata.labels");
    for (key, expected) in [
        ("controller-uid", uid),
        ("batch.kubernetes.io/controller-uid", uid),
        ("job-name", name),
        ("batch.kubernetes.io/job-name", name),
    ] {
        let detail = format!("must be '{expected}'");
        match labels.get(key).as_str() {
            None => errors.required(at.key(key), detail),
            Some(found) if found != expected => errors.invalid(at.key(key), &labels, detail),
            Some(_) => {}
        }
    }
    if !selector::is_valid(given) {
        return;
    }
    let own = given.get("matchLabels");
    let selects = |key: &str| own.get(key).is_str(uid);
    if !selects("controller-uid") && !selects("batch.kubernetes.io/controller-uid") {
        errors.invalid(SPEC.child("selector"), &selector::shown(given), "`selector` not auto-generated");
    }
}

/// A Job's own spec.
fn whole(review: &Review, errors: &mut Errors) {
    let new = review.spec();
    spec(SPEC, new, review, errors);
    let given = new.get("selector");
    if given.is_none() {
        errors.required(SPEC.child("selector"), "");
    }
    selector::check(SPEC.child("selector"), given, errors);
    let labels = new.get("template").get("metadata").get("labels");
    if selector::is_valid(given) && !portcullis_sdk::selects(given, labels) {
        let detail = "`selector` does not match template `labels`";
        errors.invalid(SPEC.child("template.metadata.labels"), &labels, detail);
    }
}

/// The spec at `at` of a Job, or of a CronJob's template.
pub(super) fn spec(at: Field, spec: ValueRef, review: &Review, errors: &mut Errors) {
    let numbers = [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ];
    errors.all_non_negative(&at, spec, &numbers);
    let per_index = spec.get("backoffLimitPerIndex");
    if !spec.get("maxFailedIndexes").is_none() && per_index.is_none() {
        errors.required(at.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified");
    }
    if let Some(manager) = spec.get("managedBy").as_str() {
        errors.invalid_each(at.child("managedBy"), manager, formats::domain_prefixed_path(manager));
        if manager.len() > 63 {
            errors.too_long(at.child("managedBy"), 63);
        }
    }
    errors.may_be_one_of(at.child("completionMode"), spec.get("completionMode"), &["NonIndexed", "Indexed"]);
    if is_indexed(spec) {
        indexed(&at, spec, errors);
    } else if matches!(spec.get("completionMode").as_str(), None | Some("NonIndexed")) {
        for member in ["backoffLimitPerIndex", "maxFailedIndexes"] {
            if let Some(number) = spec.get(member).as_i64() {
                errors.invalid(at.child(member), &number, INDEXED);
            }
        }
    }
    failure_policy::check(&at.child("podFailurePolicy"), spec, errors);
    success_policy::check(&at.child("successPolicy"), spec, errors);
    let replacement = spec.get("podReplacementPolicy");
    let policies: &[&str] =
        if spec.get("podFailurePolicy").is_none() { &["Failed", "TerminatingOrFailed"] } else { &["Failed"] };
    errors.may_be_one_of(at.child("podReplacementPolicy"), replacement, policies);
    let place = at.child("template");
    pod::template(place, spec.get("template"), review, errors);
    restart_policy(&place.child("spec.restartPolicy"), spec, errors);
}

fn restart_policy(at: &Field, spec: ValueRef, errors: &mut Errors) {
    match spec.get("template").get("spec").get("restartPolicy").str_or_empty() {
        "Always" | "" => errors.required(at, "valid values: \"OnFailure\", \"Never\""),
        policy @ "OnFailure" if !spec.get("podFailurePolicy").is_none() => {
            errors.invalid(at, policy, "only \"Never\" is supported when podFailurePolicy is specified");
        }
        "OnFailure" | "Never" => {}
        other => errors.not_supported(at, other, &["OnFailure", "Never"]),
    }
}

fn indexed(at: &Field, spec: ValueRef, errors: &mut Errors) {
    let number = |name: &str| spec.get(name).as_i64();
    let (completions, parallelism, failed) = (number("completions"), number("parallelism"), number("maxFailedIndexes"));
    if completions.is_none() {
        errors.required(at.child("completions"), "when completion mode is Indexed");
    }
    if let Some(count) = parallelism.filter(|count| *count > MOST) {
        let detail = format!("must be less than or equal to {MOST} when completion mode is Indexed");
        errors.invalid(at.child("parallelism"), &count, detail);
    }
    if let (Some(completions), Some(failed)) = (completions, failed)
        && failed > completions
    {
        errors.invalid(at.child("maxFailedIndexes"), &failed, "must be less than or equal to completions");
    }
    if let Some(failed) = failed.filter(|failed| *failed > MOST) {
        errors.invalid(at.child("maxFailedIndexes"), &failed, format!("must be less than or equal to {MOST}"));
    }
    if completions.is_none_or(|count| count <= MOST) || number("backoffLimitPerIndex").is_none() {
        return;
    }
    match failed {
        None => {
            let detail = format!("must be specified when completions is above {MOST}");
            errors.required(at.child("maxFailedIndexes"), detail);
        }
        Some(failed) if failed > MOST_OF_MANY => {
            let detail = format!("must be less than or equal to {MOST_OF_MANY} when completions are above {MOST}");
            errors.invalid(at.child("maxFailedIndexes"), &failed, detail);
        }
        Some(_) => {}
    }
    if let Some(count) = parallelism.filter(|count| *count > MOST_OF_MANY) {
        let detail = format!(
            "must be less than or equal to {MOST_OF_MANY} when completions are above {MOST} and used with backoff limit \
             per index"
        );
        errors.invalid(at.child("parallelism"), &count, detail);
    }
}

/// What identifies the pods of a Job must not change while it runs.
fn update(new: ValueRef, review: &Review, errors: &mut Errors) {
    let old = review.old_spec();
    completions(new, old, errors);
    let (given, before) = (new.get("selector"), old.get("selector"));
    if !same(given, before) {
        match given.is_none() {
            true => errors.invalid(SPEC.child("selector"), &given, IMMUTABLE),
            false => errors.invalid(SPEC.child("selector"), &selector::shown(given), IMMUTABLE),
        }
    }
    let started = !review.old.get("status").get("startTime").is_none();
    let suspended = old.get("suspend").as_bool() == Some(true) && !started;
    if !same_template(new.get("template"), old.get("template"), suspended) {
        errors.invalid(SPEC.child("template"), &Typed("PodTemplateSpec", new.get("template")), IMMUTABLE);
    }
    for member in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"] {
        errors.immutable(SPEC.child(member), new.get(member), old.get(member));
    }
}

/// Where the pods go and what they ask for may change as long as there are none.
fn same_template(new: ValueRef, old: ValueRef, suspended: bool) -> bool {
    if !suspended {
        return same(new, old);
    }
    let (spec, before) = (new.get("spec"), old.get("spec"));
    let free = ["affinity", "nodeSelector", "tolerations", "schedulingGates", "containers", "initContainers"];
    let containers = |list: &str| {
        let (new, old) = (spec.get(list), before.get(list));
        new.len() == old.len() && new.iter().zip(old.iter()).all(|(new, old)| same_but(new, old, &["resources"]))
    };
    same_but(new.get("metadata"), old.get("metadata"), &["labels", "annotations"])
        && same_but(spec, before, &free)
        && containers("containers")
        && containers("initContainers")
        && same_but(spec.get("affinity"), before.get("affinity"), &["nodeAffinity"])
}

fn completions(new: ValueRef, old: ValueRef, errors: &mut Errors) {
    let (after, before, at) = (new.get("completions"), old.get("completions"), SPEC.child("completions"));
    if same(after, before) {
        return;
    }
    if !is_indexed(old) {
        return errors.invalid(at, &after, IMMUTABLE);
    }
    if after.is_none() {
        errors.required(at, "cannot set completions to nil when completionMode is Indexed");
    } else if !same(after, new.get("parallelism")) {
        errors.invalid(at, &after, "can only be modified in tandem with spec.parallelism");
    }
}
