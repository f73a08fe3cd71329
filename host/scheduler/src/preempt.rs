//! Preemption: room for a pod that fits nowhere, at the cost of pods of lower priority.
//!
//! Each node is looked at as if all of those were gone. Where the policies agree then, as many of them as still fit are
//! taken back, the important ones first, and the rest is the node's price. The node with the lowest price is chosen (the
//! order of the reference: broken disruption budgets, the highest priority among the victims, the sum of priorities, how
//! many they are, and how long the most important one has been running).

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use portcullis_client::{Object, ObjectExt};
use portcullis_machinery::Value;
use portcullis_machinery::selector::LabelSelector;

use crate::cache::{Cache, priority};
use crate::decide::{Failure, Question};

#[cfg(test)]
mod tests;

/// So many nodes are looked at closely (the reference's `minCandidateNodesAbsolute`).
const CANDIDATES: usize = 100;

/// Which node room is made on, and by whose end.
#[derive(Debug)]
pub(crate) struct Nomination {
    pub(crate) node: Arc<str>,
    pub(crate) victims: Vec<Object>,
}

/// Whether the pod may have others removed now: not if it does not want that, and not while some are going for it.
pub(crate) fn may_preempt(cache: &Cache, pod: &Value) -> bool {
    if pod.str_at(&["spec", "preemptionPolicy"]) == "Never" {
        return false;
    }
    let nominated = pod.str_at(&["status", "nominatedNodeName"]);
    let on_node = cache.pods_below(&[nominated.into()], priority(pod));
    on_node.iter().flatten().all(|below| !below.is_deleting())
}

/// Chooses a node and its victims; none if no node would do.
///
/// # Errors
/// If a policy fails.
pub(crate) fn nominate(
    cache: &Cache,
    question: &Question<'_>,
    pod: &Value,
    budgets: &[Object],
) -> Result<Option<Nomination>, Failure> {
    let names = question.names();
    let below = cache.pods_below(names, priority(pod));
    let without_all: Vec<(usize, Vec<&Object>)> = below
        .iter()
        .enumerate()
        .filter(|(_, pods)| !pods.is_empty())
        .map(|(node, pods)| (node, pods.iter().collect()))
        .collect();
    let fits = question.fits_without(&without_all)?;
    let candidates = without_all.into_iter().zip(fits).filter(|(_, fits)| *fits).map(|(candidate, _)| candidate);
    let mut best: Option<(Price, Nomination)> = None;
    for (node, pods) in candidates.take(CANDIDATES) {
        let (victims, broken) = spare(question, node, pods, budgets)?;
        let price = Price::of(broken, &victims);
        if best.as_ref().is_none_or(|(lowest, _)| price < *lowest) {
            best = Some((price, Nomination { node: names[node].clone(), victims }));
        }
    }
    Ok(best.map(|(_, nomination)| nomination))
}

/// The more important first: by priority, and then by who started earlier.
fn importance(pod: &Object) -> (Reverse<i64>, String) {
    (Reverse(priority(pod)), started(pod))
}

/// When a pod started; those that have not yet, last.
fn started(pod: &Value) -> String {
    match pod.str_at(&["status", "startTime"]) {
        "" => "~".to_owned(),
        at => at.to_owned(),
    }
}

/// Takes back as many of the pods as the node has room for. What is left are the victims, with how many of them budgets
/// protect.
fn spare(
    question: &Question<'_>,
    node: usize,
    mut pods: Vec<&Object>,
    budgets: &[Object],
) -> Result<(Vec<Object>, usize), Failure> {
    pods.sort_by_cached_key(|pod| importance(pod));
    let protected = protected(&pods, budgets);
    // Those under a budget are taken back first.
    let (first, then): (Vec<_>, Vec<_>) = pods.into_iter().zip(protected).partition(|(_, protected)| *protected);
    let mut gone: Vec<(&Object, bool)> = first.into_iter().chain(then).collect();
    let mut at = 0;
    while at < gone.len() {
        let spared = gone.remove(at);
        let without = gone.iter().map(|(pod, _)| *pod).collect();
        let fits = question.fits_without(&[(node, without)])?;
        if fits != [true] {
            gone.insert(at, spared);
            at += 1;
        }
    }
    let broken = gone.iter().filter(|(_, protected)| *protected).count();
    let mut victims: Vec<Object> = gone.into_iter().map(|(pod, _)| pod.clone()).collect();
    victims.sort_by_cached_key(importance);
    Ok((victims, broken))
}

/// For each pod, whether its end would break a disruption budget, if all before it ended too.
fn protected(pods: &[&Object], budgets: &[Object]) -> Vec<bool> {
    let mut left: HashMap<&str, i64> = HashMap::new();
    let selectors: Vec<_> = budgets
        .iter()
        .map(|budget| {
            let selector = budget.at(&["spec", "selector"]).map(|given| LabelSelector::from_object(Some(given)));
            (budget, selector.and_then(Result::ok))
        })
        .collect();
    let mut one = |pod: &Object| {
        let mut broken = false;
        for (budget, selector) in &selectors {
            let disrupted = budget.at(&["status", "disruptedPods", pod.name()]).is_some();
            let covers = budget.namespace() == pod.namespace()
                && selector.as_ref().is_some_and(|selector| selector.matches_object(pod));
            if covers && !disrupted {
                let allowed = budget.int_at(&["status", "disruptionsAllowed"]).unwrap_or(0);
                let left = left.entry(budget.uid()).or_insert(allowed);
                *left -= 1;
                broken |= *left < 0;
            }
        }
        broken
    };
    pods.iter().map(|pod| one(pod)).collect()
}

/// What a node costs; the lowest is the best.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Price {
    broken: usize,
    highest: i64,
    sum: i128,
    count: usize,
    /// When the most important victim started: the later, the less is lost.
    started: Reverse<String>,
}

impl Price {
    fn of(broken: usize, victims: &[Object]) -> Self {
        let highest = victims.iter().map(|pod| priority(pod)).max().unwrap_or(i64::MIN);
        // Priorities may be negative; each victim counts nevertheless.
        let sum = victims.iter().map(|pod| i128::from(priority(pod)) + i128::from(i32::MAX) + 1).sum();
        let first = victims.iter().filter(|pod| priority(pod) == highest).map(|pod| started(pod)).min();
        Self { broken, highest, sum, count: victims.len(), started: Reverse(first.unwrap_or_default()) }
    }
}
