//! Node ports: a reservation in the process, next to what the stored services say. [`super::reserved`] has those of several
//! processes.

use std::collections::{HashMap, HashSet};

use portcullis_machinery::{Status, Value, object};
use rand::Rng as _;

use super::{Claim, invalid, kind_of, needs_health_port, needs_node_port, spec_of, wrong};
use crate::handlers::Scope;

fn node_port(port: &Value) -> i64 {
    port.get("nodePort").and_then(Value::as_i64).unwrap_or(0)
}

fn node_ports(service: &Value) -> HashSet<i64> {
    object::list_at(service, &["spec", "ports"]).iter().map(node_port).filter(|port| *port != 0).collect()
}

fn health_port(service: &Value) -> i64 {
    object::i64_at(service, &["spec", "healthCheckNodePort"]).unwrap_or(0)
}

fn ports_of(service: &Value) -> HashSet<i64> {
    let mut ports = node_ports(service);
    ports.extend(Some(health_port(service)).filter(|port| *port != 0));
    ports
}

/// The ports that stored services have, as far as the cache knows.
pub(super) fn of_services(scope: &Scope) -> HashSet<i64> {
    scope.cache().peek().objects.values().flat_map(|service| ports_of(&service.value())).collect()
}

/// Whether the service gets ports of its own accord.
fn wants_ports(service: &Value) -> bool {
    kind_of(service) == "NodePort" || spec_of(service, "allocateLoadBalancerNodePorts") != Some(&Value::Bool(false))
}

/// Ports that the client left out keep their numbers, by their names.
pub(super) fn keep(new: &mut Value, old: &Value) {
    let mut used: HashSet<i64> = node_ports(old).intersection(&node_ports(new)).copied().collect();
    let name = |port: &Value| port.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let had: HashMap<String, i64> =
        object::list_at(old, &["spec", "ports"]).iter().map(|port| (name(port), node_port(port))).collect();
    let Some(Value::Array(ports)) = object::get_at_mut(new, &["spec", "ports"]) else { return };
    for port in ports.iter_mut().filter(|port| node_port(port) == 0) {
        if let Some(before) = had.get(&name(port)).copied().filter(|before| *before != 0)
            && used.insert(before)
        {
            object::set_at(port, &["nodePort"], before);
        }
    }
}

/// Takes the numbers out if they are as they were.
pub(super) fn drop_same(new: &mut Value, old: &Value) {
    if node_ports(new) != node_ports(old) {
        return;
    }
    if let Some(Value::Array(ports)) = object::get_at_mut(new, &["spec", "ports"]) {
        for port in ports {
            object::remove_at(port, &["nodePort"]);
        }
    }
}

/// Numbers to be had, and what has been taken of them.
struct Pool {
    range: (i64, i64),
    /// In use by others.
    used: HashSet<i64>,
    /// The service's own from before, which stay its own.
    own: HashSet<i64>,
    /// Taken now.
    fresh: Vec<i64>,
    dry_run: bool,
}

impl Pool {
    fn take(&mut self, port: i64) -> Result<(), String> {
        // Without taking a port, whether it is one is not looked at.
        if !self.dry_run && !(self.range.0..=self.range.1).contains(&port) {
            let (low, high) = self.range;
            return Err(format!("provided port is not in the valid range. The range of valid ports is {low}-{high}"));
        }
        if self.used.contains(&port) || self.own.contains(&port) || self.fresh.contains(&port) {
            return Err("provided port is already allocated".to_owned());
        }
        self.fresh.push(port);
        Ok(())
    }

    fn next(&mut self) -> Result<i64, String> {
        let found = if self.dry_run {
            // A number that stands for the one that it would be.
            self.fresh.iter().max().map_or(32_768, |last| *last) + 1
        } else {
            let (low, high) = self.range;
            let start = rand::rng().random_range(low..=high);
            let free = |port: &i64| ![&self.used, &self.own].iter().any(|set| set.contains(port));
            let mut all = (start..=high).chain(low..start);
            all.find(|port| free(port) && !self.fresh.contains(port)).ok_or("range is full")?
        };
        self.fresh.push(found);
        Ok(found)
    }
}

