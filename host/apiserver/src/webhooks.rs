//! Admission webhooks: HTTPS servers that are asked about writes, as `MutatingWebhookConfiguration` and
//! `ValidatingWebhookConfiguration` say (API reference, `admissionregistration.k8s.io/v1`).
//!
//! What a configuration says is read once for each of its versions ([`hook`]), and for each resource it is known which
//! webhooks have a rule that may match ([`table`]): a request that is nobody's business costs one look. [`matching`] says
//! whether a webhook is to be asked, and about which version of the object ([`forms`]); [`review`] is what is sent and
//! answered, [`call`] one exchange with all that can go wrong. Mutating webhooks are asked one after another
//! ([`mutating`]), validating ones at once ([`validating`]).

mod call;
mod conditions;
pub mod definition;
mod forms;
mod hook;
mod matching;
mod metrics;
mod mutating;
mod review;
mod table;
mod validating;

use std::sync::Arc;

use portcullis_machinery::{Status, Value};

use crate::admission::AdmissionAttributes;
use crate::admission::reinvocation::Reinvocation;
use crate::handlers::Scope;
use metrics::WebhookMetrics;
pub use mutating::mutate;
use table::Kept;
pub use validating::validate;

const GROUP: &str = "admissionregistration.k8s.io";

/// The two kinds of configurations, as they are in force.
#[derive(Debug)]
pub struct Webhooks {
    mutating: Kept,
    validating: Kept,
    metrics: Arc<WebhookMetrics>,
}

impl Default for Webhooks {
    fn default() -> Self {
        Self {
            mutating: Kept::new("mutatingwebhookconfigurations"),
            validating: Kept::new("validatingwebhookconfigurations"),
            metrics: Arc::default(),
        }
    }
}

impl Webhooks {
    /// What `/metrics` says of the calls.
    pub fn metrics(&self) -> Arc<dyn Fn() -> String + Send + Sync> {
        let metrics = Arc::clone(&self.metrics);
        Arc::new(move || metrics.text())
    }
}

/// Asks mutating and validating webhooks about what is answered and not stored (a review).
///
/// # Errors
/// What the first that refuses says.
pub async fn admit(scope: &Scope, attributes: &AdmissionAttributes, object: &mut Value) -> Result<(), Status> {
    let mut rounds = Reinvocation::default();
    mutate(scope, attributes, object, &mut rounds).await?;
    if rounds.go_on() {
        mutate(scope, attributes, object, &mut rounds).await?;
    }
    validate(scope, attributes, object).await
}

/// Whether a request is never the business of webhooks: they must not lock out what repairs them.
fn is_exempt(attributes: &AdmissionAttributes) -> bool {
    attributes.kind.group == GROUP
        && matches!(
            attributes.kind.name.as_str(),
            "ValidatingWebhookConfiguration"
                | "MutatingWebhookConfiguration"
                | "ValidatingAdmissionPolicy"
                | "ValidatingAdmissionPolicyBinding"
                | "MutatingAdmissionPolicy"
                | "MutatingAdmissionPolicyBinding"
        )
}
