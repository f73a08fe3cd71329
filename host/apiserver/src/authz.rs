//! Step 2: may they? RBAC and the node authorizer in the host, and authorizer components before and after them.
//!
//! Two things are the host's alone, so that no component can lock the administrator out or let anybody into its own
//! reins: members of `system:masters` may do everything, and about the group `plugins.portcullis.dev` no component is
//! asked.

pub mod aggregate;
pub mod escalation;
pub mod feed;
pub mod node;
pub mod rbac;
pub mod rules;

use std::sync::{Arc, OnceLock};

use portcullis_machinery::Status;
use portcullis_machinery::definition::plugins;
use portcullis_machinery::status::{StatusDetails, group_resource};

use crate::context::{RequestInfo, UserInfo};
use crate::server_config::AuthorizationMode;

use node::NodeAuthorizer;
use rbac::{RbacDecision, RbacIndex};
use rules::Rule;

/// An authorizer's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let it pass; the reason is shown in access reviews.
    Allow(String),
    /// Refuse it, whatever others say.
    Deny(String),
    /// Ask the next one; the reason is shown if nobody allows it.
    NoOpinion(String),
}

/// When authorizer components are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Before the built-in authorizers: components of negative order.
    Before,
    /// After the built-in authorizers had no opinion: all others.
    After,
}

/// The authorizer components that are in service at the time of each request.
pub trait AuthorizerComponents: Send + Sync + 'static {
    /// Asks the components of a turn in their order until one decides; reasons of those that had no opinion are joined.
    fn authorize(&self, turn: Turn, user: &UserInfo, request: &RequestInfo) -> Decision;
    /// Whether there are none.
    fn is_empty(&self) -> bool;
}

/// All authorizers of a server.
pub struct Authorizer {
    modes: Vec<AuthorizationMode>,
    components: OnceLock<Arc<dyn AuthorizerComponents>>,
    /// Roles and bindings.
    pub rbac: RbacIndex,
    /// What kubelets may do.
    pub node: NodeAuthorizer,
}

impl Default for Authorizer {
    fn default() -> Self {
        Self::new(vec![AuthorizationMode::Node, AuthorizationMode::Rbac])
    }
}

impl Authorizer {
    /// Authorizers in the order of `--authorization-mode`.
    pub fn new(modes: Vec<AuthorizationMode>) -> Self {
        let node = NodeAuthorizer::new(crate::bootstrap::cluster_role_rules("system:node"));
        Self { modes, components: OnceLock::new(), rbac: RbacIndex::default(), node }
    }

    /// Says where the authorizer components are. Only the first call counts.
    pub fn set_components(&self, components: Arc<dyn AuthorizerComponents>) {
        let _ = self.components.set(components);
    }

    /// Whether the user may do that.
    pub fn authorize(&self, user: &UserInfo, request: &RequestInfo) -> Decision {
        let components = self.components.get().filter(|_| request.api_group != plugins::GROUP);
        self.chain(user, request, components)
    }

    /// The same without the authorizer components: for what a component itself wants to read, which must not lead to
    /// another component's being asked.
    pub fn authorize_builtin(&self, user: &UserInfo, request: &RequestInfo) -> Decision {
        self.chain(user, request, None)
    }

    fn chain(
        &self,
        user: &UserInfo,
        request: &RequestInfo,
        components: Option<&Arc<dyn AuthorizerComponents>>,
    ) -> Decision {
        if user.groups.iter().any(|group| group == "system:masters") {
            return Decision::Allow(String::new());
        }
        let component = |turn: Turn| components.map(|components| Asked::Components(&**components, turn));
        let modes = self.modes.iter().map(Asked::Mode);
        let mut reasons: Vec<String> = Vec::new();
        for authorizer in component(Turn::Before).into_iter().chain(modes).chain(component(Turn::After)) {
            let decision = match authorizer {
                Asked::Components(components, turn) => components.authorize(turn, user, request),
                Asked::Mode(mode) => self.ask(*mode, user, request),
            };
            match decision {
                Decision::NoOpinion(reason) if reason.is_empty() => {}
                Decision::NoOpinion(reason) => reasons.push(reason),
                decided => return decided,
            }
        }
        Decision::NoOpinion(reasons.join("\n"))
    }

