//! Ingresses and IngressClasses.

use portcullis_sdk::ValueRef;

use super::reference;
use crate::shown::Nothing;
use crate::{Errors, Field, Review, SPEC, STATUS, formats};

const CLASS: &str = "kubernetes.io/ingress.class";
const NOT_IN_PATHS: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];

/// An Ingress.
pub(super) fn check(review: &Review, errors: &mut Errors) {
    let spec = review.spec();
    let (default, rules) = (spec.get("defaultBackend"), spec.get("rules"));
    if rules.is_empty() && default.is_none() {
        errors.invalid(SPEC, &Nothing, "either `defaultBackend` or `rules` must be specified");
    }
    if !default.is_none() {
        backend(&SPEC.child("defaultBackend"), default, errors);
    }
    let list = SPEC.child("rules");
    for (index, one) in rules.iter().enumerate() {
        rule(&list.index(index), one, errors);
    }
    let list = SPEC.child("tls");
    for (index, tls) in spec.get("tls").iter().enumerate() {
        let at = list.index(index);
        let hosts = at.child("hosts");
        for (index, host) in tls.get("hosts").iter().enumerate() {
            errors.invalid_each(hosts.index(index), host.str_or_empty(), host_name(host.str_or_empty()));
        }
        let secret = tls.get("secretName").str_or_empty();
        if !secret.is_empty() {
            errors.invalid_each(at.child("secretName"), secret, formats::dns_subdomain(secret));
        }
    }
    let class = spec.get("ingressClassName");
    if let Some(class) = class.as_str() {
        errors.invalid_each(SPEC.child("ingressClassName"), class, formats::dns_subdomain(class));
    }
    let annotation = review.object.get("metadata").get("annotations").get(CLASS);
    if let (Some(class), Some(annotation), false) = (class.as_str(), annotation.as_str(), review.update)
        && class != annotation
    {
        let detail = "must match `ingressClassName` when both are specified";
        errors.invalid(Field::new("annotations").child(CLASS), annotation, detail);
    }
}

fn host_name(host: &str) -> Vec<String> {
    if host.contains('*') { formats::wildcard_subdomain(host) } else { formats::dns_subdomain(host) }
}

fn rule(at: &Field, rule: ValueRef, errors: &mut Errors) {
    let host = rule.get("host").str_or_empty();
    if !host.is_empty() {
        if formats::parse_ip(host).is_some() {
            errors.invalid(at.child("host"), host, "must be a DNS name, not an IP address");
        }
        errors.invalid_each(at.child("host"), host, host_name(host));
    }
    let http = rule.get("http");
    if http.is_none() {
        return;
    }
    let (paths, list) = (http.get("paths"), at.child("http.paths"));
    if paths.is_empty() {
        errors.required(list, "");
    }
    for (index, one) in paths.iter().enumerate() {
        path(&list.index(index), one, errors);
    }
}

fn path(at: &Field, rule: ValueRef, errors: &mut Errors) {
    let (path, place) = (rule.get("path").str_or_empty(), at.child("path"));
    let relative = !path.starts_with('/');
    let absolute = "must be an absolute path";
    match rule.get("pathType").as_str() {
        None => return errors.required(at.child("pathType"), "pathType must be specified"),
        Some("Exact" | "Prefix") => {
            if relative {
                errors.invalid(place, path, absolute);
            }
            for part in NOT_IN_PATHS.iter().filter(|part| path.contains(**part)) {
                errors.invalid(place, path, format!("must not contain '{part}'"));
            }
            for end in ["/..", "/."].iter().filter(|end| path.ends_with(**end)) {
                errors.invalid(place, path, format!("cannot end with '{end}'"));
            }
        }
        Some("ImplementationSpecific") => {
            if relative && !path.is_empty() {
                errors.invalid(place, path, absolute);
            }
        }
        Some(other) => {
            let kinds = ["Exact", "ImplementationSpecific", "Prefix"];
            errors.not_supported(at.child("pathType"), other, &kinds);
        }
    }
    backend(&at.child("backend"), rule.get("backend"), errors);
}

fn backend(at: &Field, backend: ValueRef, errors: &mut Errors) {
    let (resource, service) = (backend.get("resource"), backend.get("service"));
    match (resource.is_none(), service.is_none()) {
        (false, false) => return errors.invalid(at, "", "cannot set both resource and service backends"),
        (false, true) => return reference(&at.child("resource"), resource, errors),
        (true, true) => return errors.invalid(at, "", "resource or service backend is required"),
        (true, false) => {}
    }
    let place = at.child("service");
    let name = service.get("name").str_or_empty();
    if errors.needs(place.child("name"), name) {
        errors.invalid_each(place.child("name"), name, formats::dns_label(name));
    }
    let (name, number) =
        (service.get("port").get("name").str_or_empty(), service.get("port").get("number").as_i64().unwrap_or(0));
    match (name.is_empty(), number == 0) {
        (false, false) => errors.invalid(at, "", "cannot set both port name & port number"),
        (false, true) => errors.invalid_each(place.child("port.name"), name, formats::port_name(name)),
        (true, false) => errors.invalid_each(place.child("port.number"), &number, formats::port_number(number)),
        (true, true) => errors.required(at, "port name or number is required"),
    }
}

/// Where an Ingress can be reached.
pub(super) fn status(review: &Review, errors: &mut Errors) {
    let at = STATUS.child("loadBalancer");
    let list = at.child("ingress");
    for (index, ingress) in review.object.get("status").get("loadBalancer").get("ingress").iter().enumerate() {
        let at = list.index(index);
        let (ip, name) = (ingress.get("ip").str_or_empty(), ingress.get("hostname").str_or_empty());
        if !ip.is_empty() {
            errors.invalid_each(at.child("ip"), ip, formats::ip(ip));
        }
        if !name.is_empty() {
            errors.invalid_each(at.child("hostname"), name, formats::dns_subdomain(name));
            if formats::parse_ip(name).is_some() {
                errors.invalid(at.child("hostname"), name, "must be a DNS name, not an IP address");
            }
        }
    }
}

/// An IngressClass.
pub(super) fn class(review: &Review, errors: &mut Errors) {
    let spec = review.spec();
    let (controller, at) = (spec.get("controller").str_or_empty(), SPEC.child("controller"));
    if review.update {
        errors.immutable(at, spec.get("controller"), review.old_spec().get("controller"));
    } else {
        if controller.len() > 250 {
            errors.too_long(at, 250);
        }
        if errors.needs(at, controller) {
            errors.invalid_each(at, controller, formats::domain_prefixed_path(controller));
        }
    }
    let (parameters, at) = (spec.get("parameters"), SPEC.child("parameters"));
    if parameters.is_none() {
        return;
    }
    reference(&at, parameters, errors);
    let scope = parameters.get("scope").str_or_empty();
    errors.needs_one_of(at.child("scope"), scope, &["Cluster", "Namespace"]);
    let (namespace, place) = (parameters.get("namespace"), at.child("namespace"));
    match (scope, namespace.as_str()) {
        ("Namespace", None | Some("")) => errors.required(place, "`parameters.scope` is set to 'Namespace'"),
        ("Namespace", Some(name)) => errors.invalid_each(place, name, formats::dns_label(name)),
        ("Cluster", Some(_)) => errors.forbidden(place, "`parameters.scope` is set to 'Cluster'"),
        _ => {}
    }
}
