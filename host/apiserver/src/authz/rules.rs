//! One RBAC rule (`rbac.authorization.k8s.io/v1` PolicyRule): what it matches, and when rules cover one another.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::context::RequestInfo;

/// A PolicyRule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Rule {
    /// `get`, …, or `*`.
    pub verbs: Vec<String>,
    /// Groups, or `*`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub api_groups: Vec<String>,
    /// `pods`, `pods/log`, `*/scale`, `*`.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub resources: Vec<String>,
    /// Names; empty for all.
    #[serde(skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub resource_names: Vec<String>,
    /// Paths, `*` only at the end.
    #[serde(rename = "nonResourceURLs", skip_serializing_if = "Vec::is_empty", deserialize_with = "nullable")]
    pub non_resource_urls: Vec<String>,
}

/// Takes `null` for an empty list, as clients written in Go send it.
fn nullable<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::<Vec<String>>::deserialize(deserializer)?.unwrap_or_default())
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|item| item == wanted)
}

fn has_all(list: &[String], wanted: &[String]) -> bool {
    wanted.iter().all(|item| has(list, item))
}

/// Whether a rule's URL (perhaps with stars at its end) reaches a path.
fn url_covers(owner: &str, path: &str) -> bool {
    owner == path || (owner.ends_with('*') && path.starts_with(owner.trim_end_matches('*')))
}

impl Rule {
    /// Whether the rule allows the request.
    pub fn allows(&self, request: &RequestInfo) -> bool {
        if !self.verbs.iter().any(|verb| verb == "*" || *verb == request.verb) {
            return false;
        }
        if request.is_resource_request {
            self.api_groups.iter().any(|group| group == "*" || *group == request.api_group)
                && self.resources.iter().any(|resource| resource_matches(resource, request))
                && (self.resource_names.is_empty() || has(&self.resource_names, &request.name))
        } else {
            self.non_resource_urls.iter().any(|url| url == "*" || url_covers(url, &request.path))
        }
    }

    /// The rule's parts that each have at most one group, resource, verb, name or path.
    fn breakdown(&self) -> Vec<Rule> {
        let mut parts = Vec::new();
        let one = |value: &String| vec![value.clone()];
        for group in &self.api_groups {
            for resource in &self.resources {
                for verb in &self.verbs {
                    let part =
                        Rule { verbs: one(verb), api_groups: one(group), resources: one(resource), ..Rule::default() };
                    if self.resource_names.is_empty() {
                        parts.push(part);
                    } else {
                        parts.extend(
                            self.resource_names.iter().map(|name| Rule { resource_names: one(name), ..part.clone() }),
                        );
                    }
                }
            }
        }
        for url in &self.non_resource_urls {
            for verb in &self.verbs {
                parts.push(Rule { verbs: one(verb), non_resource_urls: one(url), ..Rule::default() });
            }
        }
        parts
    }

    /// Whether this rule grants all that `part` does.
    fn covers(&self, part: &Rule) -> bool {
        let star = |list: &[String], wanted: &[String]| has(list, "*") || has_all(list, wanted);
        let resource = |path: &String| {
            has(&self.resources, "*")
                || has(&self.resources, path)
                || path.split_once('/').is_some_and(|(_, sub)| has(&self.resources, &format!("*/{sub}")))
        };
        star(&self.verbs, &part.verbs)
            && star(&self.api_groups, &part.api_groups)
            && part.resources.iter().all(resource)
            && part.non_resource_urls.iter().all(|path| self.non_resource_urls.iter().any(|own| url_covers(own, path)))
            && (self.resource_names.is_empty()
                || (!part.resource_names.is_empty() && has_all(&self.resource_names, &part.resource_names)))
    }

    /// The form that refusals show: `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`.
    pub fn compact(&self) -> String {
        let parts: Vec<String> = [
            ("APIGroups", &self.api_groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.non_resource_urls),
            ("ResourceNames", &self.resource_names),
            ("Verbs", &self.verbs),
        ]
        .into_iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(label, values)| format!("{label}:{}", quoted_list(values)))
        .collect();
        format!("{{{}}}", parts.join(", "))
    }
}

fn resource_matches(rule: &str, request: &RequestInfo) -> bool {
    if rule == "*" {
        return true;
    }
    if request.subresource.is_empty() {
        return rule == request.resource;
    }
    match rule.split_once('/') {
        Some((resource, subresource)) => {
            subresource == request.subresource && (resource == "*" || resource == request.resource)
        }
        None => false,
    }
}

/// `["a" "b"]`, as the reference's messages write lists of strings.
pub fn quoted_list(values: &[String]) -> String {
    let quoted: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    format!("[{}]", quoted.join(" "))
}

/// The parts of `wanted` that no rule of `owned` covers; empty if all is covered.
pub fn uncovered(owned: &[Rule], wanted: &[Rule]) -> Vec<Rule> {
    wanted.iter().flat_map(Rule::breakdown).filter(|part| !owned.iter().any(|rule| rule.covers(part))).collect()
}

/// Joins the verbs of resource rules that differ in nothing else, and describes each; sorted, each once. Rules with paths
/// stay apart, as in the reference.
pub fn describe(rules: &[Rule]) -> Vec<String> {
    let mut joined: BTreeMap<String, Rule> = BTreeMap::new();
    for rule in rules {
        let verbs = if rule.non_resource_urls.is_empty() { Vec::new() } else { rule.verbs.clone() };
        let key = Rule { verbs, ..rule.clone() }.compact();
        let entry = joined.entry(key).or_insert_with(|| Rule { verbs: Vec::new(), ..rule.clone() });
        for verb in &rule.verbs {
            if !has(&entry.verbs, verb) {
                entry.verbs.push(verb.clone());
            }
        }
    }
    joined.values().map(Rule::compact).collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests;
