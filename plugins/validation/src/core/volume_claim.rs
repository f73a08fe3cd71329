//! PersistentVolumeClaims, and templates of them.

use portcullis_sdk::ValueRef;

use super::pod::resources;
use super::volume::{VOLUME_MODES, access_modes};
use crate::quantity::Quantity;
use crate::shown::{Shown, Typed, diff, pretty_json};
use crate::values::{same, same_but, same_quantities};
use crate::{Errors, Field, Review, SPEC, formats, meta, selector};

/// A PersistentVolumeClaim.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    if !review.is_main() {
        return status(review, errors);
    }
    let new = review.spec();
    let old_source = |member: &str| !review.old_spec().get(member).get("apiGroup").is_none();
    let lenient = old_source("dataSource") || old_source("dataSourceRef");
    spec(SPEC, new, lenient, errors);
    if review.update {
        spec(SPEC, new, lenient, errors);
        update(review, errors);
    }
}

/// A claim that is made for a pod: labels, annotations and spec.
pub(crate) fn template(at: &Field, template: ValueRef, errors: &mut Errors) {
    let metadata = template.get("metadata");
    let place = at.child("metadata");
    meta::annotations(place.child("annotations"), metadata.get("annotations"), errors);
    meta::labels(place.child("labels"), metadata.get("labels"), errors);
    for (member, value) in metadata.entries() {
        if !matches!(member, "labels" | "annotations") && !crate::values::is_blank(value) {
            errors.forbidden(place.child(member), "cannot be set");
        }
    }
    spec(at.child("spec"), template.get("spec"), false, errors);
}

/// The spec at `at`; `lenient` where a bad group in its source is there already.
pub(crate) fn spec(at: Field, spec: ValueRef, lenient: bool, errors: &mut Errors) {
    if spec.get("accessModes").is_empty() {
        errors.required(at.child("accessModes"), "at least 1 access mode is required");
    }
    selector::check(at.child("selector"), spec.get("selector"), errors);
    access_modes(&at, spec, errors);
    let place = at.child("resources");
    let (place, asked) = (place.key("storage"), spec.get("resources").get("requests").get("storage"));
    match Quantity::read(asked) {
        None => errors.required(place, ""),
        Some(amount) if amount <= Quantity::ZERO => errors.invalid(place, &asked, "must be greater than zero"),
        Some(_) => {}
    }
    let class = spec.get("storageClassName").str_or_empty();
    if !class.is_empty() {
        errors.invalid_each(at.child("storageClassName"), class, formats::dns_subdomain(class));
    }
    errors.may_be_one_of(at.child("volumeMode"), spec.get("volumeMode"), &VOLUME_MODES);
    let (source, reference) = (spec.get("dataSource"), spec.get("dataSourceRef"));
    // A source of another kind is dropped, and with it the reference that was made of it.
    let kind = source.get("kind").str_or_empty();
    let dropped = !source.is_none() && !matches!(kind, "" | "PersistentVolumeClaim" | "VolumeSnapshot");
    for member in ["dataSource", "dataSourceRef"] {
        if dropped && same(source, reference) {
            break;
        }
        data_source(&at.child(member), spec.get(member), lenient, errors);
    }
    if !reference.get("namespace").str_or_empty().is_empty() {
        if !source.is_none() {
            errors.invalid(at, &Empty, "may not be specified when dataSourceRef.namespace is specified");
        }
    } else if !source.is_none() && !reference.is_none() && !same_but(source, reference, &["namespace"]) {
        errors.invalid(at, &Empty, "must match dataSourceRef");
    }
    let class = spec.get("volumeAttributesClassName").str_or_empty();
    if !class.is_empty() {
        errors.invalid_each(at.child("volumeAttributesClassName"), class, formats::dns_subdomain(class));
    }
}

/// What the reference shows where it has a path in the place of a value.
struct Empty;

impl Shown for Empty {
    fn shown(&self) -> String {
        "{}".to_owned()
    }
}