/// Takes what the service needs and writes it into the object.
///
/// # Errors
/// 422 for a port that cannot be had, 500 if there is none left.
pub(super) fn allocate(
    scope: &Scope,
    new: &mut Value,
    old: Option<&Value>,
    dry_run: bool,
    elsewhere: &HashSet<i64>,
    claim: &mut Claim,
) -> Result<(), Status> {
    let checks = needs_health_port(new) && !old.is_some_and(needs_health_port);
    if !needs_node_port(new) && !checks {
        return Ok(());
    }
    let own: HashSet<i64> = old.map(ports_of).unwrap_or_default();
    let (low, high) = scope.server.config.service_node_port_range;
    let mut reserved = scope.server.reservations.ports.lock();
    let mut used: HashSet<i64> = reserved.union(elsewhere).copied().collect();
    used.extend(of_services(scope));
    used.retain(|port| !own.contains(port));
    let mut pool = Pool { range: (low.into(), high.into()), used, own, fresh: Vec::new(), dry_run };
    if needs_node_port(new) {
        match old {
            None => fill_new(scope, new, &mut pool)?,
            Some(old) => fill_changed(scope, new, old, &mut pool)?,
        }
    }
    if checks {
        let given = health_port(new);
        let taken = if given == 0 {
            pool.next().map_err(|why| format!("failed to allocate a HealthCheck NodePort 0: {why}"))
        } else {
            let refused = |why| format!("failed to allocate requested HealthCheck NodePort {given}: {why}");
            pool.take(given).map(|()| given).map_err(refused)
        };
        object::set_at(new, &["spec", "healthCheckNodePort"], taken.map_err(Status::internal)?);
    }
    if !dry_run {
        reserved.extend(pool.fresh.iter().copied());
        claim.ports.extend(pool.fresh);
    }
    Ok(())
}

fn refused(scope: &Scope, service: &Value, at: usize, port: i64, why: &str) -> Status {
    let cause = wrong(&format!("spec.ports[{at}].nodePort"), &port.to_string(), why);
    invalid(scope, service, vec![cause])
}

fn none_left(why: String) -> Status {
    Status::internal(format!("failed to allocate a nodePort: {why}"))
}

/// A new service: ports of one number, which differ in their protocols, share a node port.
fn fill_new(scope: &Scope, new: &mut Value, pool: &mut Pool) -> Result<(), Status> {
    let automatic = wants_ports(new);
    let mut ports = object::list_at(new, &["spec", "ports"]).to_vec();
    let number = |port: &Value| port.get("port").and_then(Value::as_i64).unwrap_or(0);
    let mut shared: HashMap<i64, i64> = HashMap::new();
    for at in 0..ports.len() {
        let (port, given) = (number(&ports[at]), node_port(&ports[at]));
        if given == 0 && !automatic {
            continue;
        }
        match shared.get(&port).copied() {
            None => {
                let mut same = ports.iter().filter(|other| number(other) == port).map(node_port);
                let wanted = same.find(|wanted| *wanted != 0);
                let taken = match wanted {
                    Some(wanted) => {
                        pool.take(wanted).map_err(|why| refused(scope, new, at, wanted, &why))?;
                        wanted
                    }
                    None => pool.next().map_err(none_left)?,
                };
                object::set_at(&mut ports[at], &["nodePort"], taken);
                shared.insert(port, taken);
            }
            Some(taken) if given == 0 => object::set_at(&mut ports[at], &["nodePort"], taken),
            Some(taken) if given != taken => {
                pool.take(given).map_err(|why| refused(scope, new, at, given, &why))?;
            }
            Some(_) => {}
        }
    }
    if !ports.is_empty() {
        object::set_at(new, &["spec", "ports"], ports);
    }
    Ok(())
}

/// A changed one: it may name its own ports again.
fn fill_changed(scope: &Scope, new: &mut Value, old: &Value, pool: &mut Pool) -> Result<(), Status> {
    let automatic = wants_ports(new);
    let had = node_ports(old);
    let mut ports = object::list_at(new, &["spec", "ports"]).to_vec();
    let mut named: HashSet<i64> = HashSet::new();
    let mut seen: HashSet<(String, i64)> = HashSet::new();
    for at in 0..ports.len() {
        let given = node_port(&ports[at]);
        if given == 0 && !automatic {
            continue;
        }
        let number = if given == 0 {
            let taken = pool.next().map_err(none_left)?;
            object::set_at(&mut ports[at], &["nodePort"], taken);
            taken
        } else {
            if !had.contains(&given) && named.insert(given) {
                pool.take(given).map_err(|why| refused(scope, new, at, given, &why))?;
            }
            given
        };
        let protocol = ports[at].get("protocol").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !seen.insert((protocol.clone(), number)) {
            let text = format!("duplicate nodePort: {{{protocol} {number}}}");
            return Err(Status::failure(500, "", text));
        }
    }
    if !ports.is_empty() {
        object::set_at(new, &["spec", "ports"], ports);
    }
    Ok(())
}
