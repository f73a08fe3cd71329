//! What a node says of a pod.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use super::annotations;
use crate::shown::Shown;
use crate::{Errors, Field, Review, STATUS, formats};

/// Changes of a pod's status.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    let (new, old) = (review.object.get("status"), review.old.get("status"));
    annotations::update(review, errors);
    let conditions = Field::new("metadata.conditions");
    for (index, condition) in new.get("conditions").iter().enumerate() {
        let name = condition.get("type").str_or_empty();
        if !matches!(name, "PodScheduled" | "Ready" | "Initialized") {
            errors.invalid_each(conditions.index(index).child("Type"), name, formats::qualified_name(name));
        }
    }
    let nominated = new.get("nominatedNodeName").str_or_empty();
    if !nominated.is_empty() && !old.get("nominatedNodeName").is_str(nominated) {
        errors.invalid_each(STATUS.child("nominatedNodeName"), nominated, formats::dns_subdomain(nominated));
    }
    errors.immutable(STATUS.child("qosClass"), new.get("qosClass"), old.get("qosClass"));
    let spec = review.old_spec();
    let policy = spec.get("restartPolicy").str_or_empty();
    for (list, policy) in
        [("containerStatuses", policy), ("initContainerStatuses", policy), ("ephemeralContainerStatuses", "Never")]
    {
        revived(list, new, old, policy, spec, errors);
    }
    claims(new, review.spec(), errors);
    addresses("podIPs", new, errors);
    let hosts = STATUS.child("hostIPs");
    let first = new.get("hostIPs").index(0).get("ip");
    if !first.is_none() && !new.get("hostIP").is_str(first.str_or_empty()) {
        errors.invalid(hosts.index(0).child("ip"), first.str_or_empty(), "must be equal to `hostIP`");
    }
    addresses("hostIPs", new, errors);
}

/// What has ended stays ended, where it is not to be started again.
fn revived(list: &str, new: ValueRef, old: ValueRef, policy: &str, spec: ValueRef, errors: &mut Errors) {
    if policy == "Always" {
        return;
    }
    let at = STATUS.child(list);
    for (index, before) in old.get(list).iter().enumerate() {
        let (name, ended) = (before.get("name").str_or_empty(), before.get("state").get("terminated"));
        if ended.is_none() || ended.get("exitCode").as_i64().unwrap_or(0) != 0 && policy == "OnFailure" {
            continue;
        }
        let restarts = ["containers", "initContainers"].iter().any(|list| {
            spec.get(list).iter().any(|one| {
                one.get("name").is_str(name)
                    && (one.get("restartPolicy").is_str("Always") || !one.get("restartPolicyRules").is_empty())
            })
        });
        if restarts {
            continue;
        }
        for after in new.get(list).iter().filter(|after| after.get("name").is_str(name)) {
            if after.get("state").get("terminated").is_none() {
                errors.forbidden(at.index(index).child("state"), "may not be transitioned to non-terminated state");
            }
        }
    }
}

fn claims(status: ValueRef, spec: ValueRef, errors: &mut Errors) {
    let at = STATUS.child("resourceClaimStatuses");
    let mut seen = BTreeSet::new();
    for (index, claim) in status.get("resourceClaimStatuses").iter().enumerate() {
        let place = at.index(index);
        let (place, name) = (place.child("name"), claim.get("name").str_or_empty());
        if !spec.get("resourceClaims").iter().any(|one| one.get("name").is_str(name)) {
            errors.invalid(place, name, "must match the name of an entry in `spec.resourceClaims`");
        }
        errors.unique(&mut seen, place, name);
        if let Some(name) = claim.get("resourceClaimName").as_str() {
            errors.invalid_each(place, name, formats::dns_subdomain(name));
        }
    }
}

struct Ip<'a>(&'a str);

impl Shown for Ip<'_> {
    fn shown(&self) -> String {
        format!("{{\"IP\":{}}}", self.0.shown())
    }
}

/// At most one address of each family.
fn addresses(list: &str, status: ValueRef, errors: &mut Errors) {
    let (at, all) = (STATUS.child(list), status.get(list));
    let ips: Vec<&str> = all.iter().map(|one| one.get("ip").str_or_empty()).collect();
    for (index, ip) in ips.iter().enumerate() {
        errors.invalid_each(at.index(index), *ip, formats::ip(ip));
    }
    if ips.len() < 2 {
        return;
    }
    let v6 = ips.iter().filter(|ip| ip.contains(':')).count();
    if ips.len() > 2 || v6 != 1 {
        errors.invalid(at, &all, "may specify no more than one IP for each IP family");
    }
    let mut seen = BTreeSet::new();
    for (index, ip) in ips.iter().enumerate() {
        if !seen.insert(ip) {
            errors.duplicate(at.index(index), &Ip(ip));
        }
    }
}
