//! What Endpoints say, in the form that slices have: endpoints grouped by address family and set of ports.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use portcullis_client::ObjectExt;
use portcullis_machinery::Value;
use serde_json::json;

/// So many addresses of a subset are mirrored (`--mirroring-max-endpoints-per-subset`).
pub(super) const MOST: usize = 1000;

/// Endpoints by what tells them apart: address, hostname and the object behind them.
pub(super) type EndpointSet = BTreeMap<(String, String, String), Value>;

/// What one slice holds.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) family: &'static str,
    pub(super) ports: Vec<Value>,
    pub(super) endpoints: EndpointSet,
}

impl Group {
    /// Whether a slice has this group's family and ports.
    pub(super) fn is_of(&self, slice: &Value) -> bool {
        slice.str_at(&["addressType"]) == self.family && port_keys(slice.list_at(&["ports"])) == port_keys(&self.ports)
    }
}

/// Everything that slices should say, and how many addresses are in none of them.
#[derive(Debug, Default)]
pub(super) struct Desired {
    pub(super) groups: Vec<Group>,
    pub(super) invalid: usize,
    pub(super) skipped: usize,
}

impl Desired {
    pub(super) fn of(endpoints: &Value) -> Self {
        let mut desired = Self::default();
        for Subset { ports, addresses } in repack(endpoints.list_at(&["subsets"])) {
            for family in ["IPv4", "IPv6"] {
                desired.groups.push(Group { family, ports: ports.clone(), endpoints: EndpointSet::new() });
            }
            let (mut added, total) = (0, addresses.len());
            // Those that are ready go first.
            let (ready, waiting): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|(_, ready)| *ready);
            for (address, ready) in ready.into_iter().chain(waiting) {
                if added >= MOST {
                    break;
                }
                let Some((family, endpoint)) = endpoint(&address, ready) else {
                    desired.invalid += 1;
                    continue;
                };
                added += 1;
                let groups = &mut desired.groups;
                if let Some(group) = groups.iter_mut().rev().find(|group| group.family == family) {
                    group.endpoints.insert(identity(&endpoint), endpoint);
                }
            }
            desired.skipped += total - added;
        }
        desired
    }
}

/// Endpoints as a set.
pub(super) fn endpoint_set(endpoints: impl Iterator<Item = Value>) -> EndpointSet {
    endpoints.map(|endpoint| (identity(&endpoint), endpoint)).collect()
}

fn identity(endpoint: &Value) -> (String, String, String) {
    let addresses = endpoint.list_at(&["addresses"]).iter().filter_map(Value::as_str);
    let about = format!("{}/{}", endpoint.str_at(&["targetRef", "namespace"]), endpoint.str_at(&["targetRef", "name"]));
    (addresses.collect::<Vec<_>>().join(","), endpoint.str_at(&["hostname"]).to_owned(), about)
}

/// An address of a subset as an endpoint with its family; `None` if it is no address.
fn endpoint(address: &Value, ready: bool) -> Option<(&'static str, Value)> {
    let ip = parse(address.str_at(&["ip"]))?;
    let mut endpoint = json!({"addresses": [ip.to_string()], "conditions": {"ready": ready}});
    for field in ["targetRef", "nodeName", "hostname"] {
        if let Some(value) = address.get(field).filter(|value| *value != "") {
            endpoint[field] = value.clone();
        }
    }
    Some((if ip.is_ipv4() { "IPv4" } else { "IPv6" }, endpoint))
}

/// An address in its usual form; old objects may have parts that begin with zeros.
fn parse(text: &str) -> Option<IpAddr> {
    let plain = |part: &str| match part.trim_start_matches('0') {
        "" if !part.is_empty() => "0".to_owned(),
        rest => rest.to_owned(),
    };
    let text =
        if text.contains(':') { text.to_owned() } else { text.split('.').map(plain).collect::<Vec<_>>().join(".") };
    text.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// What tells ports apart, in an order.
fn port_keys(ports: &[Value]) -> Vec<(String, i64, String, String)> {
    let key = |port: &Value| {
        let protocol = Some(port.str_at(&["protocol"])).filter(|protocol| !protocol.is_empty()).unwrap_or("TCP");
        let number = port.int_at(&["port"]).unwrap_or(0);
        let (name, app) = (port.str_at(&["name"]), port.str_at(&["appProtocol"]));
        (name.to_owned(), number, protocol.to_owned(), app.to_owned())
    };
    let mut keys: Vec<_> = ports.iter().map(key).collect();
    keys.sort();
    keys
}

/// A port of a subset as slices have it.
fn port(port: &Value) -> Value {
    let protocol = Some(port.str_at(&["protocol"])).filter(|protocol| !protocol.is_empty()).unwrap_or("TCP");
    let mut made = json!({"name": port.str_at(&["name"]), "port": port.get("port"), "protocol": protocol});
    if let Some(app) = port.get("appProtocol") {
        made["appProtocol"] = app.clone();
    }
    made
}

/// Addresses, each with whether it is ready, that have the same ports.
#[derive(Debug)]
struct Subset {
    ports: Vec<Value>,
    addresses: Vec<(Value, bool)>,
}

/// Subsets in their canonical form: an address that is in several has all their ports, and is not ready at a port if one
/// of them says so.
fn repack(subsets: &[Value]) -> Vec<Subset> {
    let mut known: HashMap<(String, String), usize> = HashMap::new();
    let mut addresses: Vec<&Value> = Vec::new();
    // For each port, which addresses have it; what has no ports at all is under `None`.
    type At = BTreeMap<usize, bool>;
    let mut by_port: BTreeMap<Option<Vec<(String, i64, String, String)>>, (Option<Value>, At)> = BTreeMap::new();
    for subset in subsets {
        let mut ports: Vec<Option<Value>> = subset.list_at(&["ports"]).iter().map(|found| Some(port(found))).collect();
        if ports.is_empty() {
            ports.push(None);
        }
        for (field, ready) in [("addresses", true), ("notReadyAddresses", false)] {
            for address in subset.list_at(&[field]) {
                let identity = (address.str_at(&["ip"]).to_owned(), address.str_at(&["targetRef", "uid"]).to_owned());
                let index = *known.entry(identity).or_insert_with(|| {
                    addresses.push(address);
                    addresses.len() - 1
                });
                for port in &ports {
                    let key = port.as_ref().map(|port| port_keys(std::slice::from_ref(port)));
                    let (_, at) = by_port.entry(key).or_insert_with(|| (port.clone(), At::new()));
                    let state = at.entry(index).or_insert(ready);
                    *state = *state && ready;
                }
            }
        }
    }
    let mut by_addresses: BTreeMap<At, Vec<Value>> = BTreeMap::new();
    for (port, at) in by_port.into_values() {
        by_addresses.entry(at).or_default().extend(port);
    }
    let address = |(index, ready): (usize, bool)| addresses.get(index).map(|found| ((*found).clone(), ready));
    by_addresses
        .into_iter()
        .map(|(at, ports)| Subset { ports, addresses: at.into_iter().filter_map(address).collect() })
        .collect()
}
