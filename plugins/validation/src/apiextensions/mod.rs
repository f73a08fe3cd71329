//! The group of CustomResourceDefinitions: names, versions, and that schemas are structural. What rules in CEL say is
//! checked by those who compile them.

mod names;
mod schema;
mod structural;
mod versions;

use portcullis_sdk::ValueRef;

use crate::errors::IMMUTABLE;
use crate::values::same;
use crate::{Check, Errors, Review, SPEC, STATUS, formats};

/// Checks an object of the group.
pub fn check(review: &Review, errors: &mut Errors) {
    if review.kind != "CustomResourceDefinition" || !review.is_main() {
        return;
    }
    let spec = review.spec();
    names::own_name(review, errors);
    if review.update {
        fixed(review, errors);
    }
    group(spec, errors);
    errors.needs_one_of(SPEC.child("scope"), spec.get("scope").str_or_empty(), &["Cluster", "Namespaced"]);
    versions::check(spec, errors);
    names::check(spec.get("names"), errors);
    contents(spec, errors);
    conversion(spec, errors);
    stored_versions(review, errors);
    if spec.get("preserveUnknownFields").as_bool() == Some(true)
        && review.old_spec().get("preserveUnknownFields").as_bool() != Some(true)
    {
        let detail =
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        errors.invalid(SPEC.child("preserveUnknownFields"), &true, detail);
    }
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

/// Schemas, columns and the like. Where all versions say the same, the errors are those of the whole.
fn contents(spec: ValueRef, errors: &mut Errors) {
    let all = spec.get("versions");
    let alike = |member: &str| {
        let first = all.index(0).get(member);
        all.iter().all(|version| same(version.get(member), first))
    };
    let list = SPEC.child("versions");
    let status = |version: ValueRef| !version.get("subresources").get("status").is_none();
    let missing = all.iter().enumerate().filter(|(_, one)| one.get("schema").get("openAPIV3Schema").is_none());
    for (index, _) in missing {
        errors.required(list.index(index).child("schema.openAPIV3Schema"), "");
    }
    if alike("schema") {
        let root = all.index(0).get("schema").get("openAPIV3Schema");
        if !root.is_none() {
            schema::check(&SPEC.child("validation.openAPIV3Schema"), root, all.iter().any(status), errors);
        }
    } else {
        for (index, version) in all.iter().enumerate() {
            let root = version.get("schema").get("openAPIV3Schema");
            if !root.is_none() {
                let at = list.index(index);
                schema::check(&at.child("schema.openAPIV3Schema"), root, status(version), errors);
            }
        }
    }
    let checks: [(&str, Check); 3] = [
        ("subresources", |at, version, errors| versions::subresources(at, version, errors)),
        ("additionalPrinterColumns", |at, version, errors| versions::columns(at, version, errors)),
        ("selectableFields", |at, version, errors| versions::selectable(at, version, errors)),
    ];
    for (member, check) in checks {
        if alike(member) && alike("schema") {
            check(&SPEC, all.index(0), errors);
        } else {
            for (index, version) in all.iter().enumerate() {
                check(&list.index(index), version, errors);
            }
        }
    }
}

fn conversion(spec: ValueRef, errors: &mut Errors) {
    let (conversion, at) = (spec.get("conversion"), SPEC.child("conversion"));
    if conversion.is_none() {
        return;
    }
    let strategy = conversion.get("strategy").str_or_empty();
    errors.needs_one_of(at.child("strategy"), strategy, &["None", "Webhook"]);
    let (webhook, place) = (conversion.get("webhook"), at.child("webhookClientConfig"));
    let client = webhook.get("clientConfig");
    if strategy == "Webhook" {
        if client.is_none() {
            errors.required(place, "required when strategy is set to Webhook");
        } else {
            crate::admissionregistration::client(&place, client, errors);
        }
        let (versions, at) = (webhook.get("conversionReviewVersions"), at.child("conversionReviewVersions"));
        if versions.is_empty() {
            errors.required(at, "");
        } else if !versions.iter().any(|one| matches!(one.str_or_empty(), "v1" | "v1beta1")) {
            errors.invalid(at, &versions, "must include at least one of v1, v1beta1");
        }
        return;
    }
    if !client.is_none() {
        errors.forbidden(place, "should not be set when strategy is not set to Webhook");
    }
    if !webhook.get("conversionReviewVersions").is_empty() {
        let detail = "should not be set when strategy is not set to Webhook";
        errors.forbidden(at.child("conversionReviewVersions"), detail);
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
