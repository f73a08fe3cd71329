//! Which address a Service leads to.
//!
//! The server need not be on a machine where the Services' own addresses lead anywhere, so it goes to the endpoints
//! themselves: those that are ready, of the port that the Service's port is named after. A Service that is just another
//! name (`ExternalName`) leads to that name, and `default/kubernetes` to the server itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use portcullis_machinery::definition::ResourceDefinition;
use portcullis_machinery::{Status, Value, object};

use crate::handlers::scope::{cache_of, store_error};
use crate::server::ApiServer;

/// An address that requests to a Service may be sent to.
#[derive(Clone, Debug)]
pub struct Ready {
    /// An IP address, or a name.
    pub address: String,
    /// The port there.
    pub port: u16,
    /// What the address refers to (`targetRef`); null if it does not say.
    pub target: Value,
}

/// The host and port that a Service's port leads to, one of many at random.
///
/// # Errors
/// 404 if there is no such Service, 503 if it has no such port or nothing behind it.
pub async fn resolve(server: &Arc<ApiServer>, namespace: &str, name: &str, port: u16) -> Result<(String, u16), Status> {
    if (namespace, name, port) == ("default", "kubernetes", 443) {
        let bind = server.config.bind;
        let ip = match bind.ip() {
            ip if !ip.is_unspecified() => ip,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        return Ok((ip.to_string(), bind.port()));
    }
    let registry = server.registry.load_full();
    let services = served(&registry, "", "v1", "services")?;
    let found = cache_of(server, services).get(&services.key(namespace, name), None).await;
    let service = found
        .map_err(|error| store_error(&error))?
        .ok_or_else(|| Status::failure(404, "NotFound", format!("service {name:?} not found")))?
        .value();
    match object::str_at(&service, &["spec", "type"]).unwrap_or("ClusterIP") {
        "ClusterIP" | "NodePort" | "LoadBalancer" => {}
        "ExternalName" => {
            let other = object::str_at(&service, &["spec", "externalName"]).unwrap_or_default();
            return Ok((other.to_owned(), port));
        }
        other => return Err(Status::failure(500, "", format!("unsupported service type {other:?}"))),
    }
    let port_name = port_name(&service, i64::from(port))?;
    let mut ready = ready(server, namespace, name, &port_name).await?;
    if ready.is_empty() {
        return Err(Status::unavailable(format!("no endpoints available for service {name:?}")));
    }
    let one = ready.swap_remove(rand::random::<u32>() as usize % ready.len());
    Ok((one.address, one.port))
}

/// The name of a Service's port; empty for the only one that has none.
///
/// # Errors
/// 503 if the Service has no such port.
pub fn port_name(service: &Value, number: i64) -> Result<String, Status> {
    let ports = object::list_at(service, &["spec", "ports"]);
    let port = ports.iter().find(|port| object::i64_at(port, &["port"]) == Some(number)).ok_or_else(|| {
        let name = object::name(service);
        Status::unavailable(format!("no service port {number} found for service {name:?}"))
    })?;
    Ok(object::str_at(port, &["name"]).unwrap_or("").to_owned())
}

/// The ready endpoints of a Service's port: those of its EndpointSlices, or if it has none, of its Endpoints.
///
/// # Errors
/// If the store fails.
pub async fn ready(
    server: &Arc<ApiServer>,
    namespace: &str,
    service: &str,
    port_name: &str,
) -> Result<Vec<Ready>, Status> {
    let registry = server.registry.load_full();
    let slices = served(&registry, "discovery.k8s.io", "v1", "endpointslices")?;
    let all = cache_of(server, slices).snapshot(None).await.map_err(|error| store_error(&error))?;
    let named =
        |ports: &[Value]| ports.iter().find(|port| object::str_at(port, &["name"]).unwrap_or("") == port_name).cloned();
    let number = |port: Option<Value>| u16::try_from(object::i64_at(&port?, &["port"])?).ok();
    let (mut found, mut sliced) = (Vec::new(), false);
    for slice in all.under(&slices.key_prefix(Some(namespace)), None) {
        if slice.label("kubernetes.io/service-name") != Some(service) {
            continue;
        }
        sliced = true;
        let slice = slice.value();
        let Some(port) = number(named(object::list_at(&slice, &["ports"]))) else { continue };
        for endpoint in object::list_at(&slice, &["endpoints"]) {
            let unready = object::get_at(endpoint, &["conditions", "ready"]) == Some(&Value::Bool(false));
            let address = object::list_at(endpoint, &["addresses"]).first().and_then(Value::as_str);
            if let (false, Some(address)) = (unready, address) {
                let target = endpoint.get("targetRef").cloned().unwrap_or_default();
                found.push(Ready { address: address.to_owned(), port, target });
            }
        }
    }
    if sliced {
        return Ok(found);
    }
    let endpoints = served(&registry, "", "v1", "endpoints")?;
    let of_service = cache_of(server, endpoints).get(&endpoints.key(namespace, service), None).await;
    let Some(of_service) = of_service.map_err(|error| store_error(&error))? else { return Ok(found) };
    for subset in object::list_at(&of_service.value(), &["subsets"]) {
        let Some(port) = number(named(object::list_at(subset, &["ports"]))) else { continue };
        for endpoint in object::list_at(subset, &["addresses"]) {
            let address = object::str_at(endpoint, &["ip"]).unwrap_or_default().to_owned();
            let target = endpoint.get("targetRef").cloned().unwrap_or_default();
            found.push(Ready { address, port, target });
        }
    }
    Ok(found)
}

fn served<'a>(
    registry: &'a portcullis_machinery::definition::Registry,
    group: &str,
    version: &str,
    plural: &str,
) -> Result<&'a Arc<ResourceDefinition>, Status> {
    registry.resource(group, version, plural).ok_or_else(|| Status::internal(format!("{plural} are not served")))
}
