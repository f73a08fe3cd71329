//! Step 2: may they? RBAC and the node authorizer in the host. Authorizer components have their place in the chain
//! ([`Authorizer::set_components`]), but the binary does not fill it yet.

pub mod aggregate;
pub mod escalation;
pub mod feed;
pub mod node;
pub mod rbac;
pub mod rules;

use std::sync::Arc;

use arc_swap::ArcSwap;
use portcullis_machinery::Status;
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

/// An authorizer component, asked before the built-in authorizers (negative order) or after them.
pub trait AuthorizerComponent: Send + Sync + 'static {
    /// Decides. Must not block for longer than a component's deadline.
    fn authorize(&self, user: &UserInfo, request: &RequestInfo) -> Decision;
    /// Negative: asked before RBAC.
    fn order(&self) -> i64;
}

/// All authorizers of a server.
pub struct Authorizer {
    modes: Vec<AuthorizationMode>,
    components: ArcSwap<Vec<Arc<dyn AuthorizerComponent>>>,
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
        Self { modes, components: ArcSwap::default(), rbac: RbacIndex::default(), node }
    }

    /// Replaces the authorizer components; they are asked in their order.
    pub fn set_components(&self, mut components: Vec<Arc<dyn AuthorizerComponent>>) {
        components.sort_by_key(|component| component.order());
        self.components.store(Arc::new(components));
    }

    /// Whether the user may do that. Members of `system:masters` may do everything, so that no component and no
    /// binding can lock the administrator out.
    pub fn authorize(&self, user: &UserInfo, request: &RequestInfo) -> Decision {
        if user.groups.iter().any(|group| group == "system:masters") {
            return Decision::Allow(String::new());
        }
        let mut reasons: Vec<String> = Vec::new();
        let components = self.components.load();
        let first_after = components.partition_point(|component| component.order() < 0);
        let (before, after) = components.split_at(first_after);
        let asked = before
            .iter()
            .map(Asked::Component)
            .chain(self.modes.iter().map(Asked::Mode))
            .chain(after.iter().map(Asked::Component));
        for authorizer in asked {
            let decision = match authorizer {
                Asked::Component(component) => component.authorize(user, request),
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
        let (mut rules, mut errors, mut incomplete) = (Vec::new(), Vec::new(), !self.components.load().is_empty());
        if user.groups.iter().any(|group| group == "system:masters") {
            let star = || vec!["*".to_owned()];
            rules.push(Rule { verbs: star(), api_groups: star(), resources: star(), ..Rule::default() });
            rules.push(Rule { verbs: star(), non_resource_urls: star(), ..Rule::default() });
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
    Component(&'a Arc<dyn AuthorizerComponent>),
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
