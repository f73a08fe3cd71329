//! ValidatingAdmissionPolicies: rules in CEL over any resource, bound to requests by bindings (API reference,
//! `admissionregistration.k8s.io/v1`).
//!
//! The policies and bindings are read from their caches at each write, so that a change is in force with the next
//! request; what was compiled is kept until a policy changes. [`matching`] says which requests a policy is about,
//! [`compiled`] has its expressions, [`environment`] the values that they see, and [`definition`] what a policy is told
//! when it is written.

pub mod compiled;
pub mod definition;
pub mod environment;
mod matching;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_machinery::definition::split_api_version;
use portcullis_machinery::selector::LabelSelector;
use portcullis_machinery::status::Cause;
use portcullis_machinery::{Status, Value, object};
use portcullis_storage::cache::ResourceCache;

use crate::admission::AdmissionAttributes;
use crate::context::Context;
use crate::handlers::scope::cache_of;
use crate::server::ApiServer;
use compiled::{Compiled, Verdict};
use environment::Environment;

const GROUP: &str = "admissionregistration.k8s.io";

/// The compiled policies, by uid and generation.
#[derive(Debug, Default)]
pub struct Policies {
    compiled: Mutex<HashMap<String, (i64, Arc<Compiled>)>>,
}

impl Policies {
    fn compiled(&self, policy: &Value) -> Arc<Compiled> {
        let (uid, generation) = (object::uid(policy).to_owned(), object::generation(policy));
        let mut known = self.compiled.lock();
        if let Some((made, compiled)) = known.get(&uid)
            && *made == generation
        {
            return Arc::clone(compiled);
        }
        let compiled = Arc::new(Compiled::new(policy));
        known.insert(uid, (generation, Arc::clone(&compiled)));
        compiled
    }

    /// Forgets policies that are gone.
    fn forget(&self, present: usize) {
        let mut known = self.compiled.lock();
        if known.len() > 2 * present + 64 {
            known.clear();
        }
    }
}

/// A policy that refuses a request.
struct Denial {
    reason: String,
    message: String,
}

/// Whether a request is never the business of policies: they must not lock out what repairs them.
fn exempt(attributes: &AdmissionAttributes) -> bool {
    attributes.resource.group == GROUP
        || matches!(
            (attributes.resource.group.as_str(), attributes.resource.name.as_str()),
            ("authentication.k8s.io" | "authorization.k8s.io", _)
        )
}

/// Asks the policies about a request. A deletion has `Value::Null` as its object.
///
/// # Errors
/// What the first policy that refuses says, with the code of its reason.
pub fn check(
    server: &Arc<ApiServer>,
    cx: &Context,
    attributes: &AdmissionAttributes,
    object: &Value,
) -> Result<(), Status> {
    let registry = server.registry.load_full();
    let cache = |plural: &str| {
        registry.resource(GROUP, "v1", plural).map(|definition| (definition, cache_of(server, definition)))
    };
    let (Some((_, bindings)), Some((policy_definition, policies))) =
        (cache("validatingadmissionpolicybindings"), cache("validatingadmissionpolicies"))
    else {
        return Ok(());
    };
    let bindings = bindings.peek();
    if bindings.objects.is_empty() || exempt(attributes) {
        return Ok(());
    }
    let policies = policies.peek();
    server.policies.forget(policies.objects.len());
    let mut environment: Option<Environment> = None;
    for binding in bindings.objects.values() {
        let binding = binding.value();
        let name = object::str_at(&binding, &["spec", "policyName"]).unwrap_or_default();
        let key: &str = &policy_definition.key("", name);
        let Some(policy) = policies.objects.get(key).map(|policy| policy.value()) else { continue };
        if !matching::matches(object::get_at(&policy, &["spec", "matchConstraints"]), attributes, object, true)
            || !matching::matches(object::get_at(&binding, &["spec", "matchResources"]), attributes, object, false)
        {
            continue;
        }
        let compiled = server.policies.compiled(&policy);
        let environment = environment.get_or_insert_with(|| Environment::new(server, cx, attributes, object));
        for denial in ask(server, environment, &policy, &binding, &compiled, attributes) {
            enforce(cx, attributes, &binding, name, &denial)?;
        }
    }
    Ok(())
}

