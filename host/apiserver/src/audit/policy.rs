//! What is recorded of which request (`audit.k8s.io/v1` Policy).

use portcullis_machinery::codec::{self, Media};
use serde::Deserialize;

use super::Stage;
use crate::context::{RequestInfo, UserInfo};

/// How much is recorded of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Level {
    /// Nothing.
    #[default]
    None,
    /// Who asked for what, and what came of it.
    Metadata,
    /// The request's object too.
    Request,
    /// The answer's object as well.
    RequestResponse,
}

impl Level {
    /// The word in events.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Metadata => "Metadata",
            Self::Request => "Request",
            Self::RequestResponse => "RequestResponse",
        }
    }
}

/// Rules, of which the first that matches a request counts; a request that none matches is not recorded.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Policy {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(default, rename = "metadata")]
    _metadata: serde_json::Value,
    #[serde(default)]
    omit_stages: Vec<Stage>,
    #[serde(default)]
    omit_managed_fields: bool,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct Rule {
    level: Level,
    users: Vec<String>,
    user_groups: Vec<String>,
    verbs: Vec<String>,
    resources: Vec<GroupResources>,
    namespaces: Vec<String>,
    #[serde(rename = "nonResourceURLs")]
    non_resource_urls: Vec<String>,
    omit_stages: Vec<Stage>,
    omit_managed_fields: Option<bool>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
struct GroupResources {
    group: String,
    resources: Vec<String>,
    resource_names: Vec<String>,
}

/// What the policy says of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// How much is recorded.
    pub level: Level,
    /// The stages that are left out.
    pub omit_stages: Vec<Stage>,
    /// Whether objects are recorded without `metadata.managedFields`.
    pub omit_managed_fields: bool,
}

impl Policy {
    /// Everything at level Metadata: what a server without a policy file records.
    pub fn metadata() -> Self {
        Self { rules: vec![Rule { level: Level::Metadata, ..Rule::default() }], ..Self::default() }
    }

    /// Reads a policy, YAML or JSON.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let decoded = codec::decode(text, Media::Yaml).map_err(|error| error.0)?;
        let policy: Self = serde_json::from_value(decoded.object).map_err(|error| error.to_string())?;
        if (policy.api_version.as_str(), policy.kind.as_str()) != ("audit.k8s.io/v1", "Policy") {
            return Err("apiVersion must be audit.k8s.io/v1 and kind Policy".to_owned());
        }
        if policy.rules.is_empty() {
            return Err("rules: at least one is needed".to_owned());
        }
        for (at, rule) in policy.rules.iter().enumerate() {
            let of_resources = !rule.resources.is_empty() || !rule.namespaces.is_empty();
            if of_resources && !rule.non_resource_urls.is_empty() {
                return Err(format!("rules[{at}]: nonResourceURLs cannot stand beside resources or namespaces"));
            }
        }
        Ok(policy)
    }

    /// What is recorded of a request.
    pub fn of(&self, user: &UserInfo, request: &RequestInfo) -> Wanted {
        let Some(rule) = self.rules.iter().find(|rule| rule.matches(user, request)) else { return Wanted::default() };
        let mut omit_stages = self.omit_stages.clone();
        omit_stages.extend(&rule.omit_stages);
        let omit_managed_fields = rule.omit_managed_fields.unwrap_or(self.omit_managed_fields);
        Wanted { level: rule.level, omit_stages, omit_managed_fields }
    }
}

fn none_or_has(list: &[String], value: &str) -> bool {
    list.is_empty() || list.iter().any(|item| item == value)
}

impl Rule {
    fn matches(&self, user: &UserInfo, request: &RequestInfo) -> bool {
        let in_groups = self.user_groups.is_empty() || user.groups.iter().any(|group| self.user_groups.contains(group));
        if !none_or_has(&self.users, &user.username) || !in_groups || !none_or_has(&self.verbs, &request.verb) {
            return false;
        }
        if !self.resources.is_empty() || !self.namespaces.is_empty() {
            return request.is_resource_request && self.matches_resource(request);
        }
        if !self.non_resource_urls.is_empty() {
            return !request.is_resource_request && self.non_resource_urls.iter().any(|url| covers(url, &request.path));
        }
        true
    }

    fn matches_resource(&self, request: &RequestInfo) -> bool {
        none_or_has(&self.namespaces, &request.namespace)
            && (self.resources.is_empty() || self.resources.iter().any(|resources| resources.matches(request)))
    }
}

/// Whether a path is one that `url` names: itself, all (`*`), or what begins as it does (`/healthz*`).
fn covers(url: &str, path: &str) -> bool {
    url == "*" || url == path || url.strip_suffix('*').is_some_and(|start| path.starts_with(start))
}

impl GroupResources {
    fn matches(&self, request: &RequestInfo) -> bool {
        if self.group != request.api_group {
            return false;
        }
        let named = self.resource_names.is_empty() || self.resource_names.contains(&request.name);
        let fits = |wanted: &String| match wanted.split_once('/') {
            None => wanted == "*" || (*wanted == request.resource && request.subresource.is_empty()),
            Some((resource, subresource)) => {
                !request.subresource.is_empty()
                    && (resource == "*" || resource == request.resource)
                    && (subresource == "*" || subresource == request.subresource)
            }
        };
        self.resources.is_empty() || (named && self.resources.iter().any(fits))
    }
}
