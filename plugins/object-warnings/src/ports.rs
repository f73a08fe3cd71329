//! Ports of containers that are there twice, by number or by name.

use std::collections::BTreeMap;

use portcullis_sdk::ValueRef;

struct Port<'a> {
    place: String,
    name: &'a str,
    host_ip: &'a str,
    host_port: i64,
    number: i64,
    protocol: &'a str,
}

/// All ports of a pod's containers.
pub(crate) fn of(path: &str, spec: ValueRef, warnings: &mut Vec<String>) {
    let mut ports = Vec::new();
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for (index, container) in spec.get(list).iter().enumerate() {
            for (at, port) in container.get("ports").iter().enumerate() {
                let (text, number) =
                    (|key: &str| port.get(key).str_or_empty(), |key: &str| port.get(key).as_i64().unwrap_or(0));
                ports.push(Port {
                    place: format!("{path}.{list}[{index}].ports[{at}]"),
                    name: text("name"),
                    host_ip: text("hostIP"),
                    host_port: number("hostPort"),
                    number: number("containerPort"),
                    protocol: text("protocol"),
                });
            }
        }
    }
    numbers(&ports, warnings);
    names(&ports, warnings);
}

fn numbers(ports: &[Port], warnings: &mut Vec<String>) {
    for (at, port) in ports.iter().enumerate() {
        let place = &port.place;
        if !port.host_ip.is_empty() && port.host_port == 0 {
            warnings.push(format!(
                "{place}: hostIP set without hostPort: {{Name:{} HostPort:0 ContainerPort:{} Protocol:{} HostIP:{}}}",
                port.name, port.number, port.protocol, port.host_ip
            ));
        }
        let before = ports[..at].iter();
        for other in before.filter(|other| other.number == port.number && other.protocol == port.protocol) {
            let what = if port.host_ip == other.host_ip && port.host_port == other.host_port {
                "duplicate port definition"
            } else if port.host_port == 0 || other.host_port == 0 {
                "overlapping port definition"
            } else if port.host_port == other.host_port && (port.host_ip.is_empty() != other.host_ip.is_empty()) {
                "dangerously ambiguous port definition"
            } else {
                continue;
            };
            warnings.push(format!("{place}: {what} with {}", other.place));
        }
    }
}

fn names(ports: &[Port], warnings: &mut Vec<String>) {
    let mut known: BTreeMap<&str, &str> = BTreeMap::new();
    for port in ports.iter().filter(|port| !port.name.is_empty()) {
        let (place, name) = (&port.place, port.name);
        match known.get(name) {
            Some(other) => warnings.push(format!(
                "{place}: duplicate port name \"{name}\" with {other}, services and probes that select ports by name will \
                 use {other}"
            )),
            None => drop(known.insert(name, place)),
        }
    }
}
