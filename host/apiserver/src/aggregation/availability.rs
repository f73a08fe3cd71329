//! Whether the server behind an APIService can be reached: its Service and the Service's endpoints are there, and it
//! answers for the version.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use http::Request;
use portcullis_machinery::{Status, Value, object};
use serde_json::json;
use tokio::task::JoinSet;

use super::{Service, condition, fetch, proxy};
use crate::handlers::scope::{cache_of, store_error};
use crate::outbound::{Where, resolve};
use crate::server::ApiServer;

/// How long the server has for its answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// How many requests are sent at once: one of many endpoints that answers is enough.
const ATTEMPTS: usize = 5;

/// The condition `Available`, without its time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    /// `True`, `False` or `Unknown`.
    pub status: &'static str,
    /// Why.
    pub reason: &'static str,
    /// In words.
    pub message: String,
}

impl Outcome {
    fn new(status: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, reason, message: message.into() }
    }

    /// That of an APIService which is served here.
    pub(super) fn local() -> Self {
        Self::new("True", "Local", "Local APIServices are always available")
    }

    /// Whether an APIService's status says so already.
    pub(super) fn is_in(&self, object: &Value) -> bool {
        let text = |found: &Value, field: &str| object::str_at(found, &[field]).unwrap_or_default().to_owned();
        condition(object).is_some_and(|found| {
            (text(found, "status"), text(found, "reason"), text(found, "message"))
                == (self.status.to_owned(), self.reason.to_owned(), self.message.clone())
        })
    }

    /// An APIService whose status says so. The time of the last change stays if it is the same as before.
    pub(super) fn put_in(&self, object: &Value) -> Value {
        let mut object = object.clone();
        if self.is_in(&object) {
            return object;
        }
        let since = condition(&object).filter(|found| object::str_at(found, &["status"]) == Some(self.status));
        let since = since.and_then(|found| object::str_at(found, &["lastTransitionTime"])).map(str::to_owned);
        let fresh = json!({
            "type": "Available", "status": self.status, "reason": self.reason, "message": self.message,
            "lastTransitionTime": since.unwrap_or_else(object::now_rfc3339),
        });
        let mut conditions = object::list_at(&object, &["status", "conditions"]).to_vec();
        match conditions.iter_mut().find(|found| object::str_at(found, &["type"]) == Some("Available")) {
            Some(found) => *found = fresh,
            None => conditions.push(fresh),
        }
        object::set_at(&mut object, &["status", "conditions"], conditions);
        object
    }
}

/// Checks one.
pub(super) async fn check(server: &Arc<ApiServer>, service: &Service) -> Outcome {
    let Ok(destination) = &service.destination else {
        let why = service.destination.as_ref().err().cloned().unwrap_or_default();
        return Outcome::new("False", "FailedDiscoveryCheck", why);
    };
    let Where::Service { namespace, name, port, .. } = &destination.place else { return Outcome::local() };
    match objects(server, namespace, name, *port).await {
        Ok(None) => {}
        Ok(Some(outcome)) => return outcome,
        Err(status) => {
            let message = format!("service/{name} in {namespace:?} cannot be checked due to: {}", status.message);
            return Outcome::new("Unknown", "ServiceAccessError", message);
        }
    }
    match discovery(server, service, (namespace, name, *port)).await {
        Ok(()) => Outcome::new("True", "Passed", "all checks passed"),
        Err(why) => Outcome::new("False", "FailedDiscoveryCheck", why),
    }
}

