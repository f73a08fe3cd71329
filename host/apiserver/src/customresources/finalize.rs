//! The end of a definition: its instances are deleted first, and the definition waits for them.

use std::sync::Arc;
use std::time::Duration;

use portcullis_machinery::definition::ResourceDefinition;
use portcullis_machinery::definition::custom::{self, stored_definition};
use portcullis_machinery::{Status, Value, object};
use tokio_util::sync::CancellationToken;

use super::{internal, names};
use crate::handlers::delete;
use crate::handlers::options::DeleteOptions;
use crate::handlers::scope::{cache_of, store_error};
use crate::server::ApiServer;

/// What holds a definition until its instances are gone.
pub const FINALIZER: &str = "customresourcecleanup.apiextensions.k8s.io";

/// How long to wait between looks at instances that are held by finalizers of their own: at first, and at most.
const WAIT: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// How long a definition ends before its instances are looked at: requests that found it before may still store one. It
/// is longer if somebody changes the definition meanwhile.
const SETTLE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

/// Marks a definition that is about to be deleted: it is held, and says that its instances go.
pub fn begin(crd: &mut Value) {
    if object::deletion_timestamp(crd).is_some() {
        return;
    }
    let mut finalizers: Vec<String> = object::finalizers(crd).map(str::to_owned).collect();
    if !finalizers.iter().any(|finalizer| finalizer == FINALIZER) {
        finalizers.push(FINALIZER.to_owned());
    }
    object::meta_mut(crd).insert("finalizers".into(), finalizers.into());
    let message = "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon";
    names::set_condition(crd, "Terminating", "True", "InstanceDeletionPending", message);
}

/// Whether a definition waits for its instances to be deleted.
pub fn is_pending(crd: &Value) -> bool {
    object::deletion_timestamp(crd).is_some() && object::finalizers(crd).any(|finalizer| finalizer == FINALIZER)
}

/// Deletes the instances, waits until they are gone, and lets the definition go.
///
/// # Errors
/// If the store fails, or somebody refuses the deletion.
pub async fn run(
    server: &Arc<ApiServer>,
    definitions: &Arc<ResourceDefinition>,
    crd: &Value,
    shutdown: &CancellationToken,
) -> Result<(), Status> {
    let name = object::name(crd);
    let in_progress = |crd: &Value| {
        let mut crd = crd.clone();
        let message = "CustomResource deletion is in progress";
        names::set_condition(&mut crd, "Terminating", "True", "InstanceDeletionInProgress", message);
        Ok(crd)
    };
    let marked = internal::change_status(server, definitions, name, Box::new(in_progress)).await?;
    tokio::time::sleep(SETTLE.0).await;
    let found = cache_of(server, definitions).get(&definitions.key("", name), None).await;
    let now = found.map_err(|error| store_error(&error))?.map(|found| found.revision.to_string());
    if now.is_some_and(|now| now != object::resource_version(&marked)) {
        tokio::time::sleep(SETTLE.1).await;
    }
    if let Some(instances) = stored_definition(crd) {
        remove_instances(server, &instances, shutdown).await?;
    }
    let done = |crd: &Value| {
        let (reason, message) = match custom::has_condition(crd, "Established") {
            true => ("InstanceDeletionCompleted", "removed all instances"),
            false => ("NeverEstablished", "resource was never established"),
        };
        let mut crd = crd.clone();
        names::set_condition(&mut crd, "Terminating", "False", reason, message);
        let rest: Vec<String> = object::finalizers(&crd).filter(|f| *f != FINALIZER).map(str::to_owned).collect();
        let metadata = object::meta_mut(&mut crd);
        if rest.is_empty() {
            metadata.remove("finalizers");
        } else {
            metadata.insert("finalizers".into(), rest.into());
        }
        Ok(crd)
    };
    internal::change_status(server, definitions, name, Box::new(done)).await.map(|_| ())
}

async fn remove_instances(
    server: &Arc<ApiServer>,
    definition: &Arc<ResourceDefinition>,
    shutdown: &CancellationToken,
) -> Result<(), Status> {
    let cache = cache_of(server, definition);
    let mut wait = WAIT.0;
    loop {
        let snapshot = cache.snapshot(None).await.map_err(|error| store_error(&error))?;
        if snapshot.objects.is_empty() {
            return Ok(());
        }
        let mut left = false;
        for instance in snapshot.objects.values() {
            if object::deletion_timestamp(&instance.value()).is_some() {
                left = true;
                continue;
            }
            let scope = internal::scope(server, definition, "", &instance.namespace, &instance.name, "delete");
            match delete::remove(&scope, &DeleteOptions::default()).await {
                Ok((_, gone)) => left |= !gone,
                Err(status) if status.is_not_found() => {}
                Err(status) => return Err(status),
            }
        }
        if left {
            tokio::select! {
                () = shutdown.cancelled() => return Err(Status::unavailable("the server is stopping")),
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(WAIT.1);
        }
    }
}
