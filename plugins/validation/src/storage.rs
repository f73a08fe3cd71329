//! The storage group: classes, attachments and what drivers tell.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use crate::core::pod::volume_kinds::csi_driver;
use crate::core::volume;
use crate::errors::IMMUTABLE;
use crate::quantity::Quantity;
use crate::values::{same, same_but};
use crate::{Errors, Field, Review, SPEC, STATUS, formats, selector};

/// The most parameters of a class, and what they may weigh.
const MOST_PARAMETERS: usize = 512;
const PARAMETERS_LIMIT: usize = 256 << 10;

/// Checks an object of the group.
pub fn check(review: &Review, errors: &mut Errors) {
    match (review.kind, review.is_main()) {
        ("StorageClass", true) => class(review, errors),
        ("VolumeAttributesClass", true) => attributes_class(review, errors),
        ("VolumeAttachment", true) => attachment(review, errors),
        ("VolumeAttachment", false) => attachment_status(review, errors),
        ("CSIDriver", true) => driver(review, errors),
        ("CSINode", true) => node(review, errors),
        ("CSIStorageCapacity", true) => capacity(review, errors),
        _ => {}
    }
}

fn provisioner(at: &str, name: &str, errors: &mut Errors) {
    if errors.needs(at, name) {
        let name = name.to_lowercase();
        errors.invalid_each(at, name.as_str(), formats::qualified_name(&name));
    }
}

fn parameters(parameters: ValueRef, may_be_empty: bool, errors: &mut Errors) {
    let at = "parameters";
    if parameters.len() > MOST_PARAMETERS {
        return errors.too_long(at, MOST_PARAMETERS);
    }
    let mut size = 0;
    for (key, value) in parameters.entries() {
        if key.is_empty() {
            errors.invalid(at, key, "field can not be empty.");
        }
        size += key.len() + value.str_or_empty().len();
    }
    if size > PARAMETERS_LIMIT {
        errors.too_long(at, PARAMETERS_LIMIT);
    }
    if !may_be_empty && parameters.is_empty() {
        errors.required(at, "must contain at least one key/value pair");
    }
}

fn class(review: &Review, errors: &mut Errors) {
    let class = review.object;
    if review.update {
        for member in ["parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"] {
            errors.immutable(member, class.get(member), review.old.get(member));
        }
    }
    provisioner("provisioner", class.get("provisioner").str_or_empty(), errors);
    parameters(class.get("parameters"), true, errors);
    let policy = class.get("reclaimPolicy").str_or_empty();
    if !policy.is_empty() {
        errors.one_of("reclaimPolicy", policy, &["Delete", "Retain"]);
    }
    let mode = class.get("volumeBindingMode").str_or_empty();
    errors.needs_one_of("volumeBindingMode", mode, &["Immediate", "WaitForFirstConsumer"]);
    let (terms, list) = (class.get("allowedTopologies"), Field::new("allowedTopologies"));
    for (index, term) in terms.iter().enumerate() {
        let at = list.index(index);
        let at = at.child("matchLabelExpressions");
        topology(&at, term.get("matchLabelExpressions"), errors);
        // Those without requirements are also the same as what the reference has in front of its list, once for each term.
        let empty = if term.get("matchLabelExpressions").is_empty() { terms.len() } else { 0 };
        for _ in 0..empty + terms.iter().take(index).filter(|other| same(term, *other)).count() {
            errors.duplicate(at, "");
        }
    }
}

fn topology(at: &Field, expressions: ValueRef, errors: &mut Errors) {
    let mut keys = BTreeSet::new();
    for (index, expression) in expressions.iter().enumerate() {
        let at = at.index(index);
        let (values, list) = (expression.get("values"), at.child("values"));
        if values.is_empty() {
            errors.required(list, "");
        }
        let mut seen = BTreeSet::new();
        for (index, value) in values.iter().enumerate() {
            errors.unique(&mut seen, list.index(index), value.str_or_empty());
        }
        let key = expression.get("key").str_or_empty();
        errors.invalid_each(at.child("key"), key, formats::qualified_name(key));
        errors.unique(&mut keys, at.child("key"), key);
    }
}

fn attributes_class(review: &Review, errors: &mut Errors) {
    let class = review.object;
    if review.update {
        for member in ["driverName", "parameters"] {
            errors.immutable(member, class.get(member), review.old.get(member));
        }
    }
    provisioner("driverName", class.get("driverName").str_or_empty(), errors);
    parameters(class.get("parameters"), false, errors);
}

fn attachment(review: &Review, errors: &mut Errors) {
    let spec = review.spec();
    let (source, at) = (spec.get("source"), SPEC.child("source"));
    if review.update && !same(spec, review.old_spec()) {
        errors.invalid(SPEC, &spec, IMMUTABLE);
    }
    csi_driver(&SPEC.child("attacher"), spec.get("attacher").str_or_empty(), errors);
    let (inline, name) = (source.get("inlineVolumeSpec"), source.get("persistentVolumeName"));
    let detail = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
    match (inline.is_none(), name.as_str()) {
        (true, None) => errors.required(at, detail),
        (false, Some(_)) => errors.forbidden(at, detail),
        (true, Some("")) => {
            let place = at.child("persistentVolumeName");
            errors.required(place, "must specify non empty persistentVolumeName");
        }
        (true, Some(_)) => {}
        (false, None) => volume::spec(at.child("inlineVolumeSpec"), inline, true, errors),
    }
    let node = spec.get("nodeName").str_or_empty();
    errors.invalid_each(SPEC.child("nodeName"), node, formats::dns_subdomain(node));
    if let Some(name) = name.as_str() {
        errors.invalid_each(at.child("persistentVolumeName"), name, formats::dns_subdomain(name));
    }
}

