//! What a node refuses: pods that were bound to it without asking whether there is room.
//!
//! The scheduler has asked. Whoever writes `spec.nodeName` has not, and two schedulers may both have seen the last room.

use std::collections::HashMap;

use parking_lot::Mutex;
use portcullis_client::ObjectExt;
use portcullis_machinery::Value;
use portcullis_machinery::quantity::Quantity;

use super::plan::Outcome;
use super::spec::{Role, containers};
use super::status::Verdict;

#[cfg(test)]
mod tests;

/// Resources in the order in which they are checked; cpu in thousandths.
const RESOURCES: [&str; 3] = ["cpu", "memory", "ephemeral-storage"];

/// An amount of each of [`RESOURCES`].
type Amounts = [i64; RESOURCES.len()];

/// The pods that run here, and what they asked for.
pub(crate) struct Admitted {
    capacity: Amounts,
    max_pods: usize,
    by_uid: Mutex<HashMap<String, Amounts>>,
}

fn amount(list: Option<&Value>, resource: usize) -> i64 {
    let given = list.and_then(|list| list.get(RESOURCES[resource])).and_then(|given| Quantity::from_json(given).ok());
    given.map_or(0, |given| if resource == 0 { given.milli_value() } else { given.value() })
}

/// What a pod asks for: the greater of its containers together and of each init container, with the sidecars that run
/// beside them, and its overhead.
fn requests(pod: &Value) -> Amounts {
    let mut total = [0; RESOURCES.len()];
    for (resource, total) in total.iter_mut().enumerate() {
        let (mut running, mut peak) = (0_i64, 0_i64);
        for container in containers(pod) {
            let wanted = amount(container.value.at(&["resources", "requests"]), resource);
            match container.role {
                Role::Init => peak = peak.max(running.saturating_add(wanted)),
                _ => running = running.saturating_add(wanted),
            }
        }
        let overhead = amount(pod.at(&["spec", "overhead"]), resource);
        *total = running.max(peak).saturating_add(overhead);
    }
    total
}

impl Admitted {
    /// Nothing runs yet.
    pub(crate) fn new(capacity: Amounts, max_pods: u32) -> Self {
        Self { capacity, max_pods: usize::try_from(max_pods).unwrap_or(usize::MAX), by_uid: Mutex::default() }
    }

    /// Takes a pod in, or says why it cannot run here. One that was taken in stays so.
    pub(crate) fn admit(&self, pod: &Value, force: bool) -> Result<(), Verdict> {
        let mut admitted = self.by_uid.lock();
        if admitted.contains_key(pod.uid()) {
            return Ok(());
        }
        let wanted = requests(pod);
        let refuse = |resource: &str, requested: i64, used: i64, capacity: i64| Verdict {
            outcome: Outcome::Failed,
            reason: format!("OutOf{resource}"),
            message: format!(
                "Pod was rejected: Node didn't have enough resource: {resource}, requested: {requested}, used: {used}, \
                 capacity: {capacity}"
            ),
        };
        let count = admitted.len();
        // A pod that ran before this process started has its room.
        if !force && count >= self.max_pods {
            let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
            return Err(refuse("pods", 1, number(count), number(self.max_pods)));
        }
        for (resource, name) in RESOURCES.into_iter().enumerate().filter(|(resource, _)| wanted[*resource] > 0) {
            let used = admitted.values().map(|of| of[resource]).fold(0_i64, i64::saturating_add);
            if !force && wanted[resource] > self.capacity[resource].saturating_sub(used) {
                return Err(refuse(name, wanted[resource], used, self.capacity[resource]));
            }
        }
        admitted.insert(pod.uid().to_owned(), wanted);
        Ok(())
    }

    /// Gives a pod's room back.
    pub(crate) fn release(&self, uid: &str) {
        self.by_uid.lock().remove(uid);
    }
}
