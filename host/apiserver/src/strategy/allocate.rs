//! Cluster IPs and node ports of services.
//!
//! Before a service is validated it gets what it needs: its families ([`families`]), an address of each of them
//! ([`addresses`]) and its ports ([`ports`]). What was taken is a [`Claim`] that ends with the write: if that fails the new
//! goes back, if it succeeds the old that is not used any more does.

mod addresses;
mod families;
mod ports;
mod reserved;

use std::collections::HashSet;
use std::net::IpAddr;

use parking_lot::Mutex;
use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::{Status, Value, object};
use portcullis_storage::{Expect, StoreError};
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

/// A list of texts in the spec, such as `clusterIPs`.
fn texts(service: &Value, field: &str) -> Vec<String> {
    let list = object::list_at(service, &["spec", field]).iter();
    list.filter_map(|text| text.as_str().map(str::to_owned)).collect()
}

fn spec_of<'a>(service: &'a Value, field: &str) -> Option<&'a Value> {
    object::get_at(service, &["spec", field])
}

fn needs_cluster_ip(service: &Value) -> bool {
    kind_of(service) != "ExternalName"
}

fn needs_node_port(service: &Value) -> bool {
    matches!(kind_of(service), "NodePort" | "LoadBalancer")
}

/// Load balancers that keep to their own node ask whether it has endpoints.
fn needs_health_port(service: &Value) -> bool {
    kind_of(service) == "LoadBalancer" && object::str_at(service, &["spec", "externalTrafficPolicy"]) == Some("Local")
}

fn invalid(scope: &Scope, service: &Value, causes: Vec<Cause>) -> Status {
    let name = if object::name(service).is_empty() { &scope.name } else { object::name(service) };
    Status::invalid("", "Service", name, causes)
}

fn wrong(field: &str, value: &str, detail: &str) -> Cause {
    Cause::field(FieldErrorType::Invalid, field, value, detail)
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
    normalize(new, old);
    let result = take(scope, new, old, dry_run, &mut claim).await;
    if let Err(status) = result {
        finish(scope, claim, false).await;
        return Err(status);
    }
    if let Some(old) = old {
        drop_dependent(new, old);
    }
    Ok(claim)
}

async fn take(
    scope: &Scope,
    new: &mut Value,
    old: Option<&Value>,
    dry_run: bool,
    claim: &mut Claim,
) -> Result<(), Status> {
    // What is malformed gets nothing; validation will say what is wrong with it.
    if needs_cluster_ip(new) && !families::is_plausible(new) {
        return Ok(());
    }
    families::complete(scope, new, old)?;
    addresses::allocate(scope, new, old, dry_run, claim).await?;
    if dry_run || !scope.server.config.shared_store {
        return ports::allocate(scope, new, old, dry_run, &HashSet::new(), claim);
    }
    // What another server has reserved is only found out by trying.
    let mut elsewhere = HashSet::new();
    loop {
        let mut tried = new.clone();
        let mut ports = Claim::default();
        ports::allocate(scope, &mut tried, old, dry_run, &elsewhere, &mut ports)?;
        match reserved::reserve(scope, &ports.ports).await {
            Ok(refused) if refused.is_empty() => {
                claim.ports.extend(ports.ports);
                *new = tried;
                return Ok(());
            }
            result => {
                // The reservations in this process go, and another try is made without what others have.
                forget_ports(scope, &ports.ports);
                elsewhere.extend(result?);
            }
        }
    }
}

/// Ends reservations of node ports in this process.
fn forget_ports(scope: &Scope, ports: &[i64]) {
    let mut reserved = scope.server.reservations.ports.lock();
    for port in ports {
        reserved.remove(port);
    }
}

/// Ends reservations of node ports.
async fn release_ports(scope: &Scope, ports: Vec<i64>) {
    if scope.server.config.shared_store {
        reserved::release(scope, &ports).await;
    }
    forget_ports(scope, &ports);
}