/// What is wrong with the Service or its endpoints, if anything.
async fn objects(server: &Arc<ApiServer>, namespace: &str, name: &str, port: u16) -> Result<Option<Outcome>, Status> {
    let missing = |reason, message| Ok(Some(Outcome::new("False", reason, message)));
    let Some(service) = server.read("", "v1", "services", namespace, name).await? else {
        return missing("ServiceNotFound", format!("service/{name} in {namespace:?} is not present"));
    };
    if object::str_at(&service, &["spec", "type"]).unwrap_or("ClusterIP") != "ClusterIP" {
        return Ok(None);
    }
    let ports = object::list_at(&service, &["spec", "ports"]);
    let listening = ports.iter().find(|found| object::i64_at(found, &["port"]) == Some(i64::from(port)));
    let Some(listening) = listening else {
        let message = format!("service/{name} in {namespace:?} is not listening on port {port}");
        return missing("ServicePortError", message);
    };
    let port_name = object::str_at(listening, &["name"]).unwrap_or_default();
    let slices = slices(server, namespace, name).await?;
    if slices.is_empty() {
        let message = format!("cannot find endpointslices for service/{name} in {namespace:?}");
        return missing("EndpointsNotFound", message);
    }
    if !slices.iter().any(|slice| has_address(slice, port_name)) {
        let message = format!(
            "endpointslices for service/{name} in {namespace:?} have no addresses with port name {port_name:?}"
        );
        return missing("MissingEndpoints", message);
    }
    Ok(None)
}

async fn slices(server: &Arc<ApiServer>, namespace: &str, service: &str) -> Result<Vec<Arc<Value>>, Status> {
    let registry = server.registry.load_full();
    let definition = registry
        .resource("discovery.k8s.io", "v1", "endpointslices")
        .ok_or_else(|| Status::internal("endpointslices are not served"))?;
    let all = cache_of(server, definition).snapshot(None).await.map_err(|error| store_error(&error))?;
    let prefix = definition.key_prefix(Some(namespace));
    let found = all.under(&prefix, None).map(|found| found.value());
    Ok(found.filter(|slice| object::label(slice, "kubernetes.io/service-name") == Some(service)).collect())
}

fn has_address(slice: &Value, port_name: &str) -> bool {
    let ready = |endpoint: &Value| object::get_at(endpoint, &["conditions", "ready"]) != Some(&Value::Bool(false));
    let named = |port: &Value| {
        object::str_at(port, &["name"]).unwrap_or_default() == port_name && object::i64_at(port, &["port"]).is_some()
    };
    object::list_at(slice, &["endpoints"]).iter().any(ready) && object::list_at(slice, &["ports"]).iter().any(named)
}

/// Asks for the version's discovery, several times at once.
async fn discovery(server: &Arc<ApiServer>, service: &Service, place: (&str, &str, u16)) -> Result<(), String> {
    let mut attempts = JoinSet::new();
    for _ in 0..ATTEMPTS {
        let (server, service) = (Arc::clone(server), service.clone());
        let (namespace, name, port) = (place.0.to_owned(), place.1.to_owned(), place.2);
        attempts.spawn(async move {
            let (host, port) =
                resolve::resolve(&server, &namespace, &name, port).await.map_err(|status| status.message)?;
            let authority = portcullis_client::transport::authority(&host, port);
            attempt(&server, &service, &format!("https://{authority}{}", service.path())).await
        });
    }
    let mut last = String::new();
    while let Some(outcome) = attempts.join_next().await {
        match outcome {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(why)) => last = why,
            Err(failed) => last = failed.to_string(),
        }
    }
    Err(last)
}

/// `url` is what people are told about.
async fn attempt(server: &Arc<ApiServer>, service: &Service, url: &str) -> Result<(), String> {
    let failed = |why: String| format!("failing or missing response from {url}: {why}");
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = service.path().parse().map_err(|_| failed("invalid path".to_owned()))?;
    let answer = tokio::time::timeout(TIMEOUT, proxy::send(server, service, &fetch::aggregator(), request)).await;
    match answer {
        Ok(Ok(response)) if response.status().is_success() => Ok(()),
        Ok(Ok(response)) => Err(failed(format!("bad status from {url}: {}", response.status().as_u16()))),
        Ok(Err(why)) => Err(failed(format!("Get {url:?}: {why}"))),
        Err(_) => {
            let why = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)";
            Err(failed(format!("Get {url:?}: {why}")))
        }
    }
}

#[cfg(test)]
mod tests;
