//! Which servers the cluster has.
//!
//! The service `default/kubernetes` leads to every server that is ready. Where several servers may share the store, each
//! says every [`EVERY`] that it is there by an entry under [`LEASES`] with a time to live, and each sees to it that the
//! service's endpoints are the addresses of these entries: a server that has died leaves them by itself. Key, value and
//! times are those of the reference, so that its servers and these ones can stand side by side during a move.
//!
//! [`identity`] is the other sign of life, a Lease that people and controllers read.

mod identity;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use portcullis_machinery::codec::{self, Media};
use portcullis_machinery::{Status, Value, object};
use portcullis_storage::{Expect, RangeRequest, StoreError};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::handlers::scope::store_error;
use crate::server::ApiServer;
use crate::system_objects;

/// Where servers say that they are there.
const LEASES: &str = "/registry/masterleases/";
/// How often they say so.
const EVERY: Duration = Duration::from_secs(10);
/// How long it is believed.
const TIME_TO_LIVE: Duration = Duration::from_secs(15);
/// How soon what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How long the end of the server may wait for leaving the endpoints.
const LEAVE_WITHIN: Duration = Duration::from_secs(2);
/// How often a write is tried that others are in the way of.
const TRIES: usize = 5;
const NAMESPACE: &str = "default";
const NAME: &str = "kubernetes";

/// Puts the server among the endpoints, keeps it there until it is about to end, and takes it out then.
pub async fn start(server: &Arc<ApiServer>, shutdown: &CancellationToken) {
    let first = reconcile(server).await;
    tokio::spawn(run(Arc::clone(server), shutdown.clone(), first));
    tokio::spawn(identity::run(Arc::clone(server), shutdown.clone()));
}

async fn run(server: Arc<ApiServer>, shutdown: CancellationToken, mut done: Result<(), Status>) {
    loop {
        if let Err(status) = &done {
            tracing::warn!(error = status.message, "the endpoints of {NAMESPACE}/{NAME} cannot be seen to");
        }
        tokio::select! {
            () = server.lifecycle.announced() => break,
            () = shutdown.cancelled() => break,
            () = tokio::time::sleep(if done.is_ok() { EVERY } else { RETRY }) => {}
        }
        done = reconcile(&server).await;
    }
    // Alone, the server has nobody to leave the endpoints to, and they are right again at its next start.
    if server.config.shared_store && tokio::time::timeout(LEAVE_WITHIN, leave(&server)).await.is_err() {
        tracing::warn!("the server could not leave the endpoints of {NAMESPACE}/{NAME} in time");
    }
}

fn key(address: IpAddr) -> String {
    format!("{LEASES}{address}")
}

/// The address in an entry. The reference writes Endpoints with one address, as JSON or in protobuf.
fn address_in(value: &Bytes) -> Option<IpAddr> {
    let media = if value.starts_with(b"k8s\0") { Media::Protobuf } else { Media::Json };
    let endpoints = codec::decode(value, media).ok()?.object;
    let subset = object::list_at(&endpoints, &["subsets"]).first()?;
    object::str_at(object::list_at(subset, &["addresses"]).first()?, &["ip"])?.parse().ok()
}

/// Says that this server is there.
async fn renew(server: &ApiServer, address: IpAddr) -> Result<(), Status> {
    // The number makes each value another one, as the reference has it.
    let number = server.store.revision().await.map_err(|error| store_error(&error))?;
    let entry = json!({
        "kind": "Endpoints", "apiVersion": "v1", "metadata": {"generation": number, "creationTimestamp": null},
        "subsets": [{"addresses": [{"ip": address.to_string()}]}],
    });
    let key = key(address);
    let put = server.store.put(&key, entry.to_string().into(), Expect::Any, Some(TIME_TO_LIVE));
    put.await.map(drop).map_err(|error| store_error(&error))
}

/// The addresses of the servers that are there.
async fn present(server: &ApiServer) -> Result<BTreeSet<IpAddr>, Status> {
    let range = server.store.range(RangeRequest::prefix(LEASES)).await.map_err(|error| store_error(&error))?;
    Ok(range.kvs.iter().filter_map(|kv| address_in(&kv.value)).collect())
}

