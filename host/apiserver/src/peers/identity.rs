//! The server's Lease in `kube-system`, which says who it is and that it lives (KEP-1965). Those of servers that have not
//! been heard of for an hour are deleted.

use std::sync::Arc;
use std::time::Duration;

use portcullis_machinery::{Status, Value, object};
use portcullis_storage::{Expect, StoreError};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio_util::sync::CancellationToken;

use crate::customresources::internal;
use crate::handlers::options::WriteOptions;
use crate::handlers::scope::{cache_of, store_error};
use crate::handlers::{update, write};
use crate::server::ApiServer;
use crate::server_config::host_name;

const GROUP: &str = "coordination.k8s.io";
const NAMESPACE: &str = "kube-system";
const LABEL: &str = "apiserver.kubernetes.io/identity";
/// How often the Lease is renewed.
const EVERY: Duration = Duration::from_secs(10);
/// How long a Lease is good for, in seconds, and how often the others' are looked at.
const LASTS: u64 = 3600;

/// The name of this machine's server: `apiserver-` and a digest of the host's name, in base 32.
fn name_of(host: &str) -> String {
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let digest = Sha256::digest(host.as_bytes());
    let (mut name, mut bits, mut count) = (String::from("apiserver-"), 0_u32, 0);
    let mut push = |five: u32| name.push(char::from(DIGITS[(five & 31) as usize]));
    for byte in &digest[..16] {
        bits = bits << 8 | u32::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            push(bits >> count);
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        push(bits << (5 - count));
    }
    name
}

/// Keeps the Lease until the server stops.
pub(super) async fn run(server: Arc<ApiServer>, shutdown: CancellationToken) {
    let host = host_name();
    let name = name_of(&host);
    let holder = format!("{name}_{}", uuid::Uuid::new_v4());
    let (mut tick, per_hour) = (0_u64, LASTS / EVERY.as_secs());
    loop {
        if let Err(status) = renew(&server, &host, &name, &holder).await {
            tracing::warn!(error = status.message, "the server's own Lease cannot be renewed");
        }
        if tick % per_hour == 0 {
            collect(&server).await;
        }
        tick += 1;
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

async fn renew(server: &Arc<ApiServer>, host: &str, name: &str, holder: &str) -> Result<(), Status> {
    let registry = server.registry.load_full();
    let Some(resource) = registry.resource(GROUP, "v1", "leases") else { return Ok(()) };
    let options = WriteOptions { field_manager: "kube-apiserver".to_owned(), ..WriteOptions::default() };
    let now = object::now_micro();
    if server.read(GROUP, "v1", "leases", NAMESPACE, name).await?.is_none() {
        let scope = internal::scope(server, resource, "", NAMESPACE, name, "create");
        let lease = json!({
            "kind": "Lease", "apiVersion": "coordination.k8s.io/v1",
            "metadata": {
                "name": name, "namespace": NAMESPACE,
                "labels": {LABEL: "kube-apiserver", "kubernetes.io/hostname": host},
            },
            "spec": {"holderIdentity": holder, "leaseDurationSeconds": LASTS, "renewTime": now},
        });
        let kind = json!({"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"});
        return match write::create(&scope, lease, &options, kind).await {
            Err(status) if status.reason == "AlreadyExists" => Ok(()),
            result => result.map(drop),
        };
    }
    let scope = internal::scope(server, resource, "", NAMESPACE, name, "update");
    let (host, holder) = (host.to_owned(), holder.to_owned());
    let change = move |found: &Value| {
        let mut lease = found.clone();
        object::set_at(&mut lease, &["metadata", "labels", LABEL], "kube-apiserver");
        object::set_at(&mut lease, &["metadata", "labels", "kubernetes.io/hostname"], host.as_str());
        object::set_at(&mut lease, &["spec", "holderIdentity"], holder.as_str());
        object::set_at(&mut lease, &["spec", "leaseDurationSeconds"], LASTS);
        object::set_at(&mut lease, &["spec", "renewTime"], now.as_str());
        Ok(lease)
    };
    update::apply(&scope, &update::Source::Change(Box::new(change)), &options).await.map(drop)
}

/// Whether a Lease has not been renewed for as long as it is good for.
fn is_over(lease: &Value, now: jiff::Timestamp) -> bool {
    let renewed = object::str_at(lease, &["spec", "renewTime"]).and_then(|time| time.parse::<jiff::Timestamp>().ok());
    let lasts = object::i64_at(lease, &["spec", "leaseDurationSeconds"]);
    renewed.zip(lasts).is_none_or(|(renewed, lasts)| now.as_second() - renewed.as_second() > lasts)
}

/// Deletes the Leases of servers that are gone.
async fn collect(server: &Arc<ApiServer>) {
    let registry = server.registry.load_full();
    let Some(resource) = registry.resource(GROUP, "v1", "leases") else { return };
    let cache = cache_of(server, resource);
    let now = jiff::Timestamp::now();
    let over: Vec<(String, u64)> = cache
        .peek()
        .objects
        .iter()
        .filter(|(_, cached)| {
            let lease = cached.value();
            object::namespace(&lease) == NAMESPACE
                && object::str_at(&lease, &["metadata", "labels", LABEL]) == Some("kube-apiserver")
                && is_over(&lease, now)
        })
        .map(|(key, cached)| (key.to_string(), cached.revision))
        .collect();
    for (key, revision) in over {
        match server.store.delete(&key, Expect::ModRevision(revision)).await {
            // One that was renewed meanwhile is not over.
            Ok(_) | Err(StoreError::NotFound | StoreError::Conflict { .. }) => {}
            Err(error) => tracing::warn!(key, error = store_error(&error).message, "an old Lease cannot be deleted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        // Made with `printf HOST | sha256sum`, and the first sixteen bytes with `base32`.
        let check = |host: &str, wanted: &str| assert_eq!(name_of(host), wanted, "{host}");
        check("localhost", "apiserver-jgla3zmib2ggq5buc4hwi5talm");
        check("node-1", "apiserver-gwlrxzxjxmbevckvql7a4qxaja");
    }

    #[test]
    fn what_is_over() {
        let now: jiff::Timestamp = "2026-01-01T02:00:00Z".parse().expect("a time");
        let check = |spec: Value, wanted: bool| assert_eq!(is_over(&json!({"spec": spec}), now), wanted, "{spec}");
        check(json!({"renewTime": "2026-01-01T01:30:00.000000Z", "leaseDurationSeconds": 3600}), false);
        check(json!({"renewTime": "2026-01-01T00:59:59.000000Z", "leaseDurationSeconds": 3600}), true);
        check(json!({"renewTime": "2026-01-01T01:30:00.000000Z"}), true);
        check(json!({"leaseDurationSeconds": 3600}), true);
    }
}
