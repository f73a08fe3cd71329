//! Cluster IPs and node ports of services. An address is taken by making its IPAddress object (which the store lets
//! only one do); a port by a reservation in the process, next to what the stored services say.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use parking_lot::Mutex;
use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::{Status, Value, codec, object};
use portcullis_storage::{Expect, StoreError};
use rand::Rng as _;
use serde_json::json;

use crate::handlers::Scope;

/// Ports that are being handed out and are not in a stored service yet.
#[derive(Debug, Default)]
pub struct Reservations {
    ports: Mutex<HashSet<i64>>,
}

/// What one write has taken, and what it will give up.
#[derive(Debug, Default)]
pub struct Claim {
    taken_ips: Vec<IpAddr>,
    freed_ips: Vec<IpAddr>,
    ports: Vec<i64>,
}

fn is_service(scope: &Scope) -> bool {
    scope.definition.kind == "Service" && scope.group().is_empty() && scope.sub().is_empty()
}

fn kind_of(service: &Value) -> &str {
    object::str_at(service, &["spec", "type"]).unwrap_or("ClusterIP")
}

fn cluster_ip(service: &Value) -> &str {
    object::str_at(service, &["spec", "clusterIP"]).unwrap_or("")
}

fn wants_ports(service: &Value) -> bool {
    match kind_of(service) {
        "NodePort" => true,
        "LoadBalancer" => {
            object::get_at(service, &["spec", "allocateLoadBalancerNodePorts"]) != Some(&Value::Bool(false))
        }
        _ => false,
    }
}

/// Takes what the service needs and writes it into the object.
///
/// # Errors
/// 422 if an address or port that was asked for cannot be had, 500 if there is none left.
pub async fn begin(scope: &Scope, new: &mut Value, old: Option<&Value>, dry_run: bool) -> Result<Claim, Status> {
    let mut claim = Claim::default();
    if !is_service(scope) {
        return Ok(claim);
    }
    if let Some(old) = old {
        keep(new, old);
    }
    let result = take(scope, new, old, dry_run, &mut claim).await;
    match result {
        Ok(()) => Ok(claim),
        Err(status) => {
            finish(scope, claim, false).await;
            Err(status)
        }
    }
}

/// A client that sends a service back without its address and ports keeps them.
fn keep(new: &mut Value, old: &Value) {
    let both_need = kind_of(new) != "ExternalName" && kind_of(old) != "ExternalName";
    if both_need && cluster_ip(new).is_empty() {
        for field in ["clusterIP", "clusterIPs"] {
            if let Some(value) = object::get_at(old, &["spec", field]) {
                object::set_at(new, &["spec", field], value.clone());
            }
        }
    }
    let had: Vec<Value> = object::list_at(old, &["spec", "ports"]).to_vec();
    let (wanted, had_ports) = (wants_ports(new), wants_ports(old));
    let Some(Value::Array(ports)) = object::get_at_mut(new, &["spec", "ports"]) else { return };
    for port in ports {
        let same = had.iter().find(|p| p.get("port") == port.get("port") && p.get("protocol") == port.get("protocol"));
        let before = same.and_then(|p| p.get("nodePort")).cloned();
        let given = port.get("nodePort").and_then(Value::as_i64).unwrap_or(0);
        if wanted && had_ports && given == 0 {
            if let Some(before) = before {
                object::set_at(port, &["nodePort"], before);
            }
        } else if !wanted && had_ports && before.as_ref().and_then(Value::as_i64) == Some(given) {
            object::remove_at(port, &["nodePort"]);
        }
    }
}

