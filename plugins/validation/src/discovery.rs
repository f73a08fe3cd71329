//! The discovery group: EndpointSlices.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use crate::{Errors, Field, Review, formats};

/// Checks an object of the group.
pub fn check(review: &Review, errors: &mut Errors) {
    if review.kind != "EndpointSlice" {
        return;
    }
    let slice = review.object;
    let kind = slice.get("addressType").str_or_empty();
    errors.needs_one_of("addressType", kind, &["FQDN", "IPv4", "IPv6"]);
    endpoints(&Field::new("endpoints"), slice.get("endpoints"), kind, errors);
    ports(&Field::new("ports"), slice.get("ports"), errors);
    if review.update {
        errors.immutable("addressType", slice.get("addressType"), review.old.get("addressType"));
    }
}

fn endpoints(at: &Field, endpoints: ValueRef, kind: &str, errors: &mut Errors) {
    if endpoints.len() > 1000 {
        return errors.too_many(at, endpoints.len(), 1000);
    }
    for (index, endpoint) in endpoints.iter().enumerate() {
        let at = at.index(index);
        addresses(&at.child("addresses"), endpoint.get("addresses"), kind, errors);
        if let Some(node) = endpoint.get("nodeName").as_str() {
            errors.invalid_each(at.child("nodeName"), node, formats::dns_subdomain(node));
        }
        let (topology, place) = (endpoint.get("deprecatedTopology"), at.child("deprecatedTopology"));
        if topology.len() > 16 {
            errors.too_many(place, topology.len(), 16);
        }
        for (key, _) in topology.entries() {
            errors.invalid_each(place, key, formats::qualified_name(key));
        }
        if let Some(name) = endpoint.get("hostname").as_str() {
            errors.invalid_each(at.child("hostname"), name, formats::dns_label(name));
        }
        let place = at.child("hints");
        for list in ["forZones", "forNodes"] {
            hints(&place.child(list), endpoint.get("hints").get(list), list, errors);
        }
    }
}

fn addresses(at: &Field, addresses: ValueRef, kind: &str, errors: &mut Errors) {
    if addresses.is_empty() {
        errors.required(at, "must contain at least 1 address");
    } else if addresses.len() > 100 {
        errors.too_many(at, addresses.len(), 100);
    }
    for (index, address) in addresses.iter().enumerate() {
        let (place, text) = (at.index(index), address.str_or_empty());
        if kind == "FQDN" {
            fully_qualified(&place, text, errors);
        }
        if !matches!(kind, "IPv4" | "IPv6") {
            continue;
        }
        let wrong = formats::ip(text);
        if !wrong.is_empty() {
            errors.invalid_each(place, text, wrong);
            continue;
        }
        if text.contains(':') != (kind == "IPv6") {
            // The reference does not say here which address it is.
            errors.invalid(at, text, format!("must be an {kind} address"));
        }
        errors.invalid_each(place, text, formats::endpoint_ip(text));
    }
}

fn hints(at: &Field, list: ValueRef, what: &str, errors: &mut Errors) {
    if list.len() > 8 {
        errors.too_many(at, list.len(), 8);
    }
    let mut seen = BTreeSet::new();
    for (index, hint) in list.iter().enumerate() {
        let at = at.index(index);
        let (at, name) = (at.child("name"), hint.get("name").str_or_empty());
        errors.unique(&mut seen, at, name);
        let rule = if what == "forZones" { formats::label_value } else { formats::dns_subdomain };
        errors.invalid_each(at, name, rule(name));
    }
}

fn ports(at: &Field, ports: ValueRef, errors: &mut Errors) {
    if ports.len() > 20_000 {
        return errors.too_many(at, ports.len(), 20_000);
    }
    let mut seen = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let at = at.index(index);
        let name = port.get("name").str_or_empty();
        if !name.is_empty() {
            errors.invalid_each(at.child("name"), name, formats::dns_label(name));
        }
        errors.unique(&mut seen, at.child("name"), name);
        let protocol = port.get("protocol").str_or_empty();
        errors.needs_one_of(at.child("protocol"), protocol, &["SCTP", "TCP", "UDP"]);
        if let Some(protocol) = port.get("appProtocol").as_str() {
            errors.invalid_each(at.child("appProtocol"), protocol, formats::qualified_name(protocol));
        }
    }
}

/// A domain name of at least two labels; the point at its end may be written.
fn fully_qualified(at: &Field, text: &str, errors: &mut Errors) {
    if !errors.needs(at, text) {
        return;
    }
    let name = text.strip_suffix('.').unwrap_or(text);
    let wrong = formats::dns_subdomain(name);
    if !wrong.is_empty() {
        return errors.invalid(at, name, wrong.join(","));
    }
    if !name.contains('.') {
        return errors.invalid(at, name, "should be a domain with at least two segments separated by dots");
    }
    for label in name.split('.') {
        let wrong = formats::dns_label(label);
        if !wrong.is_empty() {
            return errors.invalid(at, label, wrong.join(","));
        }
    }
}
