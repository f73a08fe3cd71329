//! Ports of nodes, as amounts: of each there is one, and a pod that listens on a host port takes it.
//!
//! As columns like any other, policies see them, count them and can rule a node out, and preemption knows what it gains by
//! a pod's end. A port of all addresses is in the way of the same port of any, and the other way round, so that what a pod
//! takes and what it asks to be free are different columns:
//!
//! | the pod listens on | takes | asks for |
//! |---|---|---|
//! | all addresses | `…/any`, `…/0.0.0.0` | `…/any` |
//! | one address | `…/any`, `…/ADDRESS` | `…/ADDRESS`, `…/0.0.0.0` |

use std::collections::BTreeSet;

use portcullis_client::ObjectExt;
use portcullis_machinery::Value;

use crate::resources::Amounts;

#[cfg(test)]
mod tests;

/// What the names of these columns begin with.
const PREFIX: &str = "host-port/";
const ALL: &str = "0.0.0.0";

/// The ports that a pod listens on: protocol and number, and the address.
fn ports(pod: &Value) -> BTreeSet<(String, String)> {
    let sidecars = pod.list_at(&["spec", "initContainers"]).iter().filter(|container| {
        // Other init containers are over before anything is to listen.
        container.str_at(&["restartPolicy"]) == "Always"
    });
    let containers = pod.list_at(&["spec", "containers"]).iter().chain(sidecars);
    let ports = containers.flat_map(|container| container.list_at(&["ports"]));
    ports
        .filter_map(|port| {
            let number = port.int_at(&["hostPort"]).filter(|number| *number > 0)?;
            let or = |text: &str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
            let protocol = or(port.str_at(&["protocol"]), "TCP");
            Some((format!("{PREFIX}{protocol}/{number}"), or(port.str_at(&["hostIP"]), ALL)))
        })
        .collect()
}

/// What a pod takes of its node.
pub(crate) fn taken(pod: &Value) -> Amounts {
    columns(ports(pod).into_iter().map(|(port, address)| [format!("{port}/any"), format!("{port}/{address}")]))
}

/// What must be free for a pod.
pub(crate) fn asked(pod: &Value) -> Amounts {
    columns(ports(pod).into_iter().map(|(port, address)| {
        let other = if address == ALL { "any" } else { ALL };
        let own = if address == ALL { "any" } else { &address };
        [format!("{port}/{own}"), format!("{port}/{other}")]
    }))
}

fn columns(names: impl Iterator<Item = [String; 2]>) -> Amounts {
    names.flatten().map(|name| (name, 1)).collect()
}

/// How much of it each node has, if the column is one of a port.
pub(crate) fn allocatable(column: &str) -> Option<i64> {
    column.starts_with(PREFIX).then_some(1)
}