    fn ask(&self, mode: AuthorizationMode, user: &UserInfo, request: &RequestInfo) -> Decision {
        match mode {
            AuthorizationMode::AlwaysAllow => Decision::Allow(String::new()),
            AuthorizationMode::AlwaysDeny => Decision::NoOpinion("Everything is forbidden.".to_owned()),
            AuthorizationMode::Node => self.node.authorize(user, request),
            AuthorizationMode::Rbac => match self.rbac.authorize(user, request) {
                RbacDecision::Allowed(by) => Decision::Allow(format!("RBAC: allowed by {by}")),
                RbacDecision::NotAllowed(missing) => Decision::NoOpinion(match missing.as_slice() {
                    [] => String::new(),
                    [one] => format!("RBAC: {one}"),
                    many => format!("RBAC: [{}]", many.join(", ")),
                }),
            },
        }
    }

    /// The same as an error: 403 in the reference's words.
    ///
    /// # Errors
    /// 403 unless allowed.
    pub fn require(&self, user: &UserInfo, request: &RequestInfo) -> Result<(), Status> {
        match self.authorize(user, request) {
            Decision::Allow(_) => Ok(()),
            Decision::Deny(reason) | Decision::NoOpinion(reason) => Err(forbidden(user, request, &reason)),
        }
    }

    /// The rules that a user has in a namespace, whether the list may be incomplete, and why.
    pub fn rules_for(&self, user: &UserInfo, namespace: &str) -> (Vec<Rule>, bool, Vec<String>) {
        let (mut rules, mut errors, mut incomplete) = (Vec::new(), Vec::new(), false);
        // What a component would allow can only be found by asking about one request after the other.
        if self.components.get().is_some_and(|components| !components.is_empty()) {
            incomplete = true;
            errors.push("authorizer plugins do not support user rule resolution".to_owned());
        }
        for mode in &self.modes {
            match mode {
                AuthorizationMode::Node if node::node_name(user).is_some() => {
                    incomplete = true;
                    errors.push("node authorizer does not support user rule resolution".to_owned());
                }
                AuthorizationMode::Rbac => {
                    let (found, missing) = self.rbac.rules_for(user, namespace);
                    rules.extend(found);
                    errors.extend(missing);
                }
                _ => {}
            }
        }
        (rules, incomplete, errors)
    }
}

enum Asked<'a> {
    Components(&'a dyn AuthorizerComponents, Turn),
    Mode(&'a AuthorizationMode),
}

/// The 403 of a request that nobody allowed: `pods "x" is forbidden: User "u" cannot get resource "pods" in API group ""
/// in the namespace "ns": <reason>`.
pub fn forbidden(user: &UserInfo, request: &RequestInfo, reason: &str) -> Status {
    let who = if user.username.is_empty() { String::from("User \"\"") } else { format!("User {:?}", user.username) };
    if !request.is_resource_request {
        let mut message = format!("forbidden: {who} cannot {} path {:?}", request.verb, request.path);
        if !reason.is_empty() {
            message.push_str(": ");
            message.push_str(reason);
        }
        return Status::failure(403, "Forbidden", message).with_details(StatusDetails::default());
    }
    let resource = if request.subresource.is_empty() {
        request.resource.clone()
    } else {
        format!("{}/{}", request.resource, request.subresource)
    };
    let scope = if request.namespace.is_empty() {
        "at the cluster scope".to_owned()
    } else {
        format!("in the namespace {:?}", request.namespace)
    };
    let mut why =
        format!("{who} cannot {} resource {resource:?} in API group {:?} {scope}", request.verb, request.api_group);
    if !reason.is_empty() {
        why.push_str(": ");
        why.push_str(reason);
    }
    let what = group_resource(&request.api_group, &request.resource);
    let message = if request.name.is_empty() {
        format!("{what} is forbidden: {why}")
    } else {
        format!("{what} {:?} is forbidden: {why}", request.name)
    };
    Status::failure(403, "Forbidden", message).with_details(StatusDetails {
        name: request.name.clone(),
        group: request.api_group.clone(),
        kind: request.resource.clone(),
        ..StatusDetails::default()
    })
}

#[cfg(test)]
mod tests;
