//! What the scheduler knows of nodes and of the pods on them, assumed ones included.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_client::{Object, ObjectExt};
use portcullis_machinery::Value;
use portcullis_machinery::selector::LabelSelector;

use crate::policy::{PlacementPolicy, PodCounter};
use crate::ports;
use crate::resources::{Amounts, add, node_allocatable, pod_takes, subtract};

/// The cache; locked for short moments only, never while a policy runs.
#[derive(Default)]
pub(crate) struct Cache {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    nodes: BTreeMap<Arc<str>, NodeInfo>,
    /// Where each pod counts, by uid.
    pods: HashMap<String, Placed>,
    /// Pods that wait for a node where room is being made for them, by uid.
    nominated: HashMap<String, Nominated>,
}

struct Nominated {
    node: Arc<str>,
    priority: i64,
    requests: Amounts,
}

#[derive(Default)]
struct NodeInfo {
    /// Absent while pods are known to be on a node that is not (yet, or any more).
    node: Option<Object>,
    allocatable: Amounts,
    requested: Amounts,
    pods: HashMap<String, Object>,
    packed: HashMap<String, Arc<[u8]>>,
}

struct Placed {
    node: Arc<str>,
    requests: Amounts,
    assumed: bool,
}

/// The nodes at one moment.
pub(crate) struct Snapshot {
    pub(crate) names: Arc<[Arc<str>]>,
    pub(crate) nodes: Vec<Object>,
    pub(crate) allocatable: Vec<i64>,
    pub(crate) requested: Vec<i64>,
}

impl State {
    fn remove_pod(&mut self, uid: &str) {
        if let Some(placed) = self.pods.remove(uid)
            && let Some(info) = self.nodes.get_mut(&placed.node)
        {
            info.pods.remove(uid);
            subtract(&mut info.requested, &placed.requests);
            if info.node.is_none() && info.pods.is_empty() {
                self.nodes.remove(&placed.node);
            }
        }
    }

    fn add_pod(&mut self, pod: &Object, node: &str, assumed: bool) {
        self.remove_pod(pod.uid());
        let node: Arc<str> = node.into();
        let requests = pod_takes(pod);
        let info = self.nodes.entry(node.clone()).or_default();
        add(&mut info.requested, &requests);
        info.pods.insert(pod.uid().to_owned(), pod.clone());
        self.pods.insert(pod.uid().to_owned(), Placed { node, requests, assumed });
    }
}

impl Cache {
    pub(crate) fn set_node(&self, node: &Object) {
        let mut state = self.state.lock();
        let info = state.nodes.entry(node.name().into()).or_default();
        info.allocatable = node_allocatable(node);
        info.node = Some(node.clone());
        info.packed.clear();
    }

    pub(crate) fn remove_node(&self, name: &str) {
        let mut state = self.state.lock();
        if let Some(info) = state.nodes.get_mut(name) {
            info.node = None;
            info.packed.clear();
            if info.pods.is_empty() {
                state.nodes.remove(name);
            }
        }
    }

    /// Keeps room on a node for a pod that waits, as its status says; none if it names no node.
    pub(crate) fn nominate(&self, pod: &Object, node: &str) {
        let mut state = self.state.lock();
        if node.is_empty() {
            state.nominated.remove(pod.uid());
            return;
        }
        let nominated = Nominated { node: node.into(), priority: priority(pod), requests: pod_takes(pod) };
        state.nominated.insert(pod.uid().to_owned(), nominated);
    }

    /// The uids of pods of a lower priority for which room is kept on a node.
    pub(crate) fn nominated_below(&self, node: &str, priority: i64) -> Vec<String> {
        let state = self.state.lock();
        let found = state.nominated.iter().filter(|(_, pod)| &*pod.node == node && pod.priority < priority);
        found.map(|(uid, _)| uid.clone()).collect()
    }

    /// The pods of a lower priority on each of these nodes.
    pub(crate) fn pods_below(&self, names: &[Arc<str>], below: i64) -> Vec<Vec<Object>> {
        let state = self.state.lock();
        let on = |name: &Arc<str>| {
            let pods = state.nodes.get(name).into_iter().flat_map(|info| info.pods.values());
            pods.filter(|pod| priority(pod) < below).cloned().collect()
        };
        names.iter().map(on).collect()
    }

    /// A pod that the API says is on a node; confirms an assumption.
    pub(crate) fn set_pod(&self, pod: &Object) {
        let mut state = self.state.lock();
        state.nominated.remove(pod.uid());
        state.add_pod(pod, pod.str_at(&["spec", "nodeName"]), false);
    }

    pub(crate) fn remove_pod(&self, uid: &str) {
        let mut state = self.state.lock();
        state.nominated.remove(uid);
        state.remove_pod(uid);
    }

    /// Counts a pod on a node before the API says so. False if it counts somewhere already.
    pub(crate) fn assume(&self, pod: &Object, node: &str) -> bool {
        let mut state = self.state.lock();
        if state.pods.contains_key(pod.uid()) {
            return false;
        }
        state.add_pod(pod, node, true);
        true
    }

