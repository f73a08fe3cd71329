//! Nobody may grant what they do not hold: the checks on writes of roles and bindings.

use portcullis_machinery::{Status, Value};

use super::rbac::{RoleRef, rules_of};
use super::rules::{Rule, describe, quoted_list, uncovered};
use super::{Authorizer, Decision};
use crate::context::{RequestInfo, UserInfo};

const GROUP: &str = "rbac.authorization.k8s.io";

fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// Whether an update changes nothing but owners, finalizers and managed fields, which the garbage collector must be
/// able to write without holding the role's rights.
fn only_garbage_collection(new: &Value, old: &Value) -> bool {
    let strip = |object: &Value| {
        let mut object = object.clone();
        if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            for key in ["ownerReferences", "finalizers", "managedFields", "resourceVersion", "selfLink"] {
                meta.remove(key);
            }
        }
        object
    };
    strip(new) == strip(old)
}

fn is_aggregated(object: &Value) -> bool {
    object
        .pointer("/aggregationRule/clusterRoleSelectors")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty())
}

fn everything() -> Vec<Rule> {
    let star = || vec!["*".to_owned()];
    vec![
        Rule { verbs: star(), api_groups: star(), resources: star(), ..Rule::default() },
        Rule { verbs: star(), non_resource_urls: star(), ..Rule::default() },
    ]
}

impl Authorizer {
    fn may(&self, user: &UserInfo, verb: &str, resource: &str, namespace: &str, name: &str) -> bool {
        let request = RequestInfo {
            is_resource_request: true,
            verb: verb.to_owned(),
            api_group: GROUP.to_owned(),
            api_version: "*".to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            ..RequestInfo::default()
        };
        matches!(self.authorize(user, &request), Decision::Allow(_))
    }

    /// Refuses if the user lacks something of `wanted` in the namespace.
    fn confirm_held(&self, user: &UserInfo, namespace: &str, wanted: &[Rule]) -> Result<(), String> {
        let (owned, missing) = self.rbac.rules_for(user, namespace);
        let lacking = uncovered(&owned, wanted);
        if lacking.is_empty() {
            return Ok(());
        }
        let mut message = format!(
            "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
            user.username,
            quoted_list(&user.groups),
            describe(&lacking).join("\n"),
        );
        match missing.as_slice() {
            [] => {}
            [one] => message.push_str(&format!("; resolution errors: [{one}]")),
            many => message.push_str(&format!("; resolution errors: [[{}]]", many.join(", "))),
        }
        Err(message)
    }

    /// Privilege escalation: whether `user` may write this Role, ClusterRole, RoleBinding or ClusterRoleBinding. To be
    /// called on create, update and patch of these, with the object as it would be stored; `old` is the stored one.
    /// Objects of other kinds pass.
    ///
    /// # Errors
    /// 403 in the reference's words; 404 if a binding refers to a role that is not there and nothing else allows it.
    pub fn check_escalation(
        &self,
        user: &UserInfo,
        request: &RequestInfo,
        object: &Value,
        old: Option<&Value>,
    ) -> Result<(), Status> {
        if request.api_group != GROUP
            || user.groups.iter().any(|group| group == "system:masters")
            || old.is_some_and(|old| only_garbage_collection(object, old))
        {
            return Ok(());
        }
        let resource = request.resource.as_str();
        let name = text(object, "/metadata/name");
        let forbid = |why: String| Status::forbidden(GROUP, resource, name, &why);
        match resource {
            "roles" | "clusterroles" => {
                if self.may(user, "escalate", resource, &request.namespace, &request.name) {
                    return Ok(());
                }
                self.confirm_held(user, &request.namespace, &rules_of(object)).map_err(forbid)?;
                let aggregated = is_aggregated(object) || old.is_some_and(is_aggregated);
                if resource == "clusterroles" && aggregated && self.confirm_held(user, "", &everything()).is_err() {
                    return Err(forbid("must have cluster-admin privileges to use the aggregationRule".to_owned()));
                }
                Ok(())
            }
            "rolebindings" | "clusterrolebindings" => {
                let kind = text(object, "/roleRef/kind");
                let role = RoleRef { kind: kind.to_owned(), name: text(object, "/roleRef/name").into() };
                let roles = match kind {
                    "ClusterRole" => "clusterroles",
                    "Role" => "roles",
                    // The object's validation says what is wrong with it.
                    _ => return Ok(()),
                };
                if self.may(user, "bind", roles, &request.namespace, &role.name) {
                    return Ok(());
                }
                let rules = self
                    .rbac
                    .role_rules(&role, &request.namespace)
                    .map_err(|_| Status::not_found(GROUP, roles.trim_end_matches('s'), &role.name))?;
                self.confirm_held(user, &request.namespace, &rules).map_err(forbid)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
