//! Addresses. One is taken by making its IPAddress object, which the store lets only one do; where they come from say the
//! ServiceCIDRs (KEP-1880).

use std::net::IpAddr;

use ipnet::IpNet;
use portcullis_machinery::{Status, Value, codec, object};
use portcullis_storage::{Expect, StoreError};
use rand::Rng as _;
use serde_json::json;

use super::families::{family_of, is_settled};
use super::{Claim, cluster_ip, invalid, kind_of, texts, wrong};
use crate::handlers::Scope;
use crate::handlers::scope::cache_of;

/// How many addresses of a range are looked at before it counts as full.
const TRIED: u128 = 1 << 20;

/// Takes an address for each family of the service that has none, and marks those that it gives up.
///
/// # Errors
/// 422 for an address that cannot be had, 500 if there is none left.
pub(super) async fn allocate(
    scope: &Scope,
    new: &mut Value,
    old: Option<&Value>,
    dry_run: bool,
    claim: &mut Claim,
) -> Result<(), Status> {
    let before = old.filter(|old| kind_of(old) != "ExternalName");
    let had: Vec<String> = before.map(|old| texts(old, "clusterIPs")).unwrap_or_default();
    if is_settled(new, old) || had.first().is_some_and(|first| first == "None") {
        return Ok(());
    }
    let freed = |list: &[String]| -> Vec<IpAddr> { list.iter().filter_map(|address| address.parse().ok()).collect() };
    if kind_of(new) == "ExternalName" {
        claim.freed_ips.extend(freed(&had));
        return Ok(());
    }
    let mut addresses = texts(new, "clusterIPs");
    if addresses.first().is_some_and(|first| first == "None") {
        return Ok(());
    }
    let families = texts(new, "ipFamilies");
    // Which of its addresses a service has is not changed any more, only a second one may come and go.
    let first = if before.is_some() { had.len() } else { 0 };
    if before.is_some() && families.len() < had.len() {
        claim.freed_ips.extend(freed(&had[families.len()..]));
    }
    for (at, family) in families.iter().enumerate().skip(first) {
        let given = addresses.get(at).cloned().unwrap_or_default();
        let ip = take(scope, new, family, &given, &addresses, dry_run).await?;
        if !dry_run {
            claim.taken_ips.push(ip);
        }
        if given.is_empty() {
            addresses.insert(at, ip.to_string());
        }
    }
    if families.len() > first {
        let primary = addresses.first().cloned().unwrap_or_default();
        if cluster_ip(new) != primary {
            object::set_at(new, &["spec", "clusterIP"], primary);
        }
        object::set_at(new, &["spec", "clusterIPs"], json!(addresses));
    }
    Ok(())
}

/// The ranges that addresses of a family may be from: those of the ServiceCIDRs that are not known to be unready, or of
/// the command line while there are none.
fn ranges(scope: &Scope, family: &str) -> Vec<IpNet> {
    let of_family = |range: &IpNet| family_of(range.addr()) == family;
    let registry = scope.server.registry.load_full();
    let mut ranges: Vec<IpNet> = Vec::new();
    if let Some(definition) = registry.resource("networking.k8s.io", "v1", "servicecidrs") {
        for cached in cache_of(&scope.server, definition).peek().objects.values() {
            let value = cached.value();
            let unready = |condition: &Value| {
                object::str_at(condition, &["type"]) == Some("Ready")
                    && object::str_at(condition, &["status"]) != Some("True")
            };
            let conditions = object::list_at(&value, &["status", "conditions"]);
            if object::deletion_timestamp(&value).is_some() || conditions.iter().any(unready) {
                continue;
            }
            let cidrs = object::list_at(&value, &["spec", "cidrs"]).iter();
            ranges.extend(cidrs.filter_map(|cidr| cidr.as_str()?.parse::<IpNet>().ok()).filter(of_family));
        }
    }
    if ranges.is_empty() {
        ranges.extend(scope.server.config.service_cluster_ip_range.iter().filter(|range| of_family(range)));
    }
    ranges
}

/// A range as numbers: the network, the first and last address that may be had, and where those begin that are handed out
/// first. The ones before are kept for addresses asked for by number (KEP-3070).
struct Span {
    v4: bool,
    network: u128,
    first: u128,
    kept: u128,
    last: u128,
}

impl Span {
    fn of(range: IpNet) -> Self {
        let (v4, network, bits) = match range {
            IpNet::V4(net) => (true, u128::from(u32::from(net.network())), 32 - net.prefix_len()),
            IpNet::V6(net) => (false, u128::from(net.network()), 128 - net.prefix_len()),
        };
        let size = 1u128.checked_shl(u32::from(bits.min(64))).unwrap_or(u128::MAX);
        let last = network + size - if v4 { 2 } else { 1 };
        let kept = if size <= 16 { 0 } else { (size / 16).clamp(16, 256) };
        let first = network + 1;
        Self { v4, network, first, kept: first + kept, last: last.max(network) }
    }

    fn address(&self, number: u128) -> IpAddr {
        if self.v4 { IpAddr::V4(u32::try_from(number).unwrap_or_default().into()) } else { IpAddr::V6(number.into()) }
    }

    fn contains(&self, address: IpAddr) -> bool {
        let number = match address {
            IpAddr::V4(address) => u128::from(u32::from(address)),
            IpAddr::V6(address) => u128::from(address),
        };
        (self.first..=self.last).contains(&number)
    }

