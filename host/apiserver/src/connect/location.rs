//! Where a connection leads: to a kubelet, or to a port of a pod, a service's endpoint or a node.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use ipnet::Ipv4Net;
use portcullis_client::ClientConfig;
use portcullis_client::transport::client_tls;
use portcullis_machinery::{Status, Value, object};

use super::Target;
use crate::handlers::Scope;
use crate::outbound::resolve::{self, Ready};
use crate::pki::Component;

const KUBELET_PORT: u16 = 10250;

/// Loopback addresses that pods have on a node whose kubelet may not change routes.
const LOOPBACK_PODS: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::new(127, 244, 0, 0), 16);

/// The container that is meant: the one that is named, or a pod's only one.
pub(super) fn container(pod: &Value, given: &str) -> Result<String, Status> {
    let names: Vec<&str> = ["initContainers", "containers", "ephemeralContainers"]
        .iter()
        .flat_map(|list| object::list_at(pod, &["spec", list]))
        .filter_map(|container| object::str_at(container, &["name"]))
        .collect();
    let pod_name = object::name(pod);
    if !given.is_empty() {
        return match names.contains(&given) {
            true => Ok(given.to_owned()),
            false => Err(Status::bad_request(format!("container {given} is not valid for pod {pod_name}"))),
        };
    }
    match object::list_at(pod, &["spec", "containers"]) {
        [only] => Ok(object::str_at(only, &["name"]).unwrap_or("").to_owned()),
        [] => Err(Status::bad_request(format!("a container name must be specified for pod {pod_name}"))),
        _ => Err(Status::bad_request(format!(
            "a container name must be specified for pod {pod_name}, choose one of: [{}]",
            names.join(" ")
        ))),
    }
}

/// `NAME`, `NAME:PORT` or `SCHEME:NAME:PORT`.
struct Id<'a> {
    tls: bool,
    name: &'a str,
    port: &'a str,
}

impl<'a> Id<'a> {
    fn parse(id: &'a str, what: &str) -> Result<Self, Status> {
        let parts: Vec<&str> = id.split(':').collect();
        let (scheme, name, port) = match parts.as_slice() {
            [name] => ("", *name, ""),
            [name, port] => ("", *name, *port),
            [scheme, name, port] => (*scheme, *name, *port),
            _ => ("?", "", ""),
        };
        if name.is_empty() || !matches!(scheme, "" | "http" | "https") {
            return Err(Status::bad_request(format!("invalid {what} request {id:?}")));
        }
        Ok(Self { tls: scheme == "https", name, port })
    }
}

/// Where a proxied request goes.
pub(super) async fn of_proxy(scope: &Scope, path: String) -> Result<Target, Status> {
    match scope.resource() {
        "pods" => pod(scope, path).await,
        "services" => service(scope, path).await,
        _ => node(scope, path).await,
    }
}

/// Pods and services are reached by addresses, which no certificate is for.
fn any_server(tls: bool) -> Result<Option<Arc<rustls::ClientConfig>>, Status> {
    let insecure = ClientConfig { insecure_skip_tls_verify: true, ..ClientConfig::default() };
    tls.then(|| settings(&insecure)).transpose()
}

fn settings(config: &ClientConfig) -> Result<Arc<rustls::ClientConfig>, Status> {
    let mut tls = client_tls(config).map_err(Status::internal)?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
}

/// An address that may be connected to: not the server's own machine, and none that means something else to each machine.
fn proxyable(ip: Option<&str>) -> Result<IpAddr, Status> {
    let not_allowed = || Status::bad_request("address not allowed");
    let ip: IpAddr = ip.and_then(|ip| ip.parse().ok()).ok_or_else(not_allowed)?;
    let own = match ip {
        IpAddr::V4(v4) => {
            (v4.is_loopback() && !LOOPBACK_PODS.contains(&v4)) || v4.is_link_local() || v4.octets()[..3] == [224, 0, 0]
        }
        IpAddr::V6(v6) => {
            let first = v6.segments()[0];
            v6.is_loopback() || first & 0xffc0 == 0xfe80 || matches!(first & 0xff0f, 0xff01 | 0xff02)
        }
    };
    if own || ip.is_unspecified() { Err(not_allowed()) } else { Ok(ip) }
}

async fn pod(scope: &Scope, path: String) -> Result<Target, Status> {
    let id = Id::parse(&scope.name, "pod")?;
    let pod = super::find(&Scope { name: id.name.to_owned(), ..scope.clone() }).await?;
    let first_port = || {
        let containers = object::list_at(&pod, &["spec", "containers"]);
        let ports = containers.iter().find_map(|container| object::list_at(container, &["ports"]).first());
        ports.and_then(|port| object::i64_at(port, &["containerPort"])).map(|port| port.to_string())
    };
    let port = if id.port.is_empty() { first_port().unwrap_or_default() } else { id.port.to_owned() };
    let port = match port.as_str() {
        "" => {
            if id.tls {
                443
            } else {
                80
            }
        }
        port => port.parse().map_err(|_| Status::bad_request(format!("invalid pod request {:?}", scope.name)))?,
    };
    let ip = proxyable(object::str_at(&pod, &["status", "podIP"]))?;
    Ok(Target { tls: any_server(id.tls)?, host: ip.to_string(), port, path })
}

