//! Which nodes a pod's claims leave to it, and which volumes those that wait for the pod get.
//!
//! A claim that is bound keeps the pod to the nodes that its volume can be reached from. One whose class waits for a
//! consumer is bound here, since only now a node is chosen: to a volume that is there, or to one that is to be made for the
//! node (`binding.rs`). All other claims must be bound before.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_client::resource::{
    CSIDRIVERS, CSISTORAGECAPACITIES, PERSISTENTVOLUMECLAIMS, PERSISTENTVOLUMES, STORAGECLASSES,
};
use portcullis_client::{Client, Informer, Object, ObjectExt};
use portcullis_machinery::Value;
use portcullis_machinery::quantity::Quantity;
use portcullis_machinery::selector::LabelSelector;
use portcullis_placement::volumes::matching::{self, Search, requested};
use portcullis_placement::volumes::{
    NO_PROVISIONER, SELECTED_NODE, claims_of, class_of, is_bound, is_made_for, topology, waits_for_consumer,
};
use tokio_util::sync::CancellationToken;

mod binding;
#[cfg(test)]
mod tests;

const OUT_OF_REACH: &str = "node(s) didn't match PersistentVolume's node affinity";
const OTHER_ZONE: &str = "node(s) had no available volume zone";
const NOT_THERE: &str = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)";
const NOTHING_TO_BIND: &str = "node(s) didn't find available persistent volumes to bind";
const NO_SPACE: &str = "node(s) did not have enough free storage";
const IN_USE: &str =
    "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod";

/// What is known of storage.
pub(crate) struct Volumes {
    claims: Informer,
    volumes: Informer,
    classes: Informer,
    drivers: Informer,
    capacities: Informer,
    /// Volumes that are being bound, each with the uid of its claim: others leave them alone.
    reserved: Arc<Mutex<HashMap<String, String>>>,
}

/// What the claims of one pod want of a node.
#[derive(Default)]
pub(crate) struct Wants {
    /// The volumes that its claims have.
    bound: Vec<Object>,
    /// A claim's volume is gone.
    lost: bool,
    /// A claim that only one pod may have is another's.
    in_use: bool,
    /// Claims that wait for the pod, the small ones first, each with its class.
    waiting: Vec<(Object, Object)>,
    storage: Storage,
}

/// What there is for claims that wait.
#[derive(Default)]
struct Storage {
    volumes: Vec<Object>,
    capacities: Vec<Object>,
    /// Drivers that say how much room they have where.
    counting: Vec<String>,
    reserved: HashMap<String, String>,
}

/// What is to become of the claims that wait, now that there is a node.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// Claims, each with its volume.
    pub(crate) bind: Vec<(Object, Object)>,
    /// Claims for which volumes are to be made.
    pub(crate) provision: Vec<Object>,
}

impl Volumes {
    pub(crate) fn new(client: &Client, shutdown: &CancellationToken) -> Self {
        let start = |resource| Informer::builder(client, resource).start(shutdown.clone());
        Self {
            claims: start(&PERSISTENTVOLUMECLAIMS),
            volumes: start(&PERSISTENTVOLUMES),
            classes: start(&STORAGECLASSES),
            drivers: start(&CSIDRIVERS),
            capacities: start(&CSISTORAGECAPACITIES),
            reserved: Arc::default(),
        }
    }

    pub(crate) fn informers(&self) -> [&Informer; 5] {
        [&self.claims, &self.volumes, &self.classes, &self.drivers, &self.capacities]
    }

