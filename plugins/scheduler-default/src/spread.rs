//! Topology spread constraints (KEP-895), and the soft spread of pods that state none.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_sdk::{ValueRef, selects, to_json};
use serde_json::{Value, json};

use crate::{Count, Node, Pod, Verdicts, affinity, taints};

/// Rules out nodes in domains that have too many pods already.
pub(crate) fn filter(pod: &Pod, nodes: &[Node], count: Count, verdicts: &mut Verdicts) {
    for constraint in pod.spread.iter().filter(|constraint| constraint.get("whenUnsatisfiable").is_str("DoNotSchedule"))
    {
        let key = constraint.get("topologyKey").str_or_empty();
        let counts = count(pod.namespace, &selector(constraint, pod).to_string());
        let mut domains: BTreeMap<&str, i64> = BTreeMap::new();
        for (node, count) in nodes.iter().zip(counts).filter(|(node, _)| eligible(constraint, pod, node)) {
            if let Some(domain) = node.labels.get(key).as_str() {
                *domains.entry(domain).or_default() += i64::from(count);
            }
        }
        let wanted = constraint.get("minDomains").as_u64().unwrap_or(1) as usize;
        let least = if domains.len() < wanted { 0 } else { domains.values().copied().min().unwrap_or(0) };
        let this = i64::from(selects(constraint.get("labelSelector"), pod.labels));
        let most = constraint.get("maxSkew").as_i64().unwrap_or(1);
        for (index, node) in nodes.iter().enumerate() {
            match node.labels.get(key).as_str() {
                None => verdicts
                    .rule_out(index, "node(s) didn't match pod topology spread constraints (missing required label)"),
                Some(domain) if domains.get(domain).copied().unwrap_or(0) + this - least > most => {
                    verdicts.rule_out(index, "node(s) didn't match pod topology spread constraints");
                }
                Some(_) => {}
            }
        }
    }
}

/// Whether a node's pods count: by default only where the pod's own node affinity would let it go.
fn eligible(constraint: ValueRef, pod: &Pod, node: &Node) -> bool {
    (constraint.get("nodeAffinityPolicy").is_str("Ignore") || affinity::matches_required(pod, node))
        && (!constraint.get("nodeTaintsPolicy").is_str("Honor")
            || taints::untolerated(pod, node, &["NoSchedule", "NoExecute"]) == 0)
}

/// 100 for nodes in the emptiest domains, less for fuller ones.
pub(crate) fn scores(pod: &Pod, nodes: &[Node], count: Count, verdicts: &Verdicts) -> Vec<i64> {
    let soft: Vec<ValueRef> =
        pod.spread.iter().filter(|constraint| constraint.get("whenUnsatisfiable").is_str("ScheduleAnyway")).collect();
    let mut sums = vec![0f64; nodes.len()];
    let mut add = |key: Option<&str>, selector: Value| {
        let counts = count(pod.namespace, &selector.to_string());
        let domain = |node: &Node| {
            key.map_or(Some(node.name), |_| None)
                .map(str::to_owned)
                .or_else(|| node.labels.get(key.unwrap_or_default()).as_str().map(str::to_owned))
        };
        let mut domains: BTreeMap<String, f64> = BTreeMap::new();
        for (node, count) in nodes.iter().zip(counts) {
            if let Some(domain) = domain(node) {
                *domains.entry(domain).or_default() += f64::from(count);
            }
        }
        // Few large domains must not outweigh many small ones: KEP-895 weighs by the logarithm of their number.
        let distinct: BTreeSet<_> = domains.keys().collect();
        let weight = (distinct.len() as f64 + 2.0).ln();
        let fullest = domains.values().copied().fold(0.0, f64::max);
        for (sum, node) in sums.iter_mut().zip(nodes) {
            // A node without the label counts as if it were in the fullest domain.
            *sum += weight * domain(node).map_or(fullest, |domain| domains[&domain]);
        }
    };
    for constraint in &soft {
        add(Some(constraint.get("topologyKey").str_or_empty()), selector(*constraint, pod));
    }
    if pod.spread.is_empty() {
        // Pods alike are those with the same labels: replicas of one owner. Without labels, all pods count.
        let mut labels = to_json(pod.labels);
        if let Some(labels) = labels.as_object_mut() {
            // Every pod of a StatefulSet or an indexed Job has another one of these.
            for own in [
                "statefulset.kubernetes.io/pod-name",
                "apps.kubernetes.io/pod-index",
                "batch.kubernetes.io/job-completion-index",
            ] {
                labels.remove(own);
            }
        }
        let alike = if labels.is_null() { json!({}) } else { json!({"matchLabels": labels}) };
        add(None, alike.clone());
        if nodes.iter().any(|node| !node.labels.get("topology.kubernetes.io/zone").is_none()) {
            add(Some("topology.kubernetes.io/zone"), alike);
        }
    }
    let standing = || sums.iter().enumerate().filter(|(index, _)| verdicts.stands(*index)).map(|(_, sum)| *sum);
    let (least, most) = (standing().fold(f64::MAX, f64::min), standing().fold(0.0, f64::max));
    let score = |sum: f64| if most <= 0.0 { 100 } else { ((most + least - sum).max(0.0) * 100.0 / most) as i64 };
    sums.iter().enumerate().map(|(index, sum)| if verdicts.stands(index) { score(*sum) } else { 0 }).collect()
}

/// The constraint's selector, narrowed down by `matchLabelKeys` to the pod's own values. None selects nothing.
fn selector(constraint: ValueRef, pod: &Pod) -> Value {
    let given = constraint.get("labelSelector");
    if given.is_none() {
        // One label cannot have two values: this is how to say "nothing" to the host.
        return json!({"matchExpressions": [{"key": "a", "operator": "Exists"}, {"key": "a", "operator": "DoesNotExist"}]});
    }
    let mut selector = to_json(given);
    let mut more: Vec<Value> = constraint
        .get("matchLabelKeys")
        .iter()
        .filter_map(|key| Some((key.as_str()?, pod.labels.get(key.as_str()?).as_str()?)))
        .map(|(key, value)| json!({"key": key, "operator": "In", "values": [value]}))
        .collect();
    if !more.is_empty() {
        if let Some(expressions) = selector["matchExpressions"].as_array_mut() {
            more.append(expressions);
        }
        selector["matchExpressions"] = Value::Array(more);
    }
    selector
}
