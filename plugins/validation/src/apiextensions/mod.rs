//! The group of CustomResourceDefinitions: names, versions, and that schemas are structural. What rules in CEL say is
//! checked by those who compile them.

mod names;
mod pattern;
mod schema;
mod structural;
mod versions;

use portcullis_sdk::ValueRef;

use crate::errors::IMMUTABLE;
use crate::values::same;
use crate::{Errors, Field, Review, SPEC, STATUS, formats};
pub use names::own_name;
use schema::Tolerated;

/// Checks an object of the group.
pub fn check(review: &Review, errors: &mut Errors) {
    if review.kind != "CustomResourceDefinition" {
        return;
    }
    if review.subresource == "status" {
        return names::form(&STATUS.child("acceptedNames"), review.object.get("status").get("acceptedNames"), errors);
    }
    if !review.is_main() {
        return;
    }
    let spec = review.spec();
    group(spec, errors);
    errors.needs_one_of(SPEC.child("scope"), spec.get("scope").str_or_empty(), &["Cluster", "Namespaced"]);
    let tolerated = tolerated(review);
    contents(review, tolerated, errors);
    names::check(spec.get("names"), errors);
    common(review, tolerated, errors);
    conversion(review, errors);
    if review.update {
        fixed(review, errors);
    }
    names::form(&STATUS.child("acceptedNames"), review.object.get("status").get("acceptedNames"), errors);
    stored_versions(review, errors);
    approval(review, errors);
    let preserves = |spec: ValueRef<'_>| spec.get("preserveUnknownFields").as_bool() == Some(true);
    if preserves(spec) && !preserves(review.old_spec()) {
        let detail =
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        errors.invalid(SPEC.child("preserveUnknownFields"), &true, detail);
    }
}

/// What was stored before a rule came need not follow it.
fn tolerated(review: &Review) -> Tolerated {
    let mut tolerated = if review.update { Tolerated::of(review.old_spec()) } else { Tolerated::default() };
    // Where unknown fields are pruned, schemas must be structural whatever they were.
    tolerated.structure &= review.spec().get("preserveUnknownFields").as_bool() == Some(true);
    tolerated
}

fn group(spec: ValueRef, errors: &mut Errors) {
    let (group, at) = (spec.get("group").str_or_empty(), SPEC.child("group"));
    if !errors.needs(at, group) {
        return;
    }
    let wrong = formats::dns_subdomain(group);
    if wrong.is_empty() && !group.contains('.') {
        errors.invalid(at, group, "should be a domain with at least one dot");
    }
    errors.invalid_each(at, group, wrong);
}

/// Once objects exist, these say where they are.
fn fixed(review: &Review, errors: &mut Errors) {
    let (new, old) = (review.spec(), review.old_spec());
    let established = review
        .old
        .get("status")
        .get("conditions")
        .iter()
        .any(|condition| condition.get("type").is_str("Established") && condition.get("status").is_str("True"));
    let names = SPEC.child("names");
    if established {
        for (at, member) in [(SPEC.child("scope"), "scope"), (names.child("kind"), "kind")] {
            let of = |spec: ValueRef<'_>| match member {
                "kind" => spec.get("names").get("kind").str_or_empty().to_owned(),
                _ => spec.get(member).str_or_empty().to_owned(),
            };
            if of(new) != of(old) {
                errors.invalid(at, &of(new), IMMUTABLE);
            }
        }
    }
    errors.immutable(SPEC.child("group"), new.get("group"), old.get("group"));
    let plural = |spec: ValueRef<'_>| spec.get("names").get("plural").str_or_empty().to_owned();
    if plural(new) != plural(old) {
        errors.invalid(names.child("plural"), &plural(new), IMMUTABLE);
    }
}

/// Whether all versions say the same of something: then the errors are those of the whole.
fn alike(spec: ValueRef, member: &str) -> bool {
    let all = spec.get("versions");
    let first = all.index(0).get(member);
    all.iter().all(|version| same(version.get(member), first))
}

