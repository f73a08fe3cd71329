//! The RBAC index: every role and binding, arranged so that a check touches only what concerns the caller.
//!
//! The watch caches feed it ([`RbacIndex::apply`]), one object at a time, so that it is as fresh as any other cache. A
//! check looks up the caller's name and groups among the subjects of bindings, cluster-wide and in the request's
//! namespace, and walks the rules of just those roles that mention the resource.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use portcullis_machinery::Value;
use smallvec::SmallVec;

use super::rules::Rule;
use crate::context::{RequestInfo, UserInfo};

/// The resources of the group `rbac.authorization.k8s.io`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RbacKind {
    /// `roles`
    Role,
    /// `clusterroles`
    ClusterRole,
    /// `rolebindings`
    RoleBinding,
    /// `clusterrolebindings`
    ClusterRoleBinding,
}

impl RbacKind {
    /// All four.
    pub const ALL: [Self; 4] = [Self::Role, Self::ClusterRole, Self::RoleBinding, Self::ClusterRoleBinding];

    /// The plural.
    pub fn resource(self) -> &'static str {
        match self {
            Self::Role => "roles",
            Self::ClusterRole => "clusterroles",
            Self::RoleBinding => "rolebindings",
            Self::ClusterRoleBinding => "clusterrolebindings",
        }
    }

    fn from_kind(kind: &str) -> Option<Self> {
        match kind {
            "Role" => Some(Self::Role),
            "ClusterRole" => Some(Self::ClusterRole),
            "RoleBinding" => Some(Self::RoleBinding),
            "ClusterRoleBinding" => Some(Self::ClusterRoleBinding),
            _ => None,
        }
    }
}

/// A namespace (empty for cluster-wide) and a name.
type Key = (Arc<str>, Arc<str>);

/// What a binding points to. `None` stands for a kind that is no role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleRef {
    /// `Role` or `ClusterRole`; anything else grants nothing.
    pub kind: String,
    /// Its name.
    pub name: Arc<str>,
}

/// A role's rules, with an index by resource.
#[derive(Debug, Default)]
struct CompiledRole {
    rules: Vec<Rule>,
    /// Rules that name the resource (without its subresource) exactly.
    by_resource: HashMap<Box<str>, SmallVec<[u16; 2]>>,
    /// Rules that have a `*` or `*/sub`.
    wild: SmallVec<[u16; 2]>,
    /// Rules with paths.
    urls: SmallVec<[u16; 2]>,
}

impl CompiledRole {
    fn new(rules: Vec<Rule>) -> Self {
        let mut role = Self { rules, ..Self::default() };
        for (at, rule) in role.rules.iter().enumerate() {
            let at = u16::try_from(at).unwrap_or(u16::MAX);
            for resource in &rule.resources {
                let resource = resource.split('/').next().unwrap_or_default();
                let list = match resource {
                    "*" => &mut role.wild,
                    _ => role.by_resource.entry(resource.into()).or_default(),
                };
                if list.last() != Some(&at) {
                    list.push(at);
                }
            }
            if !rule.non_resource_urls.is_empty() {
                role.urls.push(at);
            }
        }
        role
    }

    fn allows(&self, request: &RequestInfo) -> bool {
        let hit = |at: &u16| self.rules.get(usize::from(*at)).is_some_and(|rule| rule.allows(request));
        if !request.is_resource_request {
            return self.urls.iter().any(hit);
        }
        self.by_resource.get(request.resource.as_str()).is_some_and(|list| list.iter().any(hit))
            || self.wild.iter().any(hit)
    }
}

/// Whom a binding binds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Subject {
    User(Arc<str>),
    Group(Arc<str>),
}

/// One subject of one binding.
#[derive(Clone, Debug)]
struct Grant {
    binding: Arc<str>,
    role: RoleRef,
    /// `Group "system:masters"`, for explanations.
    subject: Arc<str>,
}

#[derive(Default)]
struct Inner {
    roles: HashMap<Key, Arc<CompiledRole>>,
    cluster_roles: HashMap<Arc<str>, Arc<CompiledRole>>,
    /// By subject, then by the binding's namespace (empty for ClusterRoleBindings), in order of the bindings' names.
    grants: HashMap<Subject, HashMap<Arc<str>, Vec<Grant>>>,
    /// The subjects of every binding, to take it out again.
    bindings: HashMap<Key, Vec<Subject>>,
}

