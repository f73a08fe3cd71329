//! Containers of the three sorts.

use std::collections::BTreeSet;

use portcullis_sdk::ValueRef;

use super::volumes::Volumes;
use super::{Context, env, handlers, mounts, plain_image, resources, security};
use crate::{Errors, Field, formats};

/// What an ephemeral container has not.
const NOT_EPHEMERAL: [&str; 8] = [
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
];
const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];

/// All containers of a spec.
pub(super) fn check(at: &Field, context: &Context, volumes: &Volumes, errors: &mut Errors) {
    let spec = context.spec;
    let mut names = BTreeSet::new();
    regular(&at.child("containers"), context, volumes, &mut names, errors);
    let list = at.child("initContainers");
    for (index, container) in spec.get("initContainers").iter().enumerate() {
        init(&list, index, container, context, volumes, &mut names, errors);
    }
    ephemeral(&at.child("ephemeralContainers"), context, volumes, names, errors);
}

fn regular<'a>(
    at: &Field,
    context: &Context<'a>,
    volumes: &Volumes,
    names: &mut BTreeSet<&'a str>,
    errors: &mut Errors,
) {
    let containers = context.spec.get("containers");
    if containers.is_empty() {
        errors.required(at, "");
    }
    let mut ports = BTreeSet::new();
    for (index, container) in containers.iter().enumerate() {
        let at = at.index(index);
        common(&at, container, context, volumes, errors);
        errors.unique(names, at.child("name"), container.get("name").str_or_empty());
        handlers::lifecycle(&at.child("lifecycle"), container.get("lifecycle"), context.grace(), errors);
        handlers::probes(&at, container, context.grace(), errors);
        restart(&at, container, errors);
    }
    for (index, container) in containers.iter().enumerate() {
        host_ports(&at.index(index), container, &mut ports, errors);
    }
}

fn init<'a>(
    list: &Field,
    index: usize,
    container: ValueRef<'a>,
    context: &Context,
    volumes: &Volumes,
    names: &mut BTreeSet<&'a str>,
    errors: &mut Errors,
) {
    let at = list.index(index);
    common(&at, container, context, volumes, errors);
    restart(&at, container, errors);
    errors.unique(names, at.child("name"), container.get("name").str_or_empty());
    // They run one after the other, so that none can be in another's way. The reference counts each as the first.
    host_ports(&list.index(0), container, &mut BTreeSet::new(), errors);
    if container.get("restartPolicy").is_str("Always") {
        handlers::lifecycle(&at.child("lifecycle"), container.get("lifecycle"), context.grace(), errors);
        handlers::probes(&at, container, context.grace(), errors);
        return;
    }
    for field in ["lifecycle"].iter().chain(&PROBES) {
        if !container.get(field).is_none() {
            errors.forbidden(at.child(field), "may not be set for init containers without restartPolicy=Always");
        }
    }
}

fn ephemeral(at: &Field, context: &Context, volumes: &Volumes, others: BTreeSet<&str>, errors: &mut Errors) {
    let mut names = others.clone();
    for (index, container) in context.spec.get("ephemeralContainers").iter().enumerate() {
        let at = at.index(index);
        common(&at, container, context, volumes, errors);
        plain_image(&at, container, errors);
        errors.unique(&mut names, at.child("name"), container.get("name").str_or_empty());
        let target = container.get("targetContainerName").str_or_empty();
        if !target.is_empty() && !others.contains(target) {
            errors.not_found(at.child("targetContainerName"), target);
        }
        let never = "cannot be set for an Ephemeral Container";
        for field in NOT_EPHEMERAL {
            if !crate::values::is_blank(container.get(field)) {
                errors.forbidden(at.child(field), never);
            }
        }
        let mounts = at.child("volumeMounts");
        for (index, mount) in container.get("volumeMounts").iter().enumerate() {
            for field in ["subPath", "subPathExpr"] {
                if !mount.get(field).str_or_empty().is_empty() {
                    errors.forbidden(mounts.index(index).child(field), never);
                }
            }
        }
    }
}