fn data_source(at: &Field, source: ValueRef, lenient: bool, errors: &mut Errors) {
    if source.is_none() {
        return;
    }
    let text = |name| source.get(name).str_or_empty();
    errors.needs(at.child("name"), text("name"));
    errors.needs(at.child("kind"), text("kind"));
    let group = text("apiGroup");
    if group.is_empty() && text("kind") != "PersistentVolumeClaim" {
        let detail = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
        errors.invalid(at, text("kind"), detail);
    }
    if !group.is_empty() && !lenient {
        errors.invalid_each(at.child("apiGroup"), group, formats::dns_subdomain(group));
    }
    if !text("namespace").is_empty() {
        errors.invalid_each(at.child("namespace"), text("namespace"), formats::dns_label(text("namespace")));
    }
}

/// A bound claim may ask for more; all else is fixed.
fn update(review: &Review, errors: &mut Errors) {
    let (new, old) = (review.spec(), review.old_spec());
    let bound = review.object.get("status").get("phase").is_str("Bound");
    let mut free = vec!["resources"];
    if old.get("volumeName").str_or_empty().is_empty() {
        free.push("volumeName");
    }
    let class = |spec: ValueRef| !spec.get("storageClassName").is_none();
    if !class(old) && class(new) {
        free.push("storageClassName");
    }
    if bound && !new.get("volumeAttributesClassName").is_none() {
        free.push("volumeAttributesClassName");
    }
    let asks = |spec: ValueRef<'_>, list: &str| portcullis_sdk::to_json(spec.get("resources").get(list));
    let requests = new.get("resources").get("requests");
    let kept = same_quantities(new.get("resources").get("limits"), old.get("resources").get("limits"))
        && (bound || same_quantities(requests, old.get("resources").get("requests")))
        && requests.entries().all(|(name, value)| {
            name == "storage" || Quantity::read(value) == Quantity::read(old.get("resources").get("requests").get(name))
        });
    if !kept || !same_but(new, old, &free) {
        let mut munged = portcullis_sdk::to_json(new);
        let before = portcullis_sdk::to_json(old);
        for member in free.into_iter().skip(1) {
            munged[member] = before[member].clone();
        }
        if bound && asks(new, "requests").is_object() {
            munged["resources"]["requests"]["storage"] = before["resources"]["requests"]["storage"].clone();
        }
        let shown = "PersistentVolumeClaimSpec";
        let difference = diff::lines(&Typed(shown, old).pretty(), &pretty_json(shown, &munged));
        let detail = format!(
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound \
             claims\n{difference}"
        );
        errors.forbidden(SPEC, detail);
    }
    let size = |spec: ValueRef| Quantity::read(spec.get("resources").get("requests").get("storage"));
    let have = Quantity::read(review.old.get("status").get("capacity").get("storage")).unwrap_or(Quantity::ZERO);
    if size(new).zip(size(old)).is_some_and(|(after, before)| after < before && after <= have) {
        let detail = "field can not be less than status.capacity";
        errors.forbidden(SPEC.child("resources.requests.storage"), detail);
    }
    errors.immutable("volumeMode", new.get("volumeMode"), old.get("volumeMode"));
    let class = "volumeAttributesClassName";
    if !old.get(class).is_none() {
        match new.get(class).as_str() {
            None => errors.forbidden(SPEC.child(class), "update from non-nil value to nil is forbidden"),
            Some("") => {
                let detail = "update from non-nil value to an empty string is forbidden";
                errors.forbidden(SPEC.child(class), detail);
            }
            Some(_) => {}
        }
    }
}

fn status(review: &Review, errors: &mut Errors) {
    let status = review.object.get("status");
    let at = crate::STATUS.child("capacity");
    if review.spec().get("accessModes").is_empty() {
        errors.required("Spec.accessModes", "");
    }
    for (name, value) in status.get("capacity").entries() {
        if let Some(amount) = Quantity::read(value).filter(|amount| amount.ceil() < 0) {
            let number = i64::try_from(amount.ceil()).unwrap_or(i64::MIN);
            errors.invalid(at.key(name), &number, "must be a valid resource quantity");
        }
    }
    let at = crate::STATUS.child("allocatedResources");
    for (name, value) in status.get("allocatedResources").entries() {
        if name != "storage" && !name.contains('/') {
            errors.invalid(at.key(name), name, "must be a storage resource or a qualified name");
        }
        resources::amount(&at.key(name), name, value, errors);
    }
}
