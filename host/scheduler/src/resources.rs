//! What pods ask for and nodes give, as integers: cpu in thousandths, all else in whole units.

use std::collections::BTreeMap;

use portcullis_client::ObjectExt;
use portcullis_machinery::Value;
use portcullis_machinery::quantity::Quantity;

use crate::ports;

/// Amounts by resource name.
pub type Amounts = BTreeMap<String, i64>;

fn amounts(list: Option<&Value>) -> Amounts {
    let Some(list) = list.and_then(Value::as_object) else { return Amounts::new() };
    list.iter()
        .filter_map(|(name, value)| {
            let quantity = Quantity::from_json(value).ok()?;
            let amount = if name == "cpu" { quantity.milli_value() } else { quantity.value() };
            Some((name.clone(), amount))
        })
        .collect()
}

pub(crate) fn add(to: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let sum = to.entry(name.clone()).or_insert(0);
        *sum = sum.saturating_add(*amount);
    }
}

pub(crate) fn subtract(from: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let rest = from.entry(name.clone()).or_insert(0);
        *rest = rest.saturating_sub(*amount);
    }
}

fn raise(to: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let most = to.entry(name.clone()).or_insert(0);
        *most = (*most).max(*amount);
    }
}

/// What a pod asks for (KEP-753): its containers and sidecars together, or more if an init container needs more while
/// it runs; requests of the pod itself win (KEP-2837); overhead and the pod's own place on the node are added.
pub fn pod_requests(pod: &Value) -> Amounts {
    let requests = |container: &Value| amounts(container.at(&["resources", "requests"]));
    let mut running = Amounts::new();
    for container in pod.list_at(&["spec", "containers"]) {
        add(&mut running, &requests(container));
    }
    let (mut sidecars, mut starting) = (Amounts::new(), Amounts::new());
    for container in pod.list_at(&["spec", "initContainers"]) {
        let mut needed = requests(container);
        if container.str_at(&["restartPolicy"]) == "Always" {
            add(&mut running, &needed);
            add(&mut sidecars, &needed);
            needed = sidecars.clone();
        } else {
            add(&mut needed, &sidecars);
        }
        raise(&mut starting, &needed);
    }
    raise(&mut running, &starting);
    running.extend(amounts(pod.at(&["spec", "resources", "requests"])));
    add(&mut running, &amounts(pod.at(&["spec", "overhead"])));
    running.insert("pods".into(), 1);
    running
}

/// What a pod takes of its node: what it asks for, and the ports that it listens on.
pub(crate) fn pod_takes(pod: &Value) -> Amounts {
    let mut takes = pod_requests(pod);
    takes.extend(ports::taken(pod));
    takes
}

/// What a node has to give.
pub fn node_allocatable(node: &Value) -> Amounts {
    amounts(node.at(&["status", "allocatable"]))
}