/// A client that sends a service back without its addresses and ports keeps them.
fn keep(new: &mut Value, old: &Value) {
    if needs_cluster_ip(new) && needs_cluster_ip(old) {
        let copy = |new: &mut Value, field: &str| {
            if let Some(value) = spec_of(old, field) {
                object::set_at(new, &["spec", field], value.clone());
            }
        };
        if cluster_ip(new).is_empty() {
            copy(new, "clusterIP");
        }
        if texts(new, "clusterIPs").is_empty() && cluster_ip(new) == cluster_ip(old) {
            copy(new, "clusterIPs");
        }
    }
    if needs_node_port(new) && needs_node_port(old) {
        ports::keep(new, old);
    }
    let health = |service: &Value| object::i64_at(service, &["spec", "healthCheckNodePort"]).unwrap_or(0);
    if needs_health_port(new) && needs_health_port(old) && health(new) == 0 {
        object::set_at(new, &["spec", "healthCheckNodePort"], health(old));
    }
}

fn same_addresses(new: &Value, old: &Value) -> bool {
    texts(new, "clusterIPs") == texts(old, "clusterIPs")
}

/// Old clients know one address and newer ones a list of them: the two are made to agree where it is clear what was meant.
fn normalize(new: &mut Value, old: Option<&Value>) {
    let given = cluster_ip(new).to_owned();
    let Some(old) = old else {
        if !given.is_empty() && texts(new, "clusterIPs").is_empty() {
            object::set_at(new, &["spec", "clusterIPs"], json!([given]));
        }
        return;
    };
    let had = cluster_ip(old);
    if had == given || !same_addresses(new, old) {
        return;
    }
    if given.is_empty() {
        object::remove_at(new, &["spec", "clusterIPs"]);
    } else {
        object::set_at(new, &["spec", "clusterIPs"], json!([given]));
    }
}

/// What the service's new type has no use for goes, if the client left it as it was.
fn drop_dependent(new: &mut Value, old: &Value) {
    let same = |new: &Value, field: &str| spec_of(new, field) == spec_of(old, field);
    let drop_same = |new: &mut Value, field: &str| {
        if same(new, field) {
            object::remove_at(new, &["spec", field]);
        }
    };
    if needs_cluster_ip(old) && !needs_cluster_ip(new) {
        if same(new, "clusterIP") && same(new, "clusterIPs") {
            drop_same(new, "clusterIP");
            drop_same(new, "clusterIPs");
        }
        for field in ["ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"] {
            drop_same(new, field);
        }
    }
    if needs_node_port(old) && !needs_node_port(new) {
        ports::drop_same(new, old);
    }
    if needs_health_port(old) && !needs_health_port(new) {
        drop_same(new, "healthCheckNodePort");
    }
    if kind_of(old) == "LoadBalancer" && kind_of(new) != "LoadBalancer" {
        drop_same(new, "allocateLoadBalancerNodePorts");
        drop_same(new, "loadBalancerClass");
    }
    let outside = |service: &Value| {
        needs_node_port(service) || kind_of(service) == "ClusterIP" && !texts(service, "externalIPs").is_empty()
    };
    if outside(old) && !outside(new) {
        drop_same(new, "externalTrafficPolicy");
    }
    if kind_of(new) != "LoadBalancer" {
        object::set_at(new, &["status", "loadBalancer"], json!({}));
    }
}

/// Ends a claim after the write.
pub async fn finish(scope: &Scope, claim: Claim, written: bool) {
    for ip in if written { &claim.freed_ips } else { &claim.taken_ips } {
        addresses::free(scope, *ip).await;
    }
    if claim.ports.is_empty() {
        return;
    }
    if written {
        // The reservation may go only when the cache has the service, which it then is read from.
        let _ = scope.server.hub.wait_consistent().await;
    }
    release_ports(scope, claim.ports).await;
}

/// Gives up the addresses of a service that is gone.
pub async fn release(scope: &Scope, service: &Value) {
    if scope.definition.kind != "Service" || !scope.group().is_empty() {
        return;
    }
    let mut addresses: Vec<IpAddr> =
        texts(service, "clusterIPs").iter().filter_map(|address| address.parse().ok()).collect();
    addresses.extend(cluster_ip(service).parse::<IpAddr>());
    addresses.dedup();
    for address in addresses {
        addresses::free(scope, address).await;
    }
    // The endpoints of the same name go at once, so that a new service of that name does not find them.
    let registry = scope.server.registry.load_full();
    if let Some(endpoints) = registry.resource("", "v1", "endpoints") {
        let key = endpoints.key(object::namespace(service), object::name(service));
        if let Err(error) = scope.server.store.delete(&key, Expect::Any).await
            && !matches!(error, StoreError::NotFound)
        {
            tracing::warn!(key, %error, "the endpoints of a service that is gone could not be deleted");
        }
    }
}
