//! ComponentStatuses: nothing is stored under that name. They are made up when somebody asks, of what the components say of
//! themselves: the store, under the name that probes look for, and the scheduler and the controllers at their ports on this
//! machine, as in the reference.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use futures::future::join_all;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Limited};
use portcullis_machinery::{Status, Value};
use serde_json::json;

use super::Scope;
use super::list::respond_values;
use super::options::ListOptions;
use super::transform::respond_object;
use crate::health::store_health;
use crate::outbound::{Destination, Trust, Where};
use crate::server::ApiServer;

/// How long a component has for its answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The components, as they are listed.
const NAMES: [&str; 3] = ["etcd-0", "scheduler", "controller-manager"];

/// Answers GET of one, and LIST.
///
/// # Errors
/// 404 for a component that is not known; 400 for options that are none.
pub async fn serve(scope: &Scope) -> Result<Response<Body>, Status> {
    let server = &scope.server;
    if scope.name.is_empty() {
        let options = ListOptions::read(&scope.query, &scope.definition, false)?;
        let mut components: Vec<Arc<Value>> =
            join_all(NAMES.map(|name| component(server, name))).await.into_iter().map(Arc::new).collect();
        components.retain(|component| {
            let field = |field: &str| component["metadata"]["name"].as_str().filter(|_| field == "metadata.name");
            options.labels.matches_object(component) && options.fields.matches(field)
        });
        return respond_values(scope, &components, json!({}));
    }
    match NAMES.iter().find(|name| **name == scope.name) {
        Some(name) => respond_object(scope, 200, &component(server, name).await),
        None => Err(scope.not_found()),
    }
}

async fn component(server: &Arc<ApiServer>, name: &str) -> Value {
    let (health, told) = match name {
        "scheduler" => (ask(server, server.config.scheduler_port).await, "message"),
        "controller-manager" => (ask(server, server.config.controller_manager_port).await, "message"),
        _ => (store_health(server).await.map(|()| "ok".to_owned()), "error"),
    };
    let condition = match health {
        Ok(said) => json!({"type": "Healthy", "status": "True", "message": said}),
        Err(why) => json!({"type": "Healthy", "status": "False", told: why}),
    };
    json!({"kind": "ComponentStatus", "apiVersion": "v1", "metadata": {"name": name}, "conditions": [condition]})
}

/// What a component on this machine says of itself. Its certificate is of its own making, and nothing is told to it.
async fn ask(server: &Arc<ApiServer>, port: u16) -> Result<String, String> {
    let url = format!("https://127.0.0.1:{port}/healthz");
    let trust = Trust { insecure: true, ..Trust::default() };
    let destination = Destination { place: Where::Url(url.clone()), trust };
    let exchange = async {
        let mut request = Request::new(Body::empty());
        *request.uri_mut() = url.parse().map_err(|error: http::uri::InvalidUri| error.to_string())?;
        let response = server.outbound.send(server, &destination, request).await?;
        let well = response.status().is_success();
        let said = Limited::new(response.into_body(), 10 << 10).collect().await.map_err(|error| error.to_string())?;
        let said = String::from_utf8_lossy(&said.to_bytes()).into_owned();
        Ok::<Result<String, String>, String>(if well { Ok(said) } else { Err(said) })
    };
    match tokio::time::timeout(TIMEOUT, exchange).await {
        Ok(Ok(said)) => said,
        Ok(Err(why)) => Err(format!("Get {url:?}: {why}")),
        Err(_) => Err(format!("Get {url:?}: context deadline exceeded")),
    }
}