    /// All of `from..=to`, from a place of chance on.
    fn shuffled(from: u128, to: u128) -> impl Iterator<Item = u128> {
        let start = if from < to { rand::rng().random_range(from..=to) } else { from };
        let upper = if from <= to { start..to + 1 } else { 0..0 };
        let lower = if from <= to { from..start } else { 0..0 };
        upper.chain(lower).take(usize::try_from(TRIED).unwrap_or(usize::MAX))
    }

    /// The addresses in the order in which they are tried.
    fn candidates(&self) -> impl Iterator<Item = IpAddr> {
        let kept = self.kept.min(self.last + 1);
        let numbers = Self::shuffled(kept, self.last).chain(Self::shuffled(self.first, kept.saturating_sub(1)));
        numbers.map(|number| self.address(number))
    }
}

async fn take(
    scope: &Scope,
    service: &Value,
    family: &str,
    given: &str,
    all: &[String],
    dry_run: bool,
) -> Result<IpAddr, Status> {
    let refuse =
        |detail: String| invalid(scope, service, vec![wrong("spec.clusterIPs", &json!(all).to_string(), &detail)]);
    let ranges = ranges(scope, family);
    if !given.is_empty() {
        let refuse = |detail: &str| refuse(format!("failed to allocate IP {given}: {detail}"));
        let ip: IpAddr = given.parse().map_err(|_| refuse("not a valid IP address"))?;
        let range = ranges.iter().find(|range| dry_run || range.contains(&ip));
        let Some(range) = range else {
            return Err(refuse("the provided network does not match the current range"));
        };
        if !Span::of(*range).contains(ip) {
            let detail = format!(
                "the provided IP ({ip}) is not in the valid range. The range of valid IPs is {}",
                range.trunc()
            );
            return Err(refuse(&detail));
        }
        // Whether it is free is not looked at where it is not taken.
        return match dry_run || claim(scope, service, ip).await? {
            true => Ok(ip),
            false => Err(refuse("provided IP is already allocated")),
        };
    }
    if dry_run && let Some(range) = ranges.first() {
        let span = Span::of(*range);
        return Ok(span.address(span.network));
    }
    let taken = taken(scope);
    for range in &ranges {
        for ip in Span::of(*range).candidates() {
            if !taken(ip) && claim(scope, service, ip).await? {
                return Ok(ip);
            }
        }
    }
    let name = if object::name(service).is_empty() { scope.name.as_str() } else { object::name(service) };
    Err(Status::internal(format!("failed to allocate a serviceIP for Service {name:?}: range is full")))
}

/// Tells which addresses are taken, as far as the cache knows.
fn taken(scope: &Scope) -> impl Fn(IpAddr) -> bool {
    let registry = scope.server.registry.load_full();
    let known = registry
        .resource("networking.k8s.io", "v1", "ipaddresses")
        .map(|definition| cache_of(&scope.server, definition).peek());
    move |ip| known.as_ref().is_some_and(|known| known.objects.contains_key(key(ip).as_str()))
}

fn key(ip: IpAddr) -> String {
    format!("/registry/ipaddresses/{ip}")
}

/// Makes the address's object; `false` if somebody has it.
async fn claim(scope: &Scope, service: &Value, ip: IpAddr) -> Result<bool, Status> {
    let name = if object::name(service).is_empty() { &scope.name } else { object::name(service) };
    let address = json!({
        "kind": "IPAddress", "apiVersion": "networking.k8s.io/v1",
        "metadata": {
            "name": ip.to_string(), "uid": uuid::Uuid::new_v4().to_string(), "creationTimestamp": object::now_rfc3339(),
            "labels": {
                "ipaddress.kubernetes.io/ip-family": family_of(ip),
                "ipaddress.kubernetes.io/managed-by": "ipallocator.k8s.io",
            },
        },
        "spec": {"parentRef": {"group": "", "resource": "services", "namespace": scope.namespace, "name": name}},
    });
    match scope.server.store.put(&key(ip), codec::encode(&address), Expect::Absent, None).await {
        Ok(_) => Ok(true),
        Err(StoreError::Conflict { .. }) => Ok(false),
        Err(error) => Err(scope.store_error(&error)),
    }
}

/// Gives an address up.
pub(super) async fn free(scope: &Scope, ip: IpAddr) {
    match scope.server.store.delete(&key(ip), Expect::Any).await {
        Ok(_) | Err(StoreError::NotFound) => {}
        Err(error) => tracing::warn!(%ip, %error, "an address of a service could not be given up"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        let check = |range: &str, first: &str, last: &str, preferred: usize, all: usize| {
            let span = Span::of(range.parse().expect("a range"));
            assert_eq!(span.address(span.first).to_string(), first, "{range}");
            assert_eq!(span.address(span.last).to_string(), last, "{range}");
            let found: Vec<IpAddr> = span.candidates().collect();
            assert_eq!(found.len(), all, "{range}");
            assert!(found.iter().all(|ip| span.contains(*ip)));
            let early = found[..preferred].iter().min().copied();
            assert_eq!(early, Some(span.address(span.kept)), "{range}");
        };
        check("10.96.0.0/16", "10.96.0.1", "10.96.255.254", 65_278, 65_534);
        check("10.0.0.0/28", "10.0.0.1", "10.0.0.14", 14, 14);
        check("10.0.0.0/24", "10.0.0.1", "10.0.0.254", 238, 254);
        check("fd00::/120", "fd00::1", "fd00::ff", 239, 255);
    }
}