    /// What a pod's claims want; nothing if it has none.
    ///
    /// # Errors
    /// Why no node will do at present.
    pub(crate) fn wants(&self, pod: &Value, pods: &Informer) -> Result<Option<Wants>, String> {
        if claims_of(pod).next().is_none() {
            return Ok(None);
        }
        let mut wants = Wants::default();
        for own in claims_of(pod) {
            let name = &own.name;
            let Some(claim) = self.claims.get(pod.namespace(), name) else {
                return Err(match own.ephemeral {
                    true => {
                        format!(
                            "waiting for ephemeral volume controller to create the persistentvolumeclaim \"{name}\""
                        )
                    }
                    false => format!("persistentvolumeclaim \"{name}\" not found"),
                });
            };
            let named = claim.str_at(&["spec", "volumeName"]);
            if claim.str_at(&["status", "phase"]) == "Lost" {
                return Err(format!(
                    "persistentvolumeclaim \"{name}\" bound to non-existent persistentvolume \"{named}\""
                ));
            }
            if claim.is_deleting() {
                return Err(format!("persistentvolumeclaim \"{name}\" is being deleted"));
            }
            if own.ephemeral && !is_made_for(&claim, pod) {
                let (namespace, pod) = (pod.namespace(), pod.name());
                return Err(format!(
                    "PVC {namespace}/{name} was not created for pod {namespace}/{pod} (pod is not owner)"
                ));
            }
            if claim.list_at(&["spec", "accessModes"]).iter().any(|mode| mode == "ReadWriteOncePod") {
                wants.in_use |= pods.list_namespace(pod.namespace()).iter().any(|other| {
                    other.uid() != pod.uid()
                        && !other.str_at(&["spec", "nodeName"]).is_empty()
                        && claims_of(other).any(|other| other.name == *name)
                });
            }
            if is_bound(&claim) {
                match self.volumes.get_key(named) {
                    Some(volume) => wants.bound.push(volume),
                    None => wants.lost = true,
                }
                continue;
            }
            let class = self.classes.get_key(class_of(&claim)).filter(|class| waits_for_consumer(class));
            match class.filter(|_| named.is_empty()) {
                Some(class) => wants.waiting.push((claim, class)),
                None => return Err("pod has unbound immediate PersistentVolumeClaims".into()),
            }
        }
        if !wants.waiting.is_empty() {
            wants.waiting.sort_by_key(|(claim, _)| requested(claim));
            wants.storage = self.storage();
        }
        Ok(Some(wants))
    }

    fn storage(&self) -> Storage {
        let counting = self.drivers.list().into_iter().filter(|driver| driver.bool_at(&["spec", "storageCapacity"]));
        Storage {
            volumes: self.volumes.list(),
            capacities: self.capacities.list(),
            counting: counting.map(|driver| driver.name().to_owned()).collect(),
            reserved: self.reserved.lock().clone(),
        }
    }
}

impl Wants {
    /// What would become of the claims on a node.
    ///
    /// # Errors
    /// The reason against the node.
    pub(crate) fn on(&self, node: &Value) -> Result<Choice, &'static str> {
        if self.in_use {
            return Err(IN_USE);
        }
        if self.lost {
            return Err(NOT_THERE);
        }
        for volume in &self.bound {
            if !topology::reaches(volume, node) {
                return Err(OUT_OF_REACH);
            }
            if !topology::same_zone(volume, node) {
                return Err(OTHER_ZONE);
            }
        }
        let mut choice = Choice::default();
        for (claim, class) in &self.waiting {
            match claim.annotation(SELECTED_NODE) {
                // A volume is being made for another node.
                Some(selected) if selected != node.name() => return Err(OUT_OF_REACH),
                Some(_) => {}
                None => {
                    let taken = |volume: &Value| {
                        let name = volume.name();
                        let reserved = self.storage.reserved.get(name).is_some_and(|uid| uid != claim.uid());
                        reserved || choice.bind.iter().any(|(_, chosen)| chosen.name() == name)
                    };
                    let found = matching::find(claim, &self.storage.volumes, &Search::Node(node), taken);
                    if let Some(volume) = found.map_err(|_| NOTHING_TO_BIND)? {
                        choice.bind.push((claim.clone(), volume));
                        continue;
                    }
                }
            }
            let provisioner = class.str_at(&["provisioner"]);
            if provisioner.is_empty() || provisioner == NO_PROVISIONER || !topology::class_allows(class, node) {
                return Err(NOTHING_TO_BIND);
            }
            if !self.storage.has_room(provisioner, claim, class, node) {
                return Err(NO_SPACE);
            }
            choice.provision.push(claim.clone());
        }
        Ok(choice)
    }
}

impl Storage {
    /// Whether a driver that says how much room it has, has enough for a claim where the node is.
    fn has_room(&self, driver: &str, claim: &Value, class: &Value, node: &Value) -> bool {
        if !self.counting.iter().any(|counting| counting == driver) {
            return true;
        }
        let wanted = requested(claim);
        self.capacities.iter().any(|capacity| {
            // The largest volume is what counts, if it is told.
            let most = ["maximumVolumeSize", "capacity"].iter().find_map(|field| capacity.get(*field));
            let enough = most
                .and_then(|most| Quantity::from_json(most).ok())
                .is_some_and(|most| wanted.as_ref().is_none_or(|wanted| most >= *wanted));
            let topology = capacity.get("nodeTopology").filter(|topology| !topology.is_null());
            enough
                && capacity.str_at(&["storageClassName"]) == class.name()
                && topology
                    .and_then(|topology| LabelSelector::from_object(Some(topology)).ok())
                    .is_some_and(|topology| topology.matches_object(node))
        })
    }
}