/// What a policy says under a binding, for each of its parameters.
fn ask(
    server: &Arc<ApiServer>,
    environment: &Environment,
    policy: &Value,
    binding: &Value,
    compiled: &Compiled,
    attributes: &AdmissionAttributes,
) -> Vec<Denial> {
    let fails = object::str_at(policy, &["spec", "failurePolicy"]) != Some("Ignore");
    let parameters = match parameters(server, policy, binding, attributes) {
        Ok(parameters) => parameters,
        Err(text) if fails => {
            return vec![Denial { reason: String::new(), message: format!("failed to configure binding: {text}") }];
        }
        Err(_) => return Vec::new(),
    };
    let mut denials = Vec::new();
    for parameter in parameters {
        match compiled.decide(environment, parameter.as_deref(), fails) {
            Verdict::Passed => {}
            Verdict::Denied { reason, message } => denials.push(Denial { reason, message }),
        }
    }
    denials
}

/// The objects that a binding gives to its policy: one `None` if the policy takes none.
fn parameters(
    server: &Arc<ApiServer>,
    policy: &Value,
    binding: &Value,
    attributes: &AdmissionAttributes,
) -> Result<Vec<Option<Arc<Value>>>, String> {
    let Some(kind) = object::get_at(policy, &["spec", "paramKind"]) else { return Ok(vec![None]) };
    let Some(reference) = object::get_at(binding, &["spec", "paramRef"]) else { return Ok(vec![None]) };
    let text = |value: &Value, key: &str| object::str_at(value, &[key]).unwrap_or_default().to_owned();
    let (api_version, kind) = (text(kind, "apiVersion"), text(kind, "kind"));
    let (group, version) = split_api_version(&api_version);
    let registry = server.registry.load();
    let definition = registry
        .kind(group, version, &kind)
        .ok_or_else(|| format!("failed to find resource referenced by paramKind: '{group}/{version}, Kind={kind}'"))?;
    let cache: Arc<ResourceCache> = cache_of(server, definition);
    let mut namespace = text(reference, "namespace");
    if definition.namespaced && namespace.is_empty() {
        namespace.clone_from(&attributes.namespace);
        if namespace.is_empty() {
            return Err("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources".into());
        }
    }
    let snapshot = cache.peek();
    let name = text(reference, "name");
    let found: Vec<Option<Arc<Value>>> = if name.is_empty() {
        let selector = LabelSelector::from_object(reference.get("selector"))?;
        let prefix = definition.key_prefix(definition.namespaced.then_some(namespace.as_str()));
        let all = snapshot.under(&prefix, None).filter(|object| selector.matches(|key| object.label(key)));
        all.map(|object| Some(object.value())).collect()
    } else {
        let key: &str = &definition.key(&namespace, &name);
        snapshot.objects.get(key).map(|object| Some(object.value())).into_iter().collect()
    };
    if found.is_empty() && text(reference, "parameterNotFoundAction") == "Deny" {
        return Err("no params found for policy binding with `Deny` parameterNotFoundAction".into());
    }
    Ok(found)
}

/// Does what the binding wants done about a denial.
fn enforce(
    cx: &Context,
    attributes: &AdmissionAttributes,
    binding: &Value,
    policy: &str,
    denial: &Denial,
) -> Result<(), Status> {
    let actions = object::list_at(binding, &["spec", "validationActions"]);
    let wants = |action: &str| actions.iter().any(|wanted| wanted == action);
    let name = object::name(binding);
    if wants("Warn") {
        let text = &denial.message;
        cx.warn(format!("Validation failed for ValidatingAdmissionPolicy '{policy}' with binding '{name}': {text}"));
    }
    if !wants("Deny") {
        return Ok(());
    }
    let message =
        format!("ValidatingAdmissionPolicy '{policy}' with binding '{name}' denied request: {}", denial.message);
    let resource = &attributes.resource;
    let mut status = Status::forbidden(&resource.group, &resource.name, &attributes.name, &message);
    let reason = if denial.reason.is_empty() { "Invalid" } else { &denial.reason };
    status.code = match reason {
        "Unauthorized" => 401,
        "RequestEntityTooLarge" => 413,
        "Invalid" => 422,
        _ => 403,
    };
    reason.clone_into(&mut status.reason);
    if let Some(details) = &mut status.details {
        details.causes.push(Cause { message, ..Cause::default() });
    }
    Err(status)
}