fn with_status(version: ValueRef) -> bool {
    !version.get("subresources").get("status").is_none()
}

/// Schemas, columns and the like of each version, where versions differ in them.
fn contents(review: &Review, tolerated: Tolerated, errors: &mut Errors) {
    let (spec, list) = (review.spec(), SPEC.child("versions"));
    let all = spec.get("versions");
    // Definitions that had no schemas may go on without.
    let demanded = !review.update
        || review.old_spec().get("versions").iter().all(|one| !one.get("schema").get("openAPIV3Schema").is_none());
    for (index, version) in all.iter().enumerate() {
        let root = version.get("schema").get("openAPIV3Schema");
        if root.is_none() && demanded {
            errors.required(list.index(index).child("schema.openAPIV3Schema"), "");
        } else if root.is_none() && version.get("served").as_bool() == Some(true) {
            let detail = "because otherwise all fields are pruned";
            errors.required(list.index(index).child("schema.openAPIV3Schema"), detail);
        }
    }
    let schemas = alike(spec, "schema");
    for (index, version) in all.iter().enumerate() {
        let at = list.index(index);
        versions::head(&at, version, errors);
        let root = version.get("schema").get("openAPIV3Schema");
        if !schemas && !root.is_none() {
            schema::check(&at.child("schema.openAPIV3Schema"), root, with_status(version), tolerated, errors);
        }
        if !alike(spec, "subresources") {
            versions::subresources(&at, version, errors);
        }
        if !alike(spec, "additionalPrinterColumns") {
            versions::columns(&at, version, errors);
        }
        if !(schemas && alike(spec, "selectableFields")) {
            versions::selectable(&at, version, old_version(review, version), errors);
        }
    }
    versions::check(spec, errors);
}

/// A version as it was before.
fn old_version<'a>(review: &Review<'a>, version: ValueRef<'a>) -> ValueRef<'a> {
    let name = version.get("name").str_or_empty();
    let old = review.old_spec().get("versions").iter().find(|old| old.get("name").is_str(name));
    old.unwrap_or(review.old.get("no such version"))
}

/// What all versions have in common.
fn common(review: &Review, tolerated: Tolerated, errors: &mut Errors) {
    let spec = review.spec();
    let (all, first) = (spec.get("versions"), spec.get("versions").index(0));
    let root = first.get("schema").get("openAPIV3Schema");
    if alike(spec, "schema") && !root.is_none() {
        let at = SPEC.child("validation.openAPIV3Schema");
        schema::check(&at, root, all.iter().any(with_status), tolerated, errors);
    }
    if alike(spec, "subresources") {
        versions::subresources(&SPEC, first, errors);
    }
    if alike(spec, "additionalPrinterColumns") {
        versions::columns(&SPEC, first, errors);
    }
    if alike(spec, "schema") && alike(spec, "selectableFields") {
        versions::selectable(&SPEC, first, old_version(review, first), errors);
    }
}

const REVIEWS: [&str; 2] = ["v1", "v1beta1"];

