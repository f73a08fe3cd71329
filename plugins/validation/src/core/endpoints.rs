//! Endpoints.

use portcullis_sdk::ValueRef;

use crate::{Errors, Field, Review, formats};

/// Endpoints of a service.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    let all = Field::new("subsets");
    for (index, subset) in review.object.get("subsets").iter().enumerate() {
        let at = all.index(index);
        let lists = ["addresses", "notReadyAddresses"];
        if lists.iter().all(|list| subset.get(list).is_empty()) {
            errors.required(at, "must specify `addresses` or `notReadyAddresses`");
        }
        for list in lists {
            let place = at.child(list);
            for (index, one) in subset.get(list).iter().enumerate() {
                address(&place.index(index), one, errors);
            }
        }
        let (ports, place) = (subset.get("ports"), at.child("ports"));
        for (index, one) in ports.iter().enumerate() {
            let at = place.index(index);
            let name = one.get("name").str_or_empty();
            if !name.is_empty() {
                errors.invalid_each(at.child("name"), name, formats::dns_label(name));
            } else if ports.len() > 1 {
                errors.required(at.child("name"), "");
            }
            port(&at, one, errors);
        }
    }
}

fn address(at: &Field, address: ValueRef, errors: &mut Errors) {
    let ip = address.get("ip").str_or_empty();
    errors.invalid_each(at.child("ip"), ip, formats::ip(ip));
    let hostname = address.get("hostname").str_or_empty();
    if !hostname.is_empty() {
        errors.invalid_each(at.child("hostname"), hostname, formats::dns_label(hostname));
    }
    if let Some(node) = address.get("nodeName").as_str() {
        errors.invalid_each(at.child("nodeName"), node, formats::dns_subdomain(node));
    }
    errors.invalid_each(at.child("ip"), ip, formats::endpoint_ip(ip));
}

/// A port's number, protocol and application protocol.
fn port(at: &Field, port: ValueRef, errors: &mut Errors) {
    let number = port.get("port").as_i64().unwrap_or(0);
    errors.invalid_each(at.child("port"), &number, formats::port_number(number));
    errors.needs_one_of(at.child("protocol"), port.get("protocol").str_or_empty(), &["SCTP", "TCP", "UDP"]);
    if let Some(protocol) = port.get("appProtocol").as_str() {
        errors.invalid_each(at.child("appProtocol"), protocol, formats::qualified_name(protocol));
    }
}