/// What all containers have in common.
fn common(at: &Field, container: ValueRef, context: &Context, volumes: &Volumes, errors: &mut Errors) {
    let name = container.get("name").str_or_empty();
    if errors.needs(at.child("name"), name) {
        errors.invalid_each(at.child("name"), name, formats::dns_label(name));
    }
    errors.needs(at.child("image"), container.get("image").str_or_empty());
    let policies = ["FallbackToLogsOnError", "File"];
    let policy = container.get("terminationMessagePolicy").str_or_empty();
    errors.needs_one_of(at.child("terminationMessagePolicy"), policy, &policies);
    ports(&at.child("ports"), container.get("ports"), errors);
    env::variables(&at.child("env"), container.get("env"), volumes, errors);
    env::whole_sources(&at.child("envFrom"), container.get("envFrom"), errors);
    mounts::check(at, container, volumes, errors);
    mounts::devices(at, container, volumes, errors);
    let policy = container.get("imagePullPolicy").str_or_empty();
    errors.needs_one_of(at.child("imagePullPolicy"), policy, &["Always", "IfNotPresent", "Never"]);
    resources::check(&at.child("resources"), container.get("resources"), Some(context.spec), errors);
    resize_policy(&at.child("resizePolicy"), container.get("resizePolicy"), context, errors);
    security::container(&at.child("securityContext"), container.get("securityContext"), context, errors);
}

fn ports(at: &Field, ports: ValueRef, errors: &mut Errors) {
    let mut names = BTreeSet::new();
    for (index, port) in ports.iter().enumerate() {
        let at = at.index(index);
        let name = port.get("name").str_or_empty();
        if !name.is_empty() {
            let wrong = formats::port_name(name);
            if wrong.is_empty() {
                errors.unique(&mut names, at.child("name"), name);
            }
            errors.invalid_each(at.child("name"), name, wrong);
        }
        match port.get("containerPort").as_i64() {
            None | Some(0) => errors.required(at.child("containerPort"), ""),
            Some(number) => errors.invalid_each(at.child("containerPort"), &number, formats::port_number(number)),
        }
        let host = port.get("hostPort").as_i64().unwrap_or(0);
        if host != 0 {
            errors.invalid_each(at.child("hostPort"), &host, formats::port_number(host));
        }
        errors.needs_one_of(at.child("protocol"), port.get("protocol").str_or_empty(), &["SCTP", "TCP", "UDP"]);
    }
}

/// No two containers that run side by side can have the same port of the host.
fn host_ports(at: &Field, container: ValueRef, taken: &mut BTreeSet<String>, errors: &mut Errors) {
    let at = at.child("ports");
    for (index, port) in container.get("ports").iter().enumerate() {
        let Some(number) = port.get("hostPort").as_i64().filter(|number| *number != 0) else { continue };
        let text = |name| port.get(name).str_or_empty();
        let this = format!("{}/{}/{number}", text("protocol"), text("hostIP"));
        if taken.contains(&this) {
            errors.duplicate(at.index(index).child("hostPort"), &this);
        }
        taken.insert(this);
    }
}

/// When one container is started again, other than the pod's policy says.
fn restart(at: &Field, container: ValueRef, errors: &mut Errors) {
    let policy = container.get("restartPolicy");
    errors.may_be_one_of(at.child("restartPolicy"), policy, &["Always", "Never", "OnFailure"]);
    let rules = container.get("restartPolicyRules");
    if policy.is_none() && !rules.is_empty() {
        errors.required(at.child("restartPolicy"), "must specify restartPolicy when restart rules are used");
    }
    let at = at.child("restartPolicyRules");
    if rules.len() > 20 {
        errors.too_many(at, rules.len(), 20);
    }
    for (index, rule) in rules.iter().enumerate() {
        let at = at.index(index);
        let actions = ["Restart", "RestartAllContainers"];
        errors.needs_one_of(at.child("action"), rule.get("action").str_or_empty(), &actions);
        let codes = rule.get("exitCodes");
        if codes.is_none() {
            errors.required(at.child("exitCodes"), "must be specified");
            continue;
        }
        let at = at.child("exitCodes");
        errors.needs_one_of(at.child("operator"), codes.get("operator").str_or_empty(), &["In", "NotIn"]);
        let values = codes.get("values");
        if values.len() > 255 {
            errors.too_many(at.child("values"), values.len(), 255);
        }
    }
}

fn resize_policy(at: &Field, list: ValueRef, context: &Context, errors: &mut Errors) {
    let mut seen = BTreeSet::new();
    for (index, entry) in list.iter().enumerate() {
        let (resource, policy) = (entry.get("resourceName").str_or_empty(), entry.get("restartPolicy").str_or_empty());
        errors.unique(&mut seen, at.index(index), resource);
        errors.needs_one_of(at, resource, &["cpu", "memory"]);
        errors.needs_one_of(at, policy, &["NotRequired", "RestartContainer"]);
        if context.restart_policy() == "Never" && policy != "NotRequired" {
            errors.invalid(at, policy, "must be 'NotRequired' when `restartPolicy` is 'Never'");
        }
    }
}
