//! Step 2 by components, around the host's own RBAC.

use std::sync::Arc;

use portcullis_machinery::Value;
use portcullis_plugins::manager::PluginManager;
use portcullis_plugins::spec::FailurePolicy;
use portcullis_plugins::table::LivePlugin;
use portcullis_policy::{AuthorizerDecision, Document, JsonDocument, Stage};
use serde_json::json;

use super::user_info;
use crate::authz::{AuthorizerComponents, Decision, Turn};
use crate::context::{RequestInfo, UserInfo};

/// The authorizer plugins, asked in their order.
pub struct ComponentAuthorizers {
    plugins: Arc<PluginManager>,
}

impl ComponentAuthorizers {
    /// The authorizers that `plugins` has in service at the time of each request.
    pub fn new(plugins: Arc<PluginManager>) -> Self {
        Self { plugins }
    }
}

/// The document of `wit/worlds.wit`, interface `authorizer`.
fn document(user: &UserInfo, request: &RequestInfo) -> Value {
    json!({
        "user": user_info(user),
        "request": {
            "verb": request.verb,
            "apiGroup": request.api_group,
            "apiVersion": request.api_version,
            "resource": request.resource,
            "subresource": request.subresource,
            "namespace": request.namespace,
            "name": request.name,
            "path": request.path,
            "resourceRequest": request.is_resource_request,
        },
    })
}

fn turn_of(plugin: &LivePlugin) -> Turn {
    if plugin.order < 0 { Turn::Before } else { Turn::After }
}

impl AuthorizerComponents for ComponentAuthorizers {
    fn authorize(&self, turn: Turn, user: &UserInfo, request: &RequestInfo) -> Decision {
        let table = self.plugins.stage(Stage::Authorizer);
        let mut asked = table.all().iter().filter(|plugin| turn_of(plugin) == turn).peekable();
        if asked.peek().is_none() {
            return Decision::NoOpinion(String::new());
        }
        let document: Arc<dyn Document> = Arc::new(JsonDocument(document(user, request)));
        let mut reasons = Vec::new();
        for plugin in asked {
            match plugin.policy.call_authorizer(&document) {
                Ok(AuthorizerDecision::Allow) => {
                    return Decision::Allow(format!("allowed by plugin {:?}", plugin.name));
                }
                Ok(AuthorizerDecision::Deny(why)) => return Decision::Deny(says(plugin, &why)),
                Ok(AuthorizerDecision::NoOpinion(why)) if why.is_empty() => {}
                Ok(AuthorizerDecision::NoOpinion(why)) => reasons.push(says(plugin, &why)),
                Err(error) => {
                    tracing::warn!(plugin = plugin.name, reason = error.reason(), %error, "an authorizer failed");
                    // One that may refuse what others allow, and cannot be asked, must be taken to have refused.
                    if plugin.failure_policy == FailurePolicy::Fail {
                        return Decision::Deny(format!("plugin {:?} failed: {error}", plugin.name));
                    }
                }
            }
        }
        Decision::NoOpinion(reasons.join("\n"))
    }

    fn is_empty(&self) -> bool {
        self.plugins.stage(Stage::Authorizer).all().is_empty()
    }
}

fn says(plugin: &LivePlugin, why: &str) -> String {
    if why.is_empty() {
        return format!("refused by plugin {:?}", plugin.name);
    }
    format!("plugin {:?}: {why}", plugin.name)
}
