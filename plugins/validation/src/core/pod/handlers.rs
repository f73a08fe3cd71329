//! What is done to a container: probes, and hooks of its life.

use portcullis_sdk::ValueRef;

use crate::{Errors, Field, formats};

/// What probes and hooks can do.
const KINDS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

/// The hooks at `at`.
pub(super) fn lifecycle(at: &Field, hooks: ValueRef, grace: Option<i64>, errors: &mut Errors) {
    for name in ["postStart", "preStop"] {
        if !hooks.get(name).is_none() {
            handler(&at.child(name), hooks.get(name), grace, errors);
        }
    }
}

/// The probes of the container at `at`.
pub(super) fn probes(at: &Field, container: ValueRef, grace: Option<i64>, errors: &mut Errors) {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let (probe, at) = (container.get(name), at.child(name));
        if probe.is_none() {
            continue;
        }
        handler(&at, probe, grace, errors);
        let numbers =
            ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];
        errors.all_non_negative(&at, probe, &numbers);
        let seconds = probe.get("terminationGracePeriodSeconds").as_i64();
        if let Some(seconds) = seconds.filter(|seconds| *seconds <= 0) {
            errors.invalid(at.child("terminationGracePeriodSeconds"), &seconds, "must be greater than 0");
        }
        if name == "readinessProbe" {
            if let Some(seconds) = seconds {
                let detail = "must not be set for readinessProbes";
                errors.invalid(at.child("terminationGracePeriodSeconds"), &seconds, detail);
            }
        } else if let Some(number) = probe.get("successThreshold").as_i64().filter(|number| *number != 1) {
            errors.invalid(at.child("successThreshold"), &number, "must be 1");
        }
    }
}

fn handler(at: &Field, handler: ValueRef, grace: Option<i64>, errors: &mut Errors) {
    let mut found = 0;
    for kind in KINDS {
        let (action, at) = (handler.get(kind), at.child(kind));
        if action.is_none() {
            continue;
        }
        found += 1;
        if found > 1 {
            errors.forbidden(at, "may not specify more than 1 handler type");
            continue;
        }
        match kind {
            "exec" if action.get("command").is_empty() => errors.required(at.child("command"), ""),
            "httpGet" => http_get(&at, action, errors),
            "tcpSocket" | "grpc" => port(&at.child("port"), action.get("port"), errors),
            "sleep" => {
                let (seconds, most) = (action.get("seconds").as_i64().unwrap_or(0), grace.unwrap_or(0));
                if grace.is_some() && !(0..=most).contains(&seconds) {
                    let detail = format!("must be non-negative and less than terminationGracePeriodSeconds ({most})");
                    errors.invalid(at, &seconds, detail);
                }
            }
            _ => {}
        }
    }
    if found == 0 {
        errors.required(at, "must specify a handler type");
    }
}

fn http_get(at: &Field, action: ValueRef, errors: &mut Errors) {
    errors.needs(at.child("path"), action.get("path").str_or_empty());
    port(&at.child("port"), action.get("port"), errors);
    errors.one_of(at.child("scheme"), action.get("scheme").str_or_empty(), &["HTTP", "HTTPS"]);
    for header in action.get("httpHeaders") {
        let name = header.get("name").str_or_empty();
        errors.invalid_each(at.child("httpHeaders"), name, formats::http_header(name));
    }
}

/// A port by number or by name.
pub(crate) fn port(at: &Field, port: ValueRef, errors: &mut Errors) {
    match port.as_str() {
        Some(name) => errors.invalid_each(at, name, formats::port_name(name)),
        None => {
            let number = port.as_i64().unwrap_or(0);
            errors.invalid_each(at, &number, formats::port_number(number));
        }
    }
}