async fn reconcile(server: &Arc<ApiServer>) -> Result<(), Status> {
    let own = server.config.advertised().ip();
    let addresses = if server.config.shared_store {
        renew(server, own).await?;
        present(server).await?
    } else {
        BTreeSet::from([own])
    };
    write_endpoints(server, &addresses).await
}

/// Takes the server out of the endpoints.
async fn leave(server: &Arc<ApiServer>) {
    let own = server.config.advertised().ip();
    let left = async {
        match server.store.delete(&key(own), Expect::Any).await {
            Ok(_) | Err(StoreError::NotFound) => {}
            Err(error) => return Err(store_error(&error)),
        }
        write_endpoints(server, &present(server).await?).await
    };
    if let Err(status) = left.await {
        tracing::warn!(error = status.message, "the server could not leave the endpoints of {NAMESPACE}/{NAME}");
    }
}

async fn write_endpoints(server: &Arc<ApiServer>, addresses: &BTreeSet<IpAddr>) -> Result<(), Status> {
    let port = json!({"name": "https", "port": server.config.advertised().port(), "protocol": "TCP"});
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    let list: Vec<Value> = texts.iter().map(|ip| json!({"ip": ip})).collect();
    let subsets = if list.is_empty() { json!([]) } else { json!([{"addresses": list, "ports": [port]}]) };
    let endpoints = json!({
        "kind": "Endpoints", "apiVersion": "v1",
        "metadata": {
            "name": NAME, "namespace": NAMESPACE, "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
        },
        "subsets": subsets,
    });
    put(server, "", "endpoints", endpoints, &["subsets"]).await?;
    let family = if addresses.iter().all(IpAddr::is_ipv6) && !addresses.is_empty() { "IPv6" } else { "IPv4" };
    let of_slice: Vec<Value> =
        texts.iter().map(|ip| json!({"addresses": [ip], "conditions": {"ready": true}})).collect();
    let slice = json!({
        "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": {"kubernetes.io/service-name": NAME}},
        "addressType": family, "endpoints": of_slice, "ports": [port],
    });
    put(server, "discovery.k8s.io", "endpointslices", slice, &["endpoints", "ports"]).await
}

/// Makes the object, or gives it these fields and labels if it has others. It goes to the store by itself: clients may not
/// name loopback addresses in endpoints, and the server may have no other.
async fn put(
    server: &Arc<ApiServer>,
    group: &str,
    plural: &str,
    wanted: Value,
    fields: &'static [&'static str],
) -> Result<(), Status> {
    let registry = server.registry.load_full();
    let Some(resource) = registry.resource(group, "v1", plural) else { return Ok(()) };
    let key = resource.key(NAMESPACE, NAME);
    for _ in 0..TRIES {
        let (found, _) = server.store.get(&key, None).await.map_err(|error| store_error(&error))?;
        let (before, expect) = match &found {
            Some(kv) => {
                let value: Value = serde_json::from_slice(&kv.value).map_err(Status::internal)?;
                (Some(value), Expect::ModRevision(kv.mod_revision))
            }
            None => (None, Expect::Absent),
        };
        let made = system_objects::prepared(resource, wanted.clone())?;
        let bytes = match before {
            None => codec::encode(&made),
            Some(before) => {
                let mut changed: Value = before.clone();
                for field in fields {
                    match made.get(*field) {
                        Some(value) => object::set_at(&mut changed, &[field], value.clone()),
                        None => drop(object::remove_at(&mut changed, &[field])),
                    }
                }
                for (key, value) in
                    object::get_at(&made, &["metadata", "labels"]).and_then(Value::as_object).into_iter().flatten()
                {
                    object::set_at(&mut changed, &["metadata", "labels", key], value.clone());
                }
                if changed == before {
                    return Ok(());
                }
                if resource.generation {
                    object::set_at(&mut changed, &["metadata", "generation"], object::generation(&before) + 1);
                }
                codec::encode(&changed)
            }
        };
        match server.store.put(&key, bytes, expect, None).await {
            Ok(_) => return Ok(()),
            // Another server was faster; it may have known of other servers.
            Err(StoreError::Conflict { .. }) => {}
            Err(error) => return Err(store_error(&error)),
        }
    }
    Err(Status::internal("others write at the same time, again and again"))
}