async fn take(
    scope: &Scope,
    new: &mut Value,
    old: Option<&Value>,
    dry_run: bool,
    claim: &mut Claim,
) -> Result<(), Status> {
    let had: Option<IpAddr> = old.and_then(|old| cluster_ip(old).parse().ok());
    if kind_of(new) == "ExternalName" {
        for field in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
            if old.is_some_and(|old| object::get_at(old, &["spec", field]) == object::get_at(new, &["spec", field])) {
                object::remove_at(new, &["spec", field]);
            }
        }
        claim.freed_ips.extend(had);
        return Ok(());
    }
    let given = cluster_ip(new).to_owned();
    let families = given.parse::<IpAddr>().map_or("IPv4", |ip| if ip.is_ipv4() { "IPv4" } else { "IPv6" });
    if given == "None" {
        object::set_at(new, &["spec", "clusterIPs"], json!(["None"]));
    } else if given.is_empty() || given.parse::<IpAddr>().ok() != had {
        let ip = take_ip(scope, new, &given, dry_run).await?;
        if !dry_run {
            claim.taken_ips.push(ip);
        }
        claim.freed_ips.extend(had.filter(|had| *had != ip));
        object::set_at(new, &["spec", "clusterIP"], ip.to_string());
        object::set_at(new, &["spec", "clusterIPs"], json!([ip.to_string()]));
    }
    let spec = object::object_at(new, &["spec"]);
    spec.entry("ipFamilies").or_insert_with(|| json!([families]));
    spec.entry("ipFamilyPolicy").or_insert_with(|| "SingleStack".into());
    if wants_ports(new) {
        take_ports(scope, new, old, claim)?;
    }
    Ok(())
}

fn invalid(scope: &Scope, new: &Value, field: &str, value: &str, detail: &str) -> Status {
    let cause = Cause::field(FieldErrorType::Invalid, field, value, detail);
    Status::invalid(
        "",
        "Service",
        if object::name(new).is_empty() { &scope.name } else { object::name(new) },
        vec![cause],
    )
}

fn address_key(ip: IpAddr) -> String {
    format!("/registry/ipaddresses/{ip}")
}

async fn take_ip(scope: &Scope, service: &Value, given: &str, dry_run: bool) -> Result<IpAddr, Status> {
    let Some(net) = scope.server.config.service_cluster_ip_range.first().copied() else {
        return Err(Status::internal("no service address range is configured"));
    };
    let refuse = |detail: &str| {
        let value = json!([given]).to_string();
        invalid(scope, service, "spec.clusterIPs", &value, &format!("failed to allocate IP {given}: {detail}"))
    };
    if !given.is_empty() {
        let ip: IpAddr = given.parse().map_err(|_| refuse("not a valid IP address"))?;
        if !net.contains(&ip) {
            let range = format!("the provided IP ({ip}) is not in the valid range. The range of valid IPs is {net}");
            return Err(refuse(&range));
        }
        return match claim_ip(scope, service, ip, dry_run).await? {
            true => Ok(ip),
            false => Err(refuse("provided IP is already allocated")),
        };
    }
    for _ in 0..256 {
        let Some(ip) = random_ip(&net) else { break };
        if claim_ip(scope, service, ip, dry_run).await? {
            return Ok(ip);
        }
    }
    Err(Status::internal("failed to allocate a serviceIP: range is full"))
}

/// An address beyond the part of the range that is kept for addresses asked for by number (KEP-3070).
fn random_ip(net: &IpNet) -> Option<IpAddr> {
    let IpNet::V4(net) = net else { return None };
    let size = 1u64 << (32 - u32::from(net.prefix_len()));
    let kept = (size / 16).clamp(16, 256).min(size / 2);
    let last = size.saturating_sub(2);
    (last > kept).then(|| {
        let offset = rand::rng().random_range(kept..=last);
        let base = u32::from(net.network());
        IpAddr::V4(Ipv4Addr::from(base.wrapping_add(u32::try_from(offset).unwrap_or(1))))
    })
}

