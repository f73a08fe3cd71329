//! Names: how a pod finds others, and how it is found.

use portcullis_sdk::ValueRef;

use super::Context;
use crate::{Errors, Field, formats};

/// How a pod resolves names.
pub(super) fn config(at: &Field, spec: ValueRef, errors: &mut Errors) {
    let config = spec.get("dnsConfig");
    let (servers, searches) = (config.get("nameservers"), config.get("searches"));
    if spec.get("dnsPolicy").is_str("None") {
        if config.is_none() {
            return errors.required(at, "must provide `dnsConfig` when `dnsPolicy` is None");
        }
        if servers.is_empty() {
            let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            return errors.required(at.child("nameservers"), detail);
        }
    }
    if servers.len() > 3 {
        errors.invalid(at.child("nameservers"), &servers, "must not have more than 3 nameservers");
    }
    let list = at.child("nameservers");
    for (index, server) in servers.iter().enumerate() {
        let server = server.str_or_empty();
        errors.invalid_each(list.index(index), server, formats::ip(server));
    }
    let list = at.child("searches");
    if searches.len() > 32 {
        errors.invalid(list, &searches, "must not have more than 32 search paths");
    }
    let length: usize = searches.iter().map(|search| search.str_or_empty().len() + 1).sum();
    if length.saturating_sub(1) > 2048 {
        let detail = "must not have more than 2048 characters (including spaces) in the search list";
        errors.invalid(list, &searches, detail);
    }
    for (index, search) in searches.iter().enumerate() {
        let search = search.str_or_empty();
        if search != "." {
            let search = search.strip_suffix('.').unwrap_or(search);
            errors.invalid_each(list.index(index), search, formats::dns_subdomain_with_underscore(search));
        }
    }
    let list = at.child("options");
    for (index, option) in config.get("options").iter().enumerate() {
        if option.get("name").str_or_empty().is_empty() {
            errors.required(list.index(index), "must not be empty");
        }
    }
}

/// Names that a pod knows without asking.
pub(super) fn host_aliases(at: &Field, spec: ValueRef, errors: &mut Errors) {
    for (index, alias) in spec.get("hostAliases").iter().enumerate() {
        let at = at.index(index);
        let ip = alias.get("ip").str_or_empty();
        errors.invalid_each(at.child("ip"), ip, formats::ip(ip));
        let list = at.child("hostnames");
        for (index, name) in alias.get("hostnames").iter().enumerate() {
            let name = name.str_or_empty();
            errors.invalid_each(list.index(index), name, formats::dns_subdomain(name));
        }
    }
}

/// A host name in the place of the one that is made from the pod's name.
pub(super) fn hostname_override(at: &Field, context: &Context, errors: &mut Errors) {
    let Some(name) = context.spec.get("hostnameOverride").as_str() else { return };
    let at = at.child("hostnameOverride");
    if name.len() > 64 {
        errors.invalid(at, name, "must be no more than 64 characters");
    }
    errors.invalid_each(at, name, formats::dns_subdomain(name));
    for flag in ["setHostnameAsFQDN", "hostNetwork"] {
        if context.flag(flag) {
            errors.forbidden(at, format!("may not be specified when {flag} is true"));
        }
    }
}