/// Why a rule could not be found, or which binding allowed the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RbacDecision {
    /// Allowed, and by which binding.
    Allowed(String),
    /// Not allowed; the bindings whose role is missing, as the reference words it.
    NotAllowed(Vec<String>),
}

/// All roles and bindings of a control plane.
#[derive(Default)]
pub struct RbacIndex {
    inner: RwLock<Inner>,
}

fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// The rules of a Role or ClusterRole; what is malformed is left out, so that it grants nothing.
pub fn rules_of(object: &Value) -> Vec<Rule> {
    let rules = object.get("rules").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    rules.iter().filter_map(|rule| serde::Deserialize::deserialize(rule).ok()).collect()
}

impl Inner {
    fn unbind(&mut self, key: &Key) {
        for subject in self.bindings.remove(key).unwrap_or_default() {
            let Some(by_namespace) = self.grants.get_mut(&subject) else { continue };
            if let Some(grants) = by_namespace.get_mut(&key.0) {
                grants.retain(|grant| grant.binding != key.1);
                if grants.is_empty() {
                    by_namespace.remove(&key.0);
                }
            }
            if by_namespace.is_empty() {
                self.grants.remove(&subject);
            }
        }
    }

    fn bind(&mut self, key: Key, object: &Value) {
        self.unbind(&key);
        let role =
            RoleRef { kind: text(object, "/roleRef/kind").to_owned(), name: text(object, "/roleRef/name").into() };
        let mut subjects = Vec::new();
        for entry in object.get("subjects").and_then(Value::as_array).into_iter().flatten() {
            let name = text(entry, "/name");
            let kind = text(entry, "/kind");
            let (subject, label) = match kind {
                "User" => (Subject::User(name.into()), format!("User {name:?}")),
                "Group" => (Subject::Group(name.into()), format!("Group {name:?}")),
                "ServiceAccount" => {
                    let own = text(entry, "/namespace");
                    let namespace = if own.is_empty() { &*key.0 } else { own };
                    if namespace.is_empty() {
                        continue;
                    }
                    let user = format!("system:serviceaccount:{namespace}:{name}");
                    (Subject::User(user.into()), format!("ServiceAccount {:?}", format!("{name}/{namespace}")))
                }
                _ => continue,
            };
            if subjects.contains(&subject) {
                continue;
            }
            let grants = self.grants.entry(subject.clone()).or_default().entry(key.0.clone()).or_default();
            let at = grants.partition_point(|grant| grant.binding <= key.1);
            grants.insert(at, Grant { binding: key.1.clone(), role: role.clone(), subject: label.into() });
            subjects.push(subject);
        }
        self.bindings.insert(key, subjects);
    }

    fn role(&self, role: &RoleRef, namespace: &str) -> Result<&Arc<CompiledRole>, String> {
        let (found, resource) = match role.kind.as_str() {
            "ClusterRole" => (self.cluster_roles.get(&role.name), "clusterrole"),
            "Role" => (self.roles.get(&(Arc::from(namespace), role.name.clone())), "role"),
            other => return Err(format!("unsupported role reference kind: {other:?}")),
        };
        found.ok_or_else(|| format!("{resource}.rbac.authorization.k8s.io {:?} not found", &*role.name))
    }

    /// Calls `visit` for each grant of the user, cluster-wide ones first, until it returns true.
    fn visit<'a>(
        &'a self,
        user: &UserInfo,
        namespace: &str,
        mut visit: impl FnMut(&'a str, &'a Grant) -> bool,
    ) -> bool {
        let scopes: &[&str] = if namespace.is_empty() { &[""] } else { &["", namespace] };
        // The maps are keyed by owned values; the few Arcs made here cost less than a second set of maps would.
        let subjects: SmallVec<[&HashMap<Arc<str>, Vec<Grant>>; 8]> =
            std::iter::once(Subject::User(user.username.as_str().into()))
                .chain(user.groups.iter().map(|group| Subject::Group(group.as_str().into())))
                .filter_map(|subject| self.grants.get(&subject))
                .collect();
        for scope in scopes {
            for by_namespace in &subjects {
                let Some((namespace, grants)) = by_namespace.get_key_value(*scope) else { continue };
                if grants.iter().any(|grant| visit(namespace, grant)) {
                    return true;
                }
            }
        }
        false
    }
}