fn attachment_status(review: &Review, errors: &mut Errors) {
    let status = review.object.get("status");
    let at = STATUS.child("attachmentMetadata");
    let mut size = 0;
    for (key, value) in status.get("attachmentMetadata").entries() {
        errors.invalid_each(at, key, formats::qualified_name(&key.to_lowercase()));
        size += key.len() + value.str_or_empty().len();
    }
    if size > PARAMETERS_LIMIT {
        errors.too_long(at, PARAMETERS_LIMIT);
    }
    for member in ["attachError", "detachError"] {
        if status.get(member).get("message").str_or_empty().len() > 262_144 {
            errors.too_long(STATUS.child(member).child("message"), 262_144);
        }
    }
}

fn driver(review: &Review, errors: &mut Errors) {
    let spec = review.spec();
    for (member, shown) in [("attachRequired", "attachedRequired"), ("podInfoOnMount", "podInfoOnMount")] {
        if spec.get(member).is_none() {
            errors.required(SPEC.child(shown), "");
        }
    }
    let policies = ["File", "None", "ReadWriteOnceWithFSType"];
    errors.may_be_one_of(SPEC.child("fsGroupPolicy"), spec.get("fsGroupPolicy"), &policies);
    let at = SPEC.child("tokenRequests");
    let mut seen = BTreeSet::new();
    for (index, request) in spec.get("tokenRequests").iter().enumerate() {
        let at = at.index(index);
        errors.unique(&mut seen, at.child("audience"), request.get("audience").str_or_empty());
        if let Some(seconds) = request.get("expirationSeconds").as_i64() {
            let place = at.child("expirationSeconds");
            if seconds < 600 {
                errors.invalid(place, &seconds, "may not specify a duration less than 10 minutes");
            } else if seconds > 1 << 32 {
                errors.invalid(place, &seconds, "may not specify a duration larger than 2^32 seconds");
            }
        }
    }
    for mode in spec.get("volumeLifecycleModes") {
        let at = SPEC.child("volumeLifecycleModes");
        errors.one_of(at, mode.str_or_empty(), &["Persistent", "Ephemeral"]);
    }
    if let Some(period) = spec.get("nodeAllocatableUpdatePeriodSeconds").as_i64().filter(|period| *period < 10) {
        let at = SPEC.child("nodeAllocatableUpdatePeriodSeconds");
        errors.invalid(at, &period, "must be greater than or equal to 10 seconds");
    }
    if review.update {
        let old = review.old_spec();
        for (member, shown) in
            [("attachRequired", "attachedRequired"), ("volumeLifecycleModes", "volumeLifecycleModes")]
        {
            errors.immutable(SPEC.child(shown), spec.get(member), old.get(member));
        }
    }
}

fn node(review: &Review, errors: &mut Errors) {
    let (drivers, list) = (review.spec().get("drivers"), SPEC.child("drivers"));
    let mut names = BTreeSet::new();
    for (index, driver) in drivers.iter().enumerate() {
        let at = list.index(index);
        let (name, id) = (driver.get("name").str_or_empty(), driver.get("nodeID").str_or_empty());
        csi_driver(&at.child("name"), name, errors);
        errors.needs(at.child("nodeID"), id);
        if id.len() > 256 {
            errors.invalid(at.child("nodeID"), id, "must be 256 characters or less");
        }
        errors.non_negative(at.child("allocatable.count"), driver.get("allocatable").get("count"));
        errors.unique(&mut names, at.child("name"), name);
        let (keys, mut seen) = (driver.get("topologyKeys"), BTreeSet::new());
        for key in keys.iter().map(|key| key.str_or_empty()) {
            errors.needs(at, key);
            errors.unique(&mut seen, at, key);
            errors.invalid_each(at, key, formats::qualified_name(key));
        }
    }
    if !review.update {
        return;
    }
    for before in review.old_spec().get("drivers") {
        let name = before.get("name").str_or_empty();
        let changed = drivers.iter().find(|after| after.get("name").is_str(name));
        if let Some(after) = changed.filter(|after| !same_but(*after, before, &["allocatable"])) {
            errors.invalid("CSINodeDriver", &after, IMMUTABLE);
        }
    }
}

fn capacity(review: &Review, errors: &mut Errors) {
    let object = review.object;
    let class = object.get("storageClassName").str_or_empty();
    errors.invalid_each("storageClassName", class, formats::dns_subdomain(class));
    for member in ["capacity", "maximumVolumeSize"] {
        let value = object.get(member);
        if Quantity::read(value).is_some_and(|amount| amount < Quantity::ZERO) {
            errors.invalid(member, &value, crate::errors::NON_NEGATIVE);
        }
    }
    selector::check(Field::new("nodeTopology"), object.get("nodeTopology"), errors);
    if review.update {
        for member in ["nodeTopology", "storageClassName"] {
            errors.immutable(member, object.get(member), review.old.get(member));
        }
    }
}
