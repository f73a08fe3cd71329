//! One webhook of a configuration, read and compiled.

use std::time::Duration;

use portcullis_cel::Program;
use portcullis_machinery::selector::LabelSelector;
use portcullis_machinery::{Value, object};

use super::conditions;
use crate::outbound::{Destination, OutboundError};

/// The time that a webhook has if its configuration says none.
const DEFAULT_TIMEOUT: i64 = 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Hook {
    /// The configuration's name.
    pub configuration: String,
    /// The webhook's name.
    pub name: String,
    /// The configuration, the webhook, and which one of that name it is: what tells it from all others.
    pub id: (String, String, String),
    pub rules: Vec<Rule>,
    /// Whether other versions of the same objects count too (`matchPolicy: Equivalent`).
    pub equivalent: bool,
    pub namespaces: Result<LabelSelector, String>,
    pub objects: Result<LabelSelector, String>,
    /// `matchConditions`.
    pub conditions: Vec<Result<Program, String>>,
    /// Whether a request goes on if the webhook cannot be asked.
    pub ignores_failure: bool,
    /// `sideEffects`.
    pub side_effects: Option<String>,
    pub timeout: Duration,
    /// `admissionReviewVersions`.
    pub versions: Vec<String>,
    pub destination: Result<Destination, OutboundError>,
    /// `reinvocationPolicy: IfNeeded`.
    pub again_if_needed: bool,
}

/// One of a webhook's rules.
#[derive(Debug)]
pub(super) struct Rule {
    pub operations: Vec<String>,
    pub groups: Vec<String>,
    pub versions: Vec<String>,
    /// Resource and subresource.
    pub resources: Vec<(String, String)>,
    pub scope: Scope,
}

/// Which objects a rule is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    All,
    Namespaced,
    Cluster,
    /// A word that is none of these matches nothing.
    Unknown,
}

fn words(value: &Value, key: &str) -> Vec<String> {
    object::list_at(value, &[key]).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A selector that is absent selects everything here: the API gives it that default.
fn selector(hook: &Value, key: &str) -> Result<LabelSelector, String> {
    match hook.get(key) {
        None => Ok(LabelSelector::everything()),
        selector => LabelSelector::from_object(selector),
    }
}

impl Rule {
    fn new(rule: &Value) -> Self {
        let split = |resource: &String| {
            let (resource, sub) = resource.split_once('/').unwrap_or((resource, ""));
            (resource.to_owned(), sub.to_owned())
        };
        Self {
            operations: words(rule, "operations"),
            groups: words(rule, "apiGroups"),
            versions: words(rule, "apiVersions"),
            resources: words(rule, "resources").iter().map(split).collect(),
            scope: match object::str_at(rule, &["scope"]).unwrap_or("*") {
                "*" => Scope::All,
                "Namespaced" => Scope::Namespaced,
                "Cluster" => Scope::Cluster,
                _ => Scope::Unknown,
            },
        }
    }

    /// Whether the rule may be about a resource, in whatever version.
    pub fn may_match(&self, group: &str, resource: &str) -> bool {
        any(&self.groups, group) && self.resources.iter().any(|(one, _)| one == "*" || one == resource)
    }
}

/// Whether a list has a word, or the one that stands for all.
pub(super) fn any(list: &[String], word: &str) -> bool {
    list.iter().any(|one| one == "*" || one == word)
}

impl Hook {
    /// The webhooks of a configuration, in their order.
    pub fn all_of(configuration: &Value) -> Vec<Self> {
        let mut hooks: Vec<Self> = Vec::new();
        for hook in object::list_at(configuration, &["webhooks"]) {
            let name = object::str_at(hook, &["name"]).unwrap_or_default();
            let before = hooks.iter().filter(|other| other.name == name).count();
            hooks.push(Self::new(object::name(configuration), name, before, hook));
        }
        hooks
    }

    fn new(configuration: &str, name: &str, before: usize, hook: &Value) -> Self {
        let text = |key: &str| object::str_at(hook, &[key]);
        let timeout = object::i64_at(hook, &["timeoutSeconds"]).unwrap_or(DEFAULT_TIMEOUT);
        Self {
            configuration: configuration.to_owned(),
            name: name.to_owned(),
            id: (configuration.to_owned(), name.to_owned(), before.to_string()),
            rules: object::list_at(hook, &["rules"]).iter().map(Rule::new).collect(),
            equivalent: text("matchPolicy") != Some("Exact"),
            namespaces: selector(hook, "namespaceSelector"),
            objects: selector(hook, "objectSelector"),
            conditions: conditions::compile(object::list_at(hook, &["matchConditions"])),
            ignores_failure: text("failurePolicy") == Some("Ignore"),
            side_effects: text("sideEffects").map(str::to_owned),
            timeout: Duration::from_secs(timeout.clamp(1, 30).unsigned_abs()),
            versions: words(hook, "admissionReviewVersions"),
            destination: Destination::from_client_config(hook.get("clientConfig")),
            again_if_needed: text("reinvocationPolicy") == Some("IfNeeded"),
        }
    }
}
