//! ComponentStatuses: nothing is stored under that name. They are made up when somebody asks.
//!
//! The reference asks the scheduler and the controller manager at fixed ports of its own host. Where those run here is
//! not known to the server, so it speaks for what it knows: the store, under the name that probes look for.

use std::sync::Arc;

use axum::body::Body;
use http::Response;
use portcullis_machinery::{Status, Value};
use serde_json::json;

use super::Scope;
use super::list::respond_values;
use super::options::ListOptions;
use super::transform::respond_object;
use crate::health::store_health;

/// Answers GET of one, and LIST.
///
/// # Errors
/// 404 for a component that is not known; 400 for options that are none.
pub async fn serve(scope: &Scope) -> Result<Response<Body>, Status> {
    let store = component("etcd-0", store_health(&scope.server).await);
    if scope.name.is_empty() {
        let options = ListOptions::read(&scope.query, &scope.definition, false)?;
        let mut components = vec![Arc::new(store)];
        components.retain(|component| {
            let field = |field: &str| component["metadata"]["name"].as_str().filter(|_| field == "metadata.name");
            options.labels.matches_object(component) && options.fields.matches(field)
        });
        return respond_values(scope, &components, json!({}));
    }
    if scope.name == "etcd-0" {
        return respond_object(scope, 200, &store);
    }
    Err(scope.not_found())
}

fn component(name: &str, health: Result<(), String>) -> Value {
    let condition = match health {
        Ok(()) => json!({"type": "Healthy", "status": "True", "message": "ok"}),
        Err(error) => json!({"type": "Healthy", "status": "False", "error": error}),
    };
    json!({"kind": "ComponentStatus", "apiVersion": "v1", "metadata": {"name": name}, "conditions": [condition]})
}