fn conversion(review: &Review, errors: &mut Errors) {
    let (conversion, at) = (review.spec().get("conversion"), SPEC.child("conversion"));
    if conversion.is_none() {
        return;
    }
    let strategy = conversion.get("strategy").str_or_empty();
    if !matches!(strategy, "" | "None") && review.spec().get("preserveUnknownFields").as_bool() == Some(true) {
        errors.invalid(at.child("strategy"), strategy, "must be None if spec.preserveUnknownFields is true");
    }
    errors.needs_one_of(at.child("strategy"), strategy, &["None", "Webhook"]);
    let (webhook, place) = (conversion.get("webhook"), at.child("webhookClientConfig"));
    let client = webhook.get("clientConfig");
    let (versions, reviews) = (webhook.get("conversionReviewVersions"), at.child("conversionReviewVersions"));
    if strategy != "Webhook" {
        let detail = "should not be set when strategy is not set to Webhook";
        if !client.is_none() {
            errors.forbidden(place, detail);
        }
        if !versions.is_empty() {
            errors.forbidden(reviews, detail);
        }
        return;
    }
    if client.is_none() {
        errors.required(place, "required when strategy is set to Webhook");
    } else {
        crate::admissionregistration::client(&place, client, errors);
    }
    if versions.is_empty() {
        return errors.required(reviews, "");
    }
    let mut seen = std::collections::BTreeSet::new();
    for (index, version) in versions.iter().enumerate() {
        let (at, version) = (reviews.index(index), version.str_or_empty());
        if !seen.insert(version) {
            errors.invalid(at, version, "duplicate version");
        } else {
            errors.invalid_each(at, version, formats::dns_1035_label(version));
        }
    }
    let known = |versions: ValueRef<'_>| versions.iter().any(|one| REVIEWS.contains(&one.str_or_empty()));
    let old = review.old_spec().get("conversion").get("webhook").get("conversionReviewVersions");
    // What nobody could answer before may stay so.
    if !known(versions) && (old.is_empty() || known(old)) {
        errors.invalid(reviews, &versions, "must include at least one of v1, v1beta1");
    }
}

/// The annotation by which the Kubernetes community approves of what is in its groups.
const APPROVED: &str = "api-approved.kubernetes.io";

/// Groups of the Kubernetes community need its approval. A state that an update leaves as it was is not asked about.
fn approval(review: &Review, errors: &mut Errors) {
    let group = review.spec().get("group").str_or_empty();
    let of_community = ["k8s.io", "kubernetes.io"]
        .iter()
        .any(|suffix| group.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')));
    if !of_community {
        return;
    }
    let state = |object: ValueRef<'_>| {
        let text = object.get("metadata").get("annotations").get(APPROVED).str_or_empty();
        let url =
            ["http://", "https://"].iter().any(|scheme| text.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()));
        match text {
            "" => "missing",
            text if text.starts_with("unapproved") => "bypassed",
            _ if url => "approved",
            _ => "invalid",
        }
    };
    let new = state(review.object);
    if review.update && new == state(review.old) {
        return;
    }
    let at = Field::new("metadata").child("annotations").key(APPROVED).to_string();
    let see = "see https://github.com/kubernetes/enhancements/pull/1111";
    match new {
        "missing" => {
            errors.required(at, format!("protected groups must have approval annotation \"{APPROVED}\", {see}"))
        }
        "invalid" => {
            let detail = format!(
                "protected groups must have approval annotation \"{APPROVED}\" with either a URL or a reason starting \
                 with \"unapproved\", {see}"
            );
            errors.invalid(at, review.annotation(APPROVED), detail);
        }
        _ => {}
    }
}

/// Versions in which objects may be stored must stay.
fn stored_versions(review: &Review, errors: &mut Errors) {
    let (stored, at) = (review.object.get("status").get("storedVersions"), STATUS.child("storedVersions"));
    let versions = review.spec().get("versions");
    if stored.is_empty() {
        return errors.invalid(at, &stored, "must have at least one stored version");
    }
    for (index, name) in stored.iter().enumerate() {
        let name = name.str_or_empty();
        if !versions.iter().any(|version| version.get("name").is_str(name)) {
            let detail = format!(
                "missing from spec.versions; {name} was previously a storage version, and must remain in spec.versions \
                 until a storage migration ensures no data remains persisted in {name} and removes {name} from \
                 status.storedVersions"
            );
            errors.invalid(at.index(index), name, detail);
        }
    }
    // Of several that are marked, the last counts.
    let marked = versions.iter().filter(|version| version.get("storage").as_bool() == Some(true)).last();
    let name = marked.map_or("", |version| version.get("name").str_or_empty());
    if !name.is_empty() && !stored.iter().any(|one| one.is_str(name)) {
        errors.invalid(at, &stored, format!("must have the storage version {name}"));
    }
}
