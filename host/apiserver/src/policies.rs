//! Admission policies in CEL: rules over any resource, bound to requests by bindings (API reference,
//! `admissionregistration.k8s.io/v1`).
//!
//! [`validating`] has the policies that refuse, [`mutating`] those that change. Both find the policies of a request in
//! [`hooks`], which keeps them by resource; [`matching`] says which requests a policy is about, [`parameters`] what a
//! binding gives to it, [`compiled`] has its expressions, [`environment`] the values that they see, and [`evaluation`]
//! runs them within their budgets. [`definition`] is what a policy is told when it is written.

mod compiled;
pub mod definition;
pub mod environment;
mod evaluation;
mod hooks;
pub mod matching;
mod mutating;
mod parameters;
mod validating;

use std::sync::Arc;

use portcullis_machinery::Value;

use crate::admission::AdmissionAttributes;
use crate::server::ApiServer;
use hooks::{Hook, Plane};
use matching::Match;

pub use mutating::mutate;
pub use validating::check;

const GROUP: &str = "admissionregistration.k8s.io";

/// The policies of both kinds.
#[derive(Debug)]
pub struct Policies {
    validating: Plane,
    mutating: Plane,
}

impl Default for Policies {
    fn default() -> Self {
        Self {
            validating: Plane::new("validatingadmissionpolicies", "validatingadmissionpolicybindings"),
            mutating: Plane::new("mutatingadmissionpolicies", "mutatingadmissionpolicybindings"),
        }
    }
}

/// Whether a request is never the business of policies: they must not lock out what repairs them, nor what is asked of
/// the server while it decides.
fn exempt(attributes: &AdmissionAttributes) -> bool {
    let resource = &attributes.resource;
    match resource.group.as_str() {
        GROUP => {
            matches!(
                resource.name.as_str(),
                "validatingadmissionpolicies"
                    | "validatingadmissionpolicybindings"
                    | "mutatingadmissionpolicies"
                    | "mutatingadmissionpolicybindings"
            )
        }
        "authentication.k8s.io" | "authorization.k8s.io" => true,
        _ => false,
    }
}

/// A policy that a request has matched, under one of its bindings and with one of the parameters that this gives.
struct Step {
    hook: Arc<Hook>,
    /// The place of the binding; none if the policy itself is wrong.
    binding: Option<usize>,
    /// As what the request has matched and the parameter, or what is wrong.
    what: Result<(Match, Option<Arc<Value>>), String>,
}

/// Finds the steps of a request.
struct Invocations;

impl Invocations {
    async fn of(server: &Arc<ApiServer>, plane: &Plane, attributes: &AdmissionAttributes, object: &Value) -> Vec<Step> {
        let mut steps = Vec::new();
        if exempt(attributes) {
            return steps;
        }
        for hook in plane.hooks(server, &attributes.resource.name) {
            let Some(matched) = hook.matcher.matches(server, attributes, object) else { continue };
            let failed = |binding: Option<usize>, what: &str, why: String| Step {
                hook: Arc::clone(&hook),
                binding,
                what: Err(format!("failed to configure {what}: {why}")),
            };
            let resource = match parameters::resource(server, &hook) {
                Ok(resource) => resource,
                Err(why) => {
                    steps.push(failed(None, "policy", why));
                    continue;
                }
            };
            for (at, binding) in hook.bindings.iter().enumerate() {
                let narrowed = binding.matcher.as_ref();
                if narrowed.is_some_and(|narrowed| narrowed.matches(server, attributes, object).is_none()) {
                    continue;
                }
                let given =
                    parameters::of_binding(server, resource.as_deref(), binding.param_ref.as_ref(), attributes).await;
                match given {
                    Ok(parameters) => steps.extend(parameters.into_iter().map(|parameter| Step {
                        hook: Arc::clone(&hook),
                        binding: Some(at),
                        what: Ok((matched.clone(), parameter)),
                    })),
                    Err(why) => steps.push(failed(Some(at), "binding", why)),
                }
            }
        }
        steps
    }
}

/// The name by which answers call the object of a request.
fn shown_name<'a>(attributes: &'a AdmissionAttributes, object: &'a Value) -> &'a str {
    if attributes.name.is_empty() { validating::name_in(object).unwrap_or("Unknown") } else { &attributes.name }
}
