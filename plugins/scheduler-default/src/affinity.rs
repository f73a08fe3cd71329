//! Node selectors, node affinity, and the pod's own (anti-)affinity to other pods.

use std::collections::BTreeMap;

use portcullis_sdk::{ValueRef, selects, to_json};

use crate::{Count, Node, Pod, Verdicts};

/// Whether `nodeSelector` and required node affinity let the pod onto the node.
pub(crate) fn matches_required(pod: &Pod, node: &Node) -> bool {
    if pod.node_selector.entries().any(|(key, value)| !node.labels.get(key).is_str(value.str_or_empty())) {
        return false;
    }
    let required = pod.affinity.get("nodeAffinity").get("requiredDuringSchedulingIgnoredDuringExecution");
    required.is_none() || required.get("nodeSelectorTerms").iter().any(|term| term_matches(term, node))
}

/// The weights of the preferred terms that the node meets.
pub(crate) fn preferred(pod: &Pod, node: &Node) -> i64 {
    let preferred = pod.affinity.get("nodeAffinity").get("preferredDuringSchedulingIgnoredDuringExecution");
    preferred
        .iter()
        // A preference without any requirement is for all nodes alike.
        .filter(|term| term.get("preference").is_empty() || term_matches(term.get("preference"), node))
        .map(|term| term.get("weight").as_i64().unwrap_or(0))
        .sum()
}

/// A term's requirements all hold; a term without any matches nothing.
fn term_matches(term: ValueRef, node: &Node) -> bool {
    let (expressions, fields) = (term.get("matchExpressions"), term.get("matchFields"));
    if expressions.is_empty() && fields.is_empty() {
        return false;
    }
    expressions
        .iter()
        .all(|expression| holds(expression, node.labels.get(expression.get("key").str_or_empty()).as_str()))
        && fields.iter().all(|field| field.get("key").is_str("metadata.name") && holds(field, Some(node.name)))
}

fn holds(requirement: ValueRef, value: Option<&str>) -> bool {
    let values = requirement.get("values");
    let listed = value.is_some_and(|value| values.iter().any(|candidate| candidate.is_str(value)));
    let bound = || values.index(0).as_str().and_then(|bound| bound.parse::<i64>().ok());
    let number = || value.and_then(|value| value.parse::<i64>().ok());
    match requirement.get("operator").str_or_empty() {
        "In" => listed,
        "NotIn" => !listed,
        "Exists" => value.is_some(),
        "DoesNotExist" => value.is_none(),
        "Gt" => number().zip(bound()).is_some_and(|(number, bound)| number > bound),
        "Lt" => number().zip(bound()).is_some_and(|(number, bound)| number < bound),
        _ => false,
    }
}

/// Required (anti-)affinity of this pod to pods that run already.
pub(crate) fn filter_by_pods(pod: &Pod, nodes: &[Node], count: Count, verdicts: &mut Verdicts) {
    let required = |kind| pod.affinity.get(kind).get("requiredDuringSchedulingIgnoredDuringExecution");
    for term in required("podAffinity") {
        let domains = domains(pod, term, nodes, count);
        // The first of a group that wants to be together may go anywhere.
        let first = domains.values().all(|count| *count == 0) && selects(term.get("labelSelector"), pod.labels);
        for (index, node) in nodes.iter().enumerate() {
            let domain = node.labels.get(term.get("topologyKey").str_or_empty()).as_str();
            if domain.is_none_or(|domain| !first && domains[domain] == 0) {
                verdicts.rule_out(index, "node(s) didn't match pod affinity rules");
            }
        }
    }
    for term in required("podAntiAffinity") {
        let domains = domains(pod, term, nodes, count);
        for (index, node) in nodes.iter().enumerate() {
            let domain = node.labels.get(term.get("topologyKey").str_or_empty()).as_str();
            if domain.is_some_and(|domain| domains[domain] > 0) {
                verdicts.rule_out(index, "node(s) didn't match pod anti-affinity rules");
            }
        }
    }
}

/// For each domain of the term's topology, how many pods match the term.
fn domains<'a>(pod: &Pod, term: ValueRef, nodes: &[Node<'a>], count: Count) -> BTreeMap<&'a str, u64> {
    let selector = to_json(term.get("labelSelector")).to_string();
    let named: Vec<&str> = term.get("namespaces").iter().filter_map(|name| name.as_str()).collect();
    let namespaces = if named.is_empty() { vec![pod.namespace] } else { named };
    let mut domains = BTreeMap::new();
    for namespace in namespaces {
        let counts =
            if term.get("labelSelector").is_none() { vec![0; nodes.len()] } else { count(namespace, &selector) };
        for (node, count) in nodes.iter().zip(counts) {
            if let Some(domain) = node.labels.get(term.get("topologyKey").str_or_empty()).as_str() {
                *domains.entry(domain).or_insert(0) += u64::from(count);
            }
        }
    }
    domains
}
