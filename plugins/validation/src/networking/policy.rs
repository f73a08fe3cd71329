//! NetworkPolicies.

use portcullis_sdk::ValueRef;

use crate::{Errors, Field, Review, SPEC, formats, selector};

/// A NetworkPolicy.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    let spec = review.spec();
    selector::check(SPEC.child("podSelector"), spec.get("podSelector"), errors);
    for (direction, peers) in [("ingress", "from"), ("egress", "to")] {
        let list = SPEC.child(direction);
        for (index, rule) in spec.get(direction).iter().enumerate() {
            let at = list.index(index);
            let place = at.child("ports");
            for (index, one) in rule.get("ports").iter().enumerate() {
                port(&place.index(index), one, errors);
            }
            let place = at.child(peers);
            for (index, one) in rule.get(peers).iter().enumerate() {
                peer(&place.index(index), one, errors);
            }
        }
    }
    let (types, at) = (spec.get("policyTypes"), SPEC.child("policyTypes"));
    if types.len() > 2 {
        return errors.invalid(at, &types, "may not specify more than two policyTypes");
    }
    for (index, one) in types.iter().enumerate() {
        errors.one_of(at.index(index), one.str_or_empty(), &["Ingress", "Egress"]);
    }
}

fn port(at: &Field, port: ValueRef, errors: &mut Errors) {
    errors.may_be_one_of(at.child("protocol"), port.get("protocol"), &["TCP", "UDP", "SCTP"]);
    let (place, end_place) = (at.child("port"), at.child("endPort"));
    let (number, end) = (port.get("port"), port.get("endPort").as_i64());
    if let Some(name) = number.as_str() {
        if let Some(end) = end {
            errors.invalid(end_place, &end, "may not be specified when `port` is non-numeric");
        }
        errors.invalid_each(place, name, formats::port_name(name));
    } else if let Some(number) = number.as_i64() {
        errors.invalid_each(place, &number, formats::port_number(number));
        if let Some(end) = end {
            if end < number {
                errors.invalid(end_place, &number, "must be greater than or equal to `port`");
            }
            errors.invalid_each(end_place, &end, formats::port_number(end));
        }
    } else if let Some(end) = end {
        errors.invalid(end_place, &end, "may not be specified when `port` is not specified");
    }
}

fn peer(at: &Field, peer: ValueRef, errors: &mut Errors) {
    let mut count = 0;
    for member in ["podSelector", "namespaceSelector"] {
        if !peer.get(member).is_none() {
            count += 1;
            selector::check(at.child(member), peer.get(member), errors);
        }
    }
    let block = peer.get("ipBlock");
    if !block.is_none() {
        count += 1;
        ip_block(&at.child("ipBlock"), block, errors);
    }
    if count == 0 {
        errors.required(at, "must specify a peer");
    } else if count > 1 && !block.is_none() {
        errors.forbidden(at, "may not specify both ipBlock and another peer");
    }
}

fn ip_block(at: &Field, block: ValueRef, errors: &mut Errors) {
    let text = block.get("cidr").str_or_empty();
    if !errors.needs(at.child("cidr"), text) {
        return;
    }
    errors.invalid_each(at.child("cidr"), text, formats::cidr(text));
    let Some(whole) = formats::Cidr::parse(text) else { return };
    let list = at.child("except");
    for (index, except) in block.get("except").iter().enumerate() {
        let (at, text) = (list.index(index), except.str_or_empty());
        errors.invalid_each(at, text, formats::cidr(text));
        if formats::Cidr::parse(text).is_some_and(|part| !whole.is_wider_than(part)) {
            errors.invalid(at, text, "must be a strict subset of `cidr`");
        }
    }
}
