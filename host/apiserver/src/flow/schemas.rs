//! Which FlowSchema a request belongs to.

use http::HeaderValue;
use portcullis_machinery::{Value, object};

use crate::context::{RequestInfo, UserInfo};

/// What tells the flows of one schema apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Distinguisher {
    None,
    User,
    Namespace,
}

/// A FlowSchema, ready to be matched.
#[derive(Debug)]
pub(super) struct FlowSchema {
    pub(super) name: String,
    /// The uids of the schema and of its level, as answers carry them.
    pub(super) uid: HeaderValue,
    pub(super) level_uid: HeaderValue,
    /// Its priority level.
    pub(super) level: usize,
    precedence: i64,
    distinguisher: Distinguisher,
    rules: Vec<Rule>,
}

#[derive(Debug)]
struct Rule {
    subjects: Vec<Subject>,
    resources: Vec<ResourceRule>,
    paths: Vec<PathRule>,
}

#[derive(Debug)]
enum Subject {
    User(String),
    Group(String),
    /// The beginning of the users' names, and whether that is all of it.
    ServiceAccount(String, bool),
}

#[derive(Debug)]
struct ResourceRule {
    verbs: Vec<String>,
    groups: Vec<String>,
    resources: Vec<String>,
    namespaces: Vec<String>,
    cluster: bool,
}

#[derive(Debug)]
struct PathRule {
    verbs: Vec<String>,
    paths: Vec<String>,
}

/// Whether a list names something, or everything.
fn has(list: &[String], name: &str) -> bool {
    matches!(list, [all] if all == "*") || list.iter().any(|entry| entry == name)
}

fn texts(value: &Value, field: &str) -> Vec<String> {
    object::list_at(value, &[field]).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

impl Subject {
    fn read(value: &Value) -> Option<Self> {
        let text = |path: [&str; 2]| object::str_at(value, &path).unwrap_or_default().to_owned();
        Some(match object::str_at(value, &["kind"])? {
            "User" => Self::User(text(["user", "name"])),
            "Group" => Self::Group(text(["group", "name"])),
            "ServiceAccount" => {
                let (namespace, name) = (text(["serviceAccount", "namespace"]), text(["serviceAccount", "name"]));
                let all = name == "*";
                let name = if all { "" } else { name.as_str() };
                Self::ServiceAccount(format!("system:serviceaccount:{namespace}:{name}"), !all)
            }
            _ => return None,
        })
    }

    fn matches(&self, user: &UserInfo) -> bool {
        match self {
            Self::User(name) => name == "*" || *name == user.username,
            Self::Group(name) => name == "*" || user.groups.iter().any(|group| group == name),
            Self::ServiceAccount(name, true) => *name == user.username,
            Self::ServiceAccount(prefix, false) => user.username.starts_with(prefix.as_str()),
        }
    }
}

impl ResourceRule {
    fn matches(&self, info: &RequestInfo) -> bool {
        let resource = match info.subresource.as_str() {
            "" => info.resource.clone(),
            subresource => format!("{}/{subresource}", info.resource),
        };
        has(&self.verbs, &info.verb)
            && has(&self.resources, &resource)
            && has(&self.groups, &info.api_group)
            && if info.namespace.is_empty() { self.cluster } else { has(&self.namespaces, &info.namespace) }
    }
}

impl PathRule {
    fn matches(&self, info: &RequestInfo) -> bool {
        let below = |path: &str| {
            let prefix = path.strip_suffix('*').unwrap_or(path);
            let rest = info.path.strip_prefix(prefix.strip_suffix('/').unwrap_or(prefix));
            rest.is_some_and(|rest| rest.starts_with('/'))
        };
        has(&self.verbs, &info.verb) && self.paths.iter().any(|path| path == "*" || *path == info.path || below(path))
    }
}

fn uid(value: &Value) -> HeaderValue {
    HeaderValue::from_str(object::uid(value)).unwrap_or(HeaderValue::from_static(""))
}

impl FlowSchema {
    /// Reads a schema, which belongs to `level`, the object of which is `level_object`.
    pub(super) fn read(schema: &Value, level: usize, level_object: &Value) -> Self {
        let rules = object::list_at(schema, &["spec", "rules"]).iter();
        Self {
            name: object::name(schema).to_owned(),
            uid: uid(schema),
            level_uid: uid(level_object),
            level,
            precedence: object::get_at(schema, &["spec", "matchingPrecedence"]).and_then(Value::as_i64).unwrap_or(1000),
            distinguisher: match object::str_at(schema, &["spec", "distinguisherMethod", "type"]) {
                Some("ByUser") => Distinguisher::User,
                Some("ByNamespace") => Distinguisher::Namespace,
                _ => Distinguisher::None,
            },
            rules: rules
                .map(|rule| Rule {
                    subjects: object::list_at(rule, &["subjects"]).iter().filter_map(Subject::read).collect(),
                    resources: object::list_at(rule, &["resourceRules"])
                        .iter()
                        .map(|rule| ResourceRule {
                            verbs: texts(rule, "verbs"),
                            groups: texts(rule, "apiGroups"),
                            resources: texts(rule, "resources"),
                            namespaces: texts(rule, "namespaces"),
                            cluster: rule.get("clusterScope") == Some(&Value::Bool(true)),
                        })
                        .collect(),
                    paths: object::list_at(rule, &["nonResourceRules"])
                        .iter()
                        .map(|rule| PathRule { verbs: texts(rule, "verbs"), paths: texts(rule, "nonResourceURLs") })
                        .collect(),
                })
                .collect(),
        }
    }

    /// The order in which schemas are asked: the first that matches is the request's.
    pub(super) fn order(&self) -> (i64, &str) {
        (self.precedence, &self.name)
    }

    pub(super) fn matches(&self, user: &UserInfo, info: &RequestInfo) -> bool {
        self.rules.iter().any(|rule| {
            rule.subjects.iter().any(|subject| subject.matches(user))
                && if info.is_resource_request {
                    rule.resources.iter().any(|rule| rule.matches(info))
                } else {
                    rule.paths.iter().any(|rule| rule.matches(info))
                }
        })
    }

    /// What stands for the request's flow: requests of one flow wait behind each other.
    pub(super) fn flow(&self, user: &UserInfo, info: &RequestInfo) -> u64 {
        use std::hash::{Hash, Hasher};
        let mut hasher = std::hash::DefaultHasher::new();
        self.name.hash(&mut hasher);
        match self.distinguisher {
            Distinguisher::None => {}
            Distinguisher::User => user.username.hash(&mut hasher),
            Distinguisher::Namespace => info.namespace.hash(&mut hasher),
        }
        hasher.finish()
    }
}
