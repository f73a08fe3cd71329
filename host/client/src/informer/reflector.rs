//! The loop that keeps an informer's copy current.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use portcullis_machinery::Value;
use rand::Rng as _;
use tokio_util::sync::CancellationToken;

use super::InformerBuilder;
use super::store::Shared;
use crate::client::{ListParams, WatchParams};
use crate::error::ClientError;
use crate::watch::{WatchEvent, WatchStream};

/// The reference's reflector waits 800 ms after a failure, doubled up to 30 s, with jitter, and forgets failures after
/// two minutes without one.
const BACKOFF_BASE: Duration = Duration::from_millis(800);
const BACKOFF_MAX: Duration = Duration::from_secs(30);
const BACKOFF_RESET: Duration = Duration::from_secs(120);

struct Backoff {
    next: Duration,
    last: Option<tokio::time::Instant>,
}

impl Backoff {
    fn new() -> Self {
        Self { next: BACKOFF_BASE, last: None }
    }

    fn step(&mut self) -> Duration {
        let now = tokio::time::Instant::now();
        if self.last.is_some_and(|last| now.duration_since(last) > BACKOFF_RESET) {
            self.next = BACKOFF_BASE;
        }
        self.last = Some(now);
        let delay = self.next;
        self.next = (self.next * 2).min(BACKOFF_MAX);
        delay.mul_f64(rand::rng().random_range(1.0..2.0))
    }
}

/// Why one watch ended.
enum Ended {
    /// The server closed it in good order: resume at once.
    Closed,
    /// The version is too old: list again.
    Gone,
    /// Resume after a pause.
    Broken(ClientError),
}

pub(super) async fn run(config: InformerBuilder, shared: Arc<Shared>, shutdown: CancellationToken) {
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = reflect(&config, &shared) => {}
    }
}

async fn reflect(config: &InformerBuilder, shared: &Shared) {
    let mut backoff = Backoff::new();
    loop {
        let version = match list(config, shared).await {
            Ok(version) => version,
            Err(error) => {
                pause(config, &mut backoff, "list", &error).await;
                continue;
            }
        };
        tracing::debug!(resource = %config.resource, %version, "listed");
        loop {
            match follow(config, shared).await {
                Ended::Closed => {}
                Ended::Gone => {
                    // The pause keeps a server whose window is too short for its churn from being listed in a loop.
                    let wait = backoff.step();
                    tracing::debug!(resource = %config.resource, ?wait, "watch expired; listing again");
                    tokio::time::sleep(wait).await;
                    break;
                }
                Ended::Broken(error) => pause(config, &mut backoff, "watch", &error).await,
            }
        }
    }
}

async fn pause(config: &InformerBuilder, backoff: &mut Backoff, what: &str, error: &ClientError) {
    let wait = backoff.step().max(Duration::from_secs(error.retry_after().unwrap_or(0)));
    tracing::warn!(resource = %config.resource, %error, ?wait, "{what} failed");
    tokio::time::sleep(wait).await;
}

fn prepare(config: &InformerBuilder, object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        // Field ownership is half of an object's size, and no controller reads it.
        metadata.remove("managedFields");
    }
    if let Some(transform) = &config.transform {
        transform(object);
    }
}

async fn list(config: &InformerBuilder, shared: &Shared) -> Result<String, ClientError> {
    let params = ListParams {
        label_selector: config.label_selector.clone(),
        field_selector: config.field_selector.clone(),
        metadata_only: config.metadata_only,
        ..ListParams::default()
    };
    let mut list = config.client.list_all(&config.resource, &config.namespace, &params).await?;
    list.items.iter_mut().for_each(|item| prepare(config, item));
    shared.replace(list.items, &list.resource_version);
    Ok(list.resource_version)
}

async fn follow(config: &InformerBuilder, shared: &Shared) -> Ended {
    let params = WatchParams {
        label_selector: config.label_selector.clone(),
        field_selector: config.field_selector.clone(),
        resource_version: shared.state.lock().resource_version.clone(),
        // Spread over five to ten minutes, so that watches opened together do not end together.
        timeout_seconds: rand::rng().random_range(300..600),
        metadata_only: config.metadata_only,
        send_initial_events: false,
    };
    match config.client.watch(&config.resource, &config.namespace, &params).await {
        Ok(stream) => consume(config, shared, stream).await,
        Err(error) if error.is_gone() => Ended::Gone,
        Err(error) => Ended::Broken(error),
    }
}

async fn consume(config: &InformerBuilder, shared: &Shared, mut stream: WatchStream) -> Ended {
    while let Some(event) = stream.next().await {
        match event {
            Ok(WatchEvent::Added(mut object) | WatchEvent::Modified(mut object)) => {
                prepare(config, &mut object);
                shared.put(object);
            }
            Ok(WatchEvent::Deleted(mut object)) => {
                prepare(config, &mut object);
                shared.delete(object);
            }
            Ok(WatchEvent::Bookmark { resource_version, .. }) => shared.set_version(&resource_version),
            Ok(WatchEvent::Error(status)) if status.code == 410 => return Ended::Gone,
            Ok(WatchEvent::Error(status)) => return Ended::Broken(status.into()),
            // A line that is no event may hide a change: only a new list is safe.
            Err(ClientError::Decode(error)) => {
                tracing::warn!(resource = %config.resource, error, "watch not understood");
                return Ended::Gone;
            }
            Err(error) => return Ended::Broken(error),
        }
    }
    Ended::Closed
}
