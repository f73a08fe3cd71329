//! Reservations of node ports between servers that share a store.
//!
//! A server that hands a port out first makes an entry for it, which only one can make, and then looks at the services as
//! they are once its cache has that entry. Whoever had the port before has removed its own entry only after its service
//! was stored, so that the service is seen; whoever has it now has the entry. A server that dies leaves entries that end
//! by themselves, and a service that is gone leaves nothing. (The reference keeps a bitmap of all ports in one object and
//! repairs it now and then; it makes it anew from the services when it does not find one.)

use std::collections::HashSet;
use std::time::Duration;

use bytes::Bytes;
use portcullis_machinery::Status;
use portcullis_storage::{Expect, StoreError};

use super::ports;
use crate::handlers::Scope;
use crate::handlers::scope::store_error;

const PREFIX: &str = "/registry/portcullis.dev/nodeports/";
/// How much longer than a request an entry lasts whose server has died.
const BEYOND: Duration = Duration::from_secs(30);

fn key(port: i64) -> String {
    format!("{PREFIX}{port}")
}

/// Reserves all ports, or none: then it gives those that others have.
///
/// # Errors
/// If the store fails.
pub(super) async fn reserve(scope: &Scope, ports: &[i64]) -> Result<Vec<i64>, Status> {
    if ports.is_empty() {
        return Ok(Vec::new());
    }
    let lasts = scope.server.config.request_timeout + BEYOND;
    let (mut refused, mut got) = (Vec::new(), Vec::new());
    for port in ports {
        match scope.server.store.put(&key(*port), Bytes::from_static(b"{}"), Expect::Absent, Some(lasts)).await {
            Ok(_) => got.push(*port),
            Err(StoreError::Conflict { .. }) => refused.push(*port),
            Err(error) => {
                release(scope, &got).await;
                return Err(store_error(&error));
            }
        }
    }
    if let Err(error) = scope.server.hub.wait_consistent().await {
        release(scope, &got).await;
        return Err(store_error(&error));
    }
    let used: HashSet<i64> = ports::of_services(scope);
    refused.extend(got.iter().filter(|port| used.contains(port)));
    if !refused.is_empty() {
        release(scope, &got).await;
    }
    Ok(refused)
}

/// Ends reservations.
pub(super) async fn release(scope: &Scope, ports: &[i64]) {
    for port in ports {
        match scope.server.store.delete(&key(*port), Expect::Any).await {
            Ok(_) | Err(StoreError::NotFound) => {}
            Err(error) => tracing::warn!(port, %error, "a reservation of a node port stays until its time is over"),
        }
    }
}