async fn service(scope: &Scope, path: String) -> Result<Target, Status> {
    let id = Id::parse(&scope.name, "service")?;
    let service = super::find(&Scope { name: id.name.to_owned(), ..scope.clone() }).await?;
    let port_name = match id.port.parse::<i64>() {
        Ok(number) => resolve::port_name(&service, number)?,
        Err(_) => id.port.to_owned(),
    };
    let mut found = resolve::ready(&scope.server, &scope.namespace, id.name, &port_name).await?;
    // Any of them will do; the first that is a pod's is taken from a random place on.
    let start = if found.is_empty() { 0 } else { rand::random::<u32>() as usize % found.len() };
    found.rotate_left(start);
    for ready in found {
        if let Ok(ip) = proxyable(Some(&ready.address))
            && is_of_pod(scope, &ready).await
        {
            return Ok(Target { tls: any_server(id.tls)?, host: ip.to_string(), port: ready.port, path });
        }
    }
    Err(Status::unavailable(format!("no endpoints available for service {:?}", scope.name)))
}

/// Whether an endpoint's address is that of the pod it refers to: whoever may write endpoints may not point the server at
/// other machines by that.
async fn is_of_pod(scope: &Scope, ready: &Ready) -> bool {
    let address = ready.address.as_str();
    let target = |field: &str| object::str_at(&ready.target, &[field]).unwrap_or("");
    if target("kind") != "Pod" {
        return false;
    }
    let Ok(Some(pod)) = scope.server.read("", "v1", "pods", &scope.namespace, target("name")).await else {
        return false;
    };
    let mut ips = object::list_at(&pod, &["status", "podIPs"]).iter().filter_map(|ip| object::str_at(ip, &["ip"]));
    object::str_at(&pod, &["status", "podIP"]) == Some(address) || ips.any(|ip| ip == address)
}

async fn node(scope: &Scope, path: String) -> Result<Target, Status> {
    let id = Id::parse(&scope.name, "node")?;
    let mut target = kubelet(scope, id.name, path, false).await?;
    let asked = match id.port {
        "" => target.port,
        port => port.parse().map_err(|_| Status::bad_request(format!("invalid node request {:?}", scope.name)))?,
    };
    if asked != target.port {
        // Some other server of the node: it is not to learn the credentials that kubelets are shown.
        proxyable(Some(&target.host))?;
        target = Target { tls: any_server(id.tls)?, port: asked, ..target };
    }
    Ok(target)
}

/// A node's kubelet.
pub(super) async fn kubelet(scope: &Scope, node: &str, path: String, any: bool) -> Result<Target, Status> {
    let found = scope.server.read("", "v1", "nodes", "", node).await?;
    let found = found.ok_or_else(|| Status::not_found("", "nodes", node))?;
    let addresses = object::list_at(&found, &["status", "addresses"]);
    let of_type = |kind: &str| {
        let is = |address: &&Value| object::str_at(address, &["type"]) == Some(kind);
        addresses.iter().find(is).and_then(|address| object::str_at(address, &["address"]))
    };
    let host = ["InternalIP", "Hostname", "ExternalIP"].into_iter().find_map(of_type);
    let host = host.ok_or_else(|| {
        let known = addresses.iter().filter_map(|address| object::str_at(address, &["address"]));
        Status::failure(
            500,
            "",
            format!("no preferred addresses found; known addresses: [{}]", known.collect::<Vec<_>>().join(" ")),
        )
    })?;
    let port = object::i64_at(&found, &["status", "daemonEndpoints", "kubeletEndpoint", "Port"]);
    let port = port.and_then(|port| u16::try_from(port).ok()).filter(|port| *port > 0).unwrap_or(KUBELET_PORT);
    Ok(Target { tls: Some(kubelet_tls(scope, any).await?), host: host.to_owned(), port, path })
}

/// The server's own client certificate, and the CA that kubelets' certificates are of.
async fn kubelet_tls(scope: &Scope, any: bool) -> Result<Arc<rustls::ClientConfig>, Status> {
    let ca = match &scope.server.config.kubelet_certificate_authority {
        Some(path) => {
            tokio::fs::read(path).await.map_err(|error| Status::internal(format!("{}: {error}", path.display())))?
        }
        None => scope.server.pki.ca_pem().as_bytes().to_vec(),
    };
    let identity = scope.server.pki.identity(Component::KubeletClient);
    settings(&ClientConfig {
        ca,
        insecure_skip_tls_verify: any,
        client_certificate: identity.certificate_pem.clone().into_bytes(),
        client_key: identity.key_pem.clone().into_bytes(),
        ..ClientConfig::default()
    })
}

#[cfg(test)]
mod tests;