    /// Takes an assumption back, unless the API confirmed it meanwhile.
    pub(crate) fn forget(&self, uid: &str) {
        let mut state = self.state.lock();
        if state.pods.get(uid).is_some_and(|placed| placed.assumed) {
            state.remove_pod(uid);
        }
    }

    /// Whether the pod counts on a node.
    pub(crate) fn is_placed(&self, uid: &str) -> bool {
        self.state.lock().pods.contains_key(uid)
    }

    /// The nodes, in the order of their names, with columns for these resources, as they are for a pod: room that is
    /// kept for others of its priority or of a higher one is not there for it.
    pub(crate) fn snapshot(&self, resources: &[String], pod: &Value) -> Snapshot {
        let state = self.state.lock();
        let mut kept: HashMap<&Arc<str>, Amounts> = HashMap::new();
        for (uid, nominated) in &state.nominated {
            if uid != pod.uid() && nominated.priority >= priority(pod) && !state.pods.contains_key(uid) {
                add(kept.entry(&nominated.node).or_default(), &nominated.requests);
            }
        }
        let present: Vec<_> = state
            .nodes
            .iter()
            .filter_map(|(name, info)| info.node.clone().map(|node| (name.clone(), node, info)))
            .collect();
        let column = |of: &dyn Fn(&Arc<str>, &NodeInfo, &str) -> i64| {
            let row = |resource: &String| present.iter().map(|(name, _, info)| of(name, info, resource)).collect();
            resources.iter().flat_map(|resource| -> Vec<i64> { row(resource) }).collect()
        };
        let amount = |amounts: Option<&Amounts>, resource: &str| {
            amounts.and_then(|amounts| amounts.get(resource)).copied().unwrap_or(0)
        };
        Snapshot {
            allocatable: column(&|_, info, resource| {
                ports::allocatable(resource).unwrap_or_else(|| amount(Some(&info.allocatable), resource))
            }),
            requested: column(&|name, info, resource| {
                amount(Some(&info.requested), resource).saturating_add(amount(kept.get(name), resource))
            }),
            names: present.iter().map(|(name, ..)| name.clone()).collect(),
            nodes: present.iter().map(|(_, node, _)| node.clone()).collect(),
        }
    }

    /// What a policy reads of the snapshot's nodes, packed once for each version of a node and of the policy.
    pub(crate) fn packed(&self, policy: &dyn PlacementPolicy, snapshot: &Snapshot) -> Vec<Arc<[u8]>> {
        let version = policy.version();
        let known: Vec<Option<Arc<[u8]>>> = {
            let state = self.state.lock();
            let find = |(name, node): (&Arc<str>, &Object)| {
                let info = state.nodes.get(name)?;
                info.packed
                    .get(&version)
                    .filter(|_| info.node.as_ref().is_some_and(|now| Arc::ptr_eq(now, node)))
                    .cloned()
            };
            snapshot.names.iter().zip(&snapshot.nodes).map(find).collect()
        };
        let pack = |(at, known): (usize, Option<Arc<[u8]>>)| {
            known.unwrap_or_else(|| {
                let packed = policy.pack_node(&snapshot.nodes[at]);
                let mut state = self.state.lock();
                if let Some(info) = state.nodes.get_mut(&snapshot.names[at])
                    && info.node.as_ref().is_some_and(|now| Arc::ptr_eq(now, &snapshot.nodes[at]))
                {
                    // Swapped-out versions of policies leave their packings behind; a few are no harm, many would be.
                    if info.packed.len() >= 16 {
                        info.packed.clear();
                    }
                    info.packed.insert(version.clone(), packed.clone());
                }
                packed
            })
        };
        known.into_iter().enumerate().map(pack).collect()
    }
}

/// Serves `count-pods` for the nodes of a snapshot.
pub(crate) struct Counter {
    pub(crate) cache: Arc<Cache>,
    pub(crate) names: Arc<[Arc<str>]>,
    /// The uids of pods that are not counted.
    pub(crate) without: HashSet<String>,
}

impl Counter {
    pub(crate) fn new(cache: Arc<Cache>, names: Arc<[Arc<str>]>) -> Self {
        Self { cache, names, without: HashSet::new() }
    }
}

/// A pod's priority.
pub(crate) fn priority(pod: &Value) -> i64 {
    pod.int_at(&["spec", "priority"]).unwrap_or(0)
}

impl PodCounter for Counter {
    fn count_pods(&self, namespace: &str, selector: &Value) -> Result<Vec<u32>, String> {
        let selector = LabelSelector::from_object(Some(selector))?;
        let state = self.cache.state.lock();
        let count = |name: &Arc<str>| {
            let Some(info) = state.nodes.get(name) else { return 0 };
            let counts = |pod: &&Object| {
                pod.namespace() == namespace
                    && !pod.is_deleting()
                    && !self.without.contains(pod.uid())
                    && selector.matches_object(pod)
            };
            info.pods.values().filter(counts).count() as u32
        };
        Ok(self.names.iter().map(count).collect())
    }
}
