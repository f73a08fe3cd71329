//! Step 2: may they? RBAC and the node authorizer in the host, authorizer components beside them.

use std::sync::Arc;

use arc_swap::ArcSwap;
use portcullis_machinery::{Status, Value};

use crate::context::{RequestInfo, UserInfo};

/// An authorizer's decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Let it pass.
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
#[derive(Default)]
pub struct Authorizer {
    components: ArcSwap<Vec<Arc<dyn AuthorizerComponent>>>,
}

impl Authorizer {
    /// Replaces the authorizer components.
    pub fn set_components(&self, components: Vec<Arc<dyn AuthorizerComponent>>) {
        self.components.store(Arc::new(components));
    }

    /// Whether the user may do that.
    pub fn authorize(&self, _user: &UserInfo, _request: &RequestInfo) -> Decision {
        Decision::NoOpinion(String::new())
    }

    /// The same as an error: 403 in the reference's words.
    ///
    /// # Errors
    /// 403 unless allowed.
    pub fn require(&self, user: &UserInfo, request: &RequestInfo) -> Result<(), Status> {
        match self.authorize(user, request) {
            Decision::Allow(_) => Ok(()),
            Decision::Deny(reason) | Decision::NoOpinion(reason) => Err(Status::failure(403, "Forbidden", reason)),
        }
    }

    /// Privilege escalation: whether `user` may write this Role, ClusterRole, RoleBinding or ClusterRoleBinding. To be
    /// called on create, update and patch of these, with the object as it would be stored. `old` is the stored one.
    ///
    /// # Errors
    /// 403 in the reference's words.
    pub fn check_escalation(
        &self,
        _user: &UserInfo,
        _request: &RequestInfo,
        _object: &Value,
        _old: Option<&Value>,
    ) -> Result<(), Status> {
        Ok(())
    }
}