impl RbacIndex {
    /// Takes in an object that was put, or out one that was deleted (`object` is none).
    pub fn apply(&self, kind: RbacKind, namespace: &str, name: &str, object: Option<&Value>) {
        let key: Key = (namespace.into(), name.into());
        // Rules are compiled before the lock is taken: readers wait for map updates only.
        let compiled = match kind {
            RbacKind::Role | RbacKind::ClusterRole => {
                object.map(|object| Arc::new(CompiledRole::new(rules_of(object))))
            }
            _ => None,
        };
        let mut inner = self.inner.write();
        match (kind, compiled, object) {
            (RbacKind::Role, Some(role), _) => drop(inner.roles.insert(key, role)),
            (RbacKind::Role, None, _) => drop(inner.roles.remove(&key)),
            (RbacKind::ClusterRole, Some(role), _) => drop(inner.cluster_roles.insert(key.1, role)),
            (RbacKind::ClusterRole, None, _) => drop(inner.cluster_roles.remove(&key.1)),
            (_, _, Some(object)) => inner.bind(key, object),
            (_, _, None) => inner.unbind(&key),
        }
    }

    /// The same for an object whose kind, namespace and name are read from it. Objects of other kinds are ignored.
    pub fn put(&self, object: &Value) {
        if let Some(kind) = RbacKind::from_kind(text(object, "/kind")) {
            self.apply(kind, text(object, "/metadata/namespace"), text(object, "/metadata/name"), Some(object));
        }
    }

    /// Whether RBAC allows the request.
    pub fn authorize(&self, user: &UserInfo, request: &RequestInfo) -> RbacDecision {
        let inner = self.inner.read();
        let mut missing = Vec::new();
        let mut allowed = String::new();
        inner.visit(user, &request.namespace, |namespace, grant| match inner.role(&grant.role, namespace) {
            Ok(role) if role.allows(request) => {
                allowed = explain(namespace, grant);
                true
            }
            Ok(_) => false,
            Err(why) => {
                if !missing.contains(&why) {
                    missing.push(why);
                }
                false
            }
        });
        if allowed.is_empty() { RbacDecision::NotAllowed(missing) } else { RbacDecision::Allowed(allowed) }
    }

    /// All rules that a user has in a namespace (empty: cluster-wide ones only), and what could not be resolved.
    pub fn rules_for(&self, user: &UserInfo, namespace: &str) -> (Vec<Rule>, Vec<String>) {
        let inner = self.inner.read();
        let (mut rules, mut missing) = (Vec::new(), Vec::new());
        inner.visit(user, namespace, |scope, grant| {
            match inner.role(&grant.role, scope) {
                Ok(role) => rules.extend(role.rules.iter().cloned()),
                Err(why) => missing.push(why),
            }
            false
        });
        (rules, missing)
    }

    /// The rules of the role that a binding in `namespace` refers to.
    ///
    /// # Errors
    /// In the reference's words, if there is no such role; the first part says whether that is a plain not-found.
    pub fn role_rules(&self, role: &RoleRef, namespace: &str) -> Result<Vec<Rule>, String> {
        self.inner.read().role(role, namespace).map(|role| role.rules.clone())
    }
}

/// `ClusterRoleBinding "b" of ClusterRole "r" to Group "g"`.
fn explain(namespace: &str, grant: &Grant) -> String {
    let binding = if namespace.is_empty() {
        format!("ClusterRoleBinding {:?}", &*grant.binding)
    } else {
        format!("RoleBinding {:?}", format!("{}/{namespace}", grant.binding))
    };
    format!("{binding} of {} {:?} to {}", grant.role.kind, &*grant.role.name, grant.subject)
}

#[cfg(test)]
mod tests;
