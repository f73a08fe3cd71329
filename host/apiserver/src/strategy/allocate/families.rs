//! Which families of addresses a service has, and in which order (KEP-563).

use std::net::IpAddr;

use portcullis_machinery::status::Cause;
use portcullis_machinery::{Status, Value, object};
use serde_json::json;

use super::{cluster_ip, invalid, kind_of, same_addresses, spec_of, texts, wrong};
use crate::handlers::Scope;

pub(super) const IPV4: &str = "IPv4";
pub(super) const IPV6: &str = "IPv6";

pub(super) fn family_of(address: IpAddr) -> &'static str {
    if address.is_ipv4() { IPV4 } else { IPV6 }
}

fn other(family: &str) -> &'static str {
    if family == IPV4 { IPV6 } else { IPV4 }
}

/// The families that services can have addresses of, the one that they get by default first.
fn configured(scope: &Scope) -> Vec<&'static str> {
    let ranges = scope.server.config.service_cluster_ip_range.iter();
    ranges.map(|range| if range.addr().is_ipv4() { IPV4 } else { IPV6 }).collect()
}

/// Whether the fields that belong together are well formed and agree, as far as working with them needs.
pub(super) fn is_plausible(service: &Value) -> bool {
    let (addresses, families) = (texts(service, "clusterIPs"), texts(service, "ipFamilies"));
    let known = |family: &String| family == IPV4 || family == IPV6;
    let several = |list: &[String]| list.len() > 2 || list.len() == 2 && list[0] == list[1];
    if several(&families) || several(&addresses) || !families.iter().all(known) {
        return false;
    }
    if addresses.first().map_or("", String::as_str) != cluster_ip(service) {
        return false;
    }
    if addresses.first().is_some_and(|first| first == "None") {
        return addresses.len() == 1;
    }
    let parsed: Vec<IpAddr> = addresses.iter().filter_map(|address| address.parse().ok()).collect();
    parsed.len() == addresses.len()
        && parsed.iter().zip(&families).all(|(address, family)| family_of(*address) == family)
        && (parsed.len() < 2 || parsed[0].is_ipv4() != parsed[1].is_ipv4())
}

/// Whether nothing changes of a service that takes two families where there are two: such a one stays as it is when the
/// cluster gains or loses a family.
pub(super) fn is_settled(new: &Value, old: Option<&Value>) -> bool {
    let Some(old) = old else { return false };
    let prefers = |service: &Value| object::str_at(service, &["spec", "ipFamilyPolicy"]) == Some("PreferDualStack");
    spec_of(new, "ipFamilyPolicy").is_some()
        && kind_of(new) == kind_of(old)
        && kind_of(new) != "ExternalName"
        && prefers(new)
        && (prefers(old) || spec_of(old, "ipFamilyPolicy").is_none())
        && same_addresses(new, old)
        && texts(new, "ipFamilies") == texts(old, "ipFamilies")
}

/// Fills in the policy and the families.
///
/// # Errors
/// 422 if they do not fit each other, what the service was, or the cluster.
pub(super) fn complete(scope: &Scope, new: &mut Value, old: Option<&Value>) -> Result<(), Status> {
    if kind_of(new) == "ExternalName" || is_settled(new, old) {
        return Ok(());
    }
    let selects = spec_of(new, "selector").and_then(Value::as_object).is_some_and(|selector| !selector.is_empty());
    // Addresses of endpoints that somebody else writes may be of any family.
    let free = cluster_ip(new) == "None" && !selects;
    if spec_of(new, "ipFamilyPolicy").is_none_or(Value::is_null) {
        let before = old.and_then(|old| spec_of(old, "ipFamilyPolicy")).cloned();
        let policy = before.unwrap_or_else(|| if free { "RequireDualStack" } else { "SingleStack" }.into());
        object::set_at(new, &["spec", "ipFamilyPolicy"], policy);
    }
    let policy = object::str_at(new, &["spec", "ipFamilyPolicy"]).unwrap_or_default().to_owned();
    let configured = configured(scope);
    let mut families = texts(new, "ipFamilies");
    let causes = reconcile(new, old, &policy, &mut families, &configured);
    if !causes.is_empty() {
        return Err(invalid(scope, new, causes));
    }
    let default = configured.first().copied().unwrap_or(IPV4);
    if !free {
        let mut causes = Vec::new();
        if policy == "RequireDualStack" && configured.len() < 2 {
            let detail = "this cluster is not configured for dual-stack services";
            causes.push(wrong("spec.ipFamilyPolicy", &json!(policy).to_string(), detail));
        }
        for (at, family) in families.iter().enumerate().filter(|(_, family)| !configured.contains(&family.as_str())) {
            let field = format!("spec.ipFamilies[{at}]");
            causes.push(wrong(&field, &json!(family).to_string(), "not configured on this cluster"));
        }
        if !causes.is_empty() {
            return Err(invalid(scope, new, causes));
        }
    }
    if families.is_empty() {
        families.push(default.to_owned());
    }
    if policy != "SingleStack" && families.len() == 1 && (free || configured.len() == 2) {
        families.push(other(&families[0]).to_owned());
    }
    object::set_at(new, &["spec", "ipFamilies"], json!(families));
    Ok(())
}

/// Makes policy, families and addresses agree, and says where they do not.
fn reconcile(
    new: &mut Value,
    old: Option<&Value>,
    policy: &str,
    families: &mut Vec<String>,
    configured: &[&str],
) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut addresses = texts(new, "clusterIPs");
    let shown = json!(policy).to_string();
    let mut refuse = |detail: &str| causes.push(wrong("spec.ipFamilyPolicy", &shown, detail));
    if let Some(old) = old {
        let (had_addresses, had_families) = (texts(old, "clusterIPs"), texts(old, "ipFamilies"));
        if policy == "SingleStack" {
            // With the rest as it was this says clearly enough that the second one is to go.
            if addresses == had_addresses && addresses.len() > 1 {
                addresses.truncate(1);
                object::set_at(new, &["spec", "clusterIPs"], json!(addresses));
            }
            if *families == had_families {
                families.truncate(1);
            }
        } else {
            if !addresses.is_empty() && addresses.len() < had_addresses.len() {
                refuse("must be 'SingleStack' to release the secondary cluster IP");
            }
            if !families.is_empty() && families.len() < had_families.len() {
                refuse("must be 'SingleStack' to release the secondary IP family");
            }
        }
    }
    if policy == "SingleStack" {
        for (list, what) in [(&addresses, "cluster IPs"), (&*families, "IP families")] {
            if list.len() == 2 {
                let many =
                    format!("must be 'RequireDualStack' or 'PreferDualStack' when multiple {what} are specified");
                refuse(&many);
            }
        }
    }
    for (at, address) in addresses.iter().enumerate().skip(families.len()) {
        let Ok(address) = address.parse::<IpAddr>() else { break };
        let family = family_of(address);
        if configured.contains(&family) {
            families.push(family.to_owned());
        } else {
            let detail = format!("{family} is not configured on this cluster");
            causes.push(wrong(&format!("spec.clusterIPs[{at}]"), &json!(addresses).to_string(), &detail));
        }
    }
    causes
}
