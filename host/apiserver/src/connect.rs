//! Requests that go on to a node's kubelet: logs, exec, attach, port-forward, and the node's proxy. The server speaks
//! HTTPS to the node with its own client certificate; upgraded connections are piped.

use std::sync::Arc;

use axum::body::Body;
use http::header::{CONNECTION, HOST, HeaderValue, UPGRADE};
use http::{Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use portcullis_machinery::{Status, Value, object};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::admission::Operation;
use crate::handlers::{Scope, get};
use crate::pki::Component;
use crate::request_info::first;

const KUBELET_PORT: i64 = 10250;

/// Passes the request on and answers with what the kubelet answers.
///
/// # Errors
/// 400 for a pod without a node or a container that is not named, 404, 502 if the node cannot be reached.
pub async fn connect(scope: &Scope, request: Request<Body>) -> Result<Response<Body>, Status> {
    let found = get::find(&Scope { query: Vec::new(), ..scope.clone() }).await?.value();
    let (node, path) = match scope.resource() {
        "nodes" => (scope.name.clone(), rest_of_path(&request, "proxy")),
        "pods" if scope.sub() != "proxy" => pod_path(scope, &found)?,
        _ => {
            let why = format!("the {} of {} are not passed on", scope.sub(), scope.resource());
            return Err(Status::failure(501, "NotImplemented", why));
        }
    };
    let mut attributes = scope.attributes(Operation::Connect, &scope.name, false, Value::Null);
    attributes.old_object = Some(found);
    let mut admitted = options_object(scope);
    scope.server.admission.mutate(&scope.cx, &attributes, &mut admitted).await?;
    scope.server.admission.validate(&scope.cx, &attributes, &Arc::new(admitted)).await?;
    let (host, port) = address_of(scope, &node).await?;
    let query = request.uri().query().map(|query| format!("?{query}")).unwrap_or_default();
    pass_on(scope, request, &host, port, &format!("{path}{query}"))
        .await
        .map_err(|why| Status::failure(502, "", format!("dial tcp {host}:{port}: {why}")))
}

fn options_object(scope: &Scope) -> Value {
    let kind = scope.subresource.as_ref().map_or("", |sub| sub.kind.as_str());
    let kind = if scope.sub() == "log" { "PodLogOptions" } else { kind };
    let mut options = json!({"kind": kind, "apiVersion": "v1"});
    for (key, value) in &scope.query {
        options[key.as_str()] = match value.as_str() {
            "true" | "1" => true.into(),
            "false" | "0" => false.into(),
            text => text.into(),
        };
    }
    options
}

fn rest_of_path(request: &Request<Body>, after: &str) -> String {
    let path = request.uri().path();
    let marker = format!("/{after}");
    let rest = path.rfind(&marker).map_or("", |at| &path[at + marker.len()..]);
    if rest.is_empty() { "/".to_owned() } else { rest.to_owned() }
}

/// The pod's node, and the kubelet's path for the request.
fn pod_path(scope: &Scope, pod: &Value) -> Result<(String, String), Status> {
    let (namespace, name) = (&scope.namespace, &scope.name);
    let node = object::str_at(pod, &["spec", "nodeName"]).unwrap_or("").to_owned();
    let kind = match scope.sub() {
        "log" => "containerLogs",
        "portforward" => "portForward",
        sub => sub,
    };
    if scope.sub() == "portforward" {
        if node.is_empty() {
            return Err(Status::bad_request(format!("pod {name} does not have a host assigned")));
        }
        return Ok((node, format!("/{kind}/{namespace}/{name}")));
    }
    let containers: Vec<&str> = ["containers", "initContainers", "ephemeralContainers"]
        .iter()
        .flat_map(|list| object::list_at(pod, &["spec", list]))
        .filter_map(|container| container.get("name")?.as_str())
        .collect();
    let main = object::list_at(pod, &["spec", "containers"]);
    let container = match first(&scope.query, "container").filter(|name| !name.is_empty()) {
        Some(given) if containers.contains(&given) => given.to_owned(),
        Some(given) => {
            return Err(Status::bad_request(format!("container {given} is not valid for pod {name}")));
        }
        None if main.len() == 1 => main.first().and_then(|c| c.get("name")?.as_str()).unwrap_or("").to_owned(),
        None => {
            let names: Vec<&str> = main.iter().filter_map(|c| c.get("name")?.as_str()).collect();
            return Err(Status::bad_request(format!(
                "a container name must be specified for pod {name}, choose one of: [{}]",
                names.join(" ")
            )));
        }
    };
    if node.is_empty() {
        return Err(Status::bad_request(format!("pod {name} does not have a host assigned")));
    }
    Ok((node, format!("/{kind}/{namespace}/{name}/{container}")))
}

async fn address_of(scope: &Scope, node: &str) -> Result<(String, u16), Status> {
    let found = scope.server.read("", "v1", "nodes", "", node).await?;
    let found = found.ok_or_else(|| Status::not_found("", "nodes", node))?;
    let addresses = object::list_at(&found, &["status", "addresses"]);
    let of_type = |kind: &str| {
        let is = |address: &&Value| object::str_at(address, &["type"]) == Some(kind);
        addresses.iter().find(is).and_then(|address| address.get("address")?.as_str())
    };
    let host = of_type("InternalIP").or_else(|| of_type("Hostname")).or_else(|| of_type("ExternalIP")).unwrap_or(node);
    let port = object::i64_at(&found, &["status", "daemonEndpoints", "kubeletEndpoint", "Port"]);
    Ok((host.to_owned(), u16::try_from(port.unwrap_or(KUBELET_PORT)).unwrap_or(10250)))
}

fn tls(scope: &Scope) -> Result<TlsConnector, String> {
    let mut roots = rustls::RootCertStore::empty();
    let mut trust = |pem: &str| {
        for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()).flatten() {
            let _ = roots.add(certificate);
        }
    };
    match &scope.server.config.kubelet_certificate_authority {
        Some(path) => trust(&std::fs::read_to_string(path).map_err(|error| error.to_string())?),
        None => trust(scope.server.pki.ca_pem()),
    }
    let identity = scope.server.pki.identity(Component::KubeletClient);
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes()).map_err(|error| error.to_string())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_client_auth_cert(identity.chain.clone(), key)
        .map_err(|error| error.to_string())?;
    Ok(TlsConnector::from(Arc::new(config)))
}