/// Makes the address's object; `false` if somebody has it.
async fn claim_ip(scope: &Scope, service: &Value, ip: IpAddr, dry_run: bool) -> Result<bool, Status> {
    let store = &scope.server.store;
    let key = address_key(ip);
    if dry_run {
        return store.get(&key, None).await.map(|(kv, _)| kv.is_none()).map_err(|error| scope.store_error(&error));
    }
    let family = if ip.is_ipv4() { "IPv4" } else { "IPv6" };
    let name = if object::name(service).is_empty() { &scope.name } else { object::name(service) };
    let address = json!({
        "kind": "IPAddress", "apiVersion": "networking.k8s.io/v1",
        "metadata": {
            "name": ip.to_string(), "uid": uuid::Uuid::new_v4().to_string(), "creationTimestamp": object::now_rfc3339(),
            "labels": {
                "ipaddress.kubernetes.io/ip-family": family,
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": {"parentRef": {"group": "", "resource": "services", "namespace": scope.namespace, "name": name}},
    });
    match store.put(&key, codec::encode(&address), Expect::Absent, None).await {
        Ok(_) => Ok(true),
        Err(StoreError::Conflict { .. }) => Ok(false),
        Err(error) => Err(scope.store_error(&error)),
    }
}

fn ports_of(service: &Value) -> impl Iterator<Item = i64> {
    let ports = object::list_at(service, &["spec", "ports"]).iter().filter_map(|port| port.get("nodePort")?.as_i64());
    ports.chain(object::i64_at(service, &["spec", "healthCheckNodePort"])).filter(|port| *port != 0)
}

fn take_ports(scope: &Scope, new: &mut Value, old: Option<&Value>, claim: &mut Claim) -> Result<(), Status> {
    let (low, high) = scope.server.config.service_node_port_range;
    let own: HashSet<i64> = old.into_iter().flat_map(ports_of).collect();
    let mut reserved = scope.server.reservations.ports.lock();
    let mut used: HashSet<i64> = reserved.iter().copied().collect();
    for service in scope.cache().peek().objects.values() {
        used.extend(ports_of(&service.value()));
    }
    used.retain(|port| !own.contains(port));
    let snapshot = new.clone();
    let mut mine: HashSet<i64> = HashSet::new();
    let mut pick = |given: i64, field: &str| -> Result<i64, Status> {
        if given != 0 {
            if mine.contains(&given) {
                return Ok(given);
            }
            let outside = given < i64::from(low) || given > i64::from(high);
            if outside || used.contains(&given) {
                let detail = if outside {
                    format!("provided port is not in the valid range. The range of valid ports is {low}-{high}")
                } else {
                    "provided port is already allocated".to_owned()
                };
                return Err(invalid(scope, &snapshot, field, &given.to_string(), &detail));
            }
            mine.insert(given);
            return Ok(given);
        }
        let free = |port: &i64| !used.contains(port) && !mine.contains(port) && !own.contains(port);
        let start = rand::rng().random_range(low..=high);
        let found = (start..=high).chain(low..start).map(i64::from).find(free);
        let found = found.ok_or_else(|| Status::internal("failed to allocate a nodePort: range is full"))?;
        mine.insert(found);
        Ok(found)
    };
    if let Some(Value::Array(ports)) = object::get_at_mut(new, &["spec", "ports"]) {
        for pass in [false, true] {
            for (at, port) in ports.iter_mut().enumerate() {
                let given = port.get("nodePort").and_then(Value::as_i64).unwrap_or(0);
                if (given == 0) == pass {
                    let number = pick(given, &format!("spec.ports[{at}].nodePort"))?;
                    object::set_at(port, &["nodePort"], number);
                }
            }
        }
    }
    let local = object::str_at(new, &["spec", "externalTrafficPolicy"]) == Some("Local");
    if local && kind_of(new) == "LoadBalancer" {
        let given = object::i64_at(new, &["spec", "healthCheckNodePort"])
            .or_else(|| object::i64_at(old?, &["spec", "healthCheckNodePort"]))
            .unwrap_or(0);
        let number = pick(given, "spec.healthCheckNodePort")?;
        object::set_at(new, &["spec", "healthCheckNodePort"], number);
    }
    let fresh: Vec<i64> = mine.into_iter().filter(|port| !own.contains(port)).collect();
    reserved.extend(fresh.iter().copied());
    claim.ports.extend(fresh);
    Ok(())
}

/// Ends a claim after the write.
pub async fn finish(scope: &Scope, claim: Claim, written: bool) {
    for ip in if written { &claim.freed_ips } else { &claim.taken_ips } {
        free_ip(scope, *ip).await;
    }
    if claim.ports.is_empty() {
        return;
    }
    if written {
        // The reservation may go only when the cache has the service, which it then is read from.
        let _ = scope.server.hub.wait_consistent().await;
    }
    let mut reserved = scope.server.reservations.ports.lock();
    for port in &claim.ports {
        reserved.remove(port);
    }
}

/// Gives up the addresses of a service that is gone.
pub async fn release(scope: &Scope, service: &Value) {
    if scope.definition.kind == "Service"
        && scope.group().is_empty()
        && let Ok(ip) = cluster_ip(service).parse()
    {
        free_ip(scope, ip).await;
    }
}

async fn free_ip(scope: &Scope, ip: IpAddr) {
    match scope.server.store.delete(&address_key(ip), Expect::Any).await {
        Ok(_) | Err(StoreError::NotFound) => {}
        Err(error) => tracing::warn!(%ip, %error, "an address of a service could not be given up"),
    }
}
