//! The steps of a request that components decide: the chain of authenticators, the authorizers, and admission.
//!
//! The host's part is to make the document, to ask the plugins whose rules match in their order, to turn their values
//! into effects (a user, a changed object, a `Status`), and to keep a failing component from being more than its
//! failure policy says.

mod admission;
mod authentication;
mod authorization;
mod conversion;

pub use admission::ComponentAdmission;
pub use authentication::ComponentAuthenticators;
pub use authorization::ComponentAuthorizers;
pub use conversion::ComponentConverters;

use portcullis_machinery::{Status, Value};
use portcullis_plugins::spec::FailurePolicy;
use portcullis_plugins::table::LivePlugin;
use portcullis_policy::CallError;
use serde_json::json;

use crate::context::UserInfo;

/// A user as components see one.
fn user_info(user: &UserInfo) -> Value {
    let extra: serde_json::Map<String, Value> =
        user.extra.iter().map(|(key, values)| (key.clone(), json!(values))).collect();
    json!({"username": user.username, "uid": user.uid, "groups": user.groups, "extra": extra})
}

/// What becomes of a request when a component failed: nothing where its policy is to be ignored, else a `Status` that
/// names the plugin and says what happened.
fn failed(plugin: &LivePlugin, error: &CallError) -> Result<(), Status> {
    tracing::warn!(plugin = plugin.name, reason = error.reason(), %error, "a policy failed");
    if plugin.failure_policy == FailurePolicy::Ignore {
        return Ok(());
    }
    let message = format!("plugin {:?} failed: {error}", plugin.name);
    Err(match error {
        CallError::Saturated(_) => Status::too_many_requests(message, 1),
        CallError::DeadlineExceeded(_) => Status::timeout(message),
        _ => Status::internal(message),
    })
}