async fn pass_on(
    scope: &Scope,
    mut request: Request<Body>,
    host: &str,
    port: u16,
    target: &str,
) -> Result<Response<Body>, String> {
    let tcp = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| error.to_string())?;
    let stream = tls(scope)?.connect(name, tcp).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        if let Err(error) = connection.with_upgrades().await {
            tracing::debug!(%error, "the connection to a kubelet ended");
        }
    });
    let upgrade = request.headers().get(UPGRADE).cloned();
    let client = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
    let (mut parts, body) = request.into_parts();
    parts.uri = target.parse::<Uri>().map_err(|error| error.to_string())?;
    parts.version = http::Version::HTTP_11;
    parts.headers.remove(http::header::AUTHORIZATION);
    let impersonation: Vec<_> =
        parts.headers.keys().filter(|name| name.as_str().starts_with("impersonate-")).cloned().collect();
    for name in impersonation {
        parts.headers.remove(name);
    }
    if let Ok(value) = HeaderValue::from_str(&format!("{host}:{port}")) {
        parts.headers.insert(HOST, value);
    }
    if upgrade.is_some() {
        parts.headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    }
    let mut onward = Request::new(body);
    (*onward.method_mut(), *onward.uri_mut(), *onward.headers_mut()) = (parts.method, parts.uri, parts.headers);
    let mut response = sender.send_request(onward).await.map_err(|error| error.to_string())?;
    if response.status() == StatusCode::SWITCHING_PROTOCOLS
        && let Some(client) = client
    {
        let kubelet = hyper::upgrade::on(&mut response);
        tokio::spawn(async move {
            let (Ok(client), Ok(kubelet)) = tokio::join!(client, kubelet) else { return };
            let (mut client, mut kubelet) = (TokioIo::new(client), TokioIo::new(kubelet));
            let _ = tokio::io::copy_bidirectional(&mut client, &mut kubelet).await;
        });
    }
    let (parts, body) = response.into_parts();
    Ok(Response::from_parts(parts, Body::new(body)))
}
