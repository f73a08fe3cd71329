//! Images: which pull policy says what, and how often a pull that failed is tried again.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use portcullis_client::{EventRecorder, EventType, ObjectExt};
use portcullis_machinery::Value;
use tokio::time::Instant;

use super::backoff::Backoff;
use super::spec::Container;
use crate::config::BackoffPolicy;
use crate::runtime::{ContainerRuntime, RuntimeError};

/// Why a container's image is not there: the reason and the message of its waiting state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {message}")]
pub(crate) struct ImageError {
    pub(crate) reason: &'static str,
    pub(crate) message: String,
    /// When it may be tried again.
    pub(crate) retry_in: Duration,
}

/// Pulls images for the pods of a node.
pub(crate) struct Images {
    recorder: EventRecorder,
    state: Mutex<State>,
    first: Duration,
}

struct State {
    backoff: Backoff,
    /// The last failure for each pod and image: when, and what it said.
    failures: std::collections::HashMap<String, (Instant, String)>,
}

/// What the kubelet does if the pod does not say: `latest` and nothing mean always, as the API's defaults have it.
fn policy<'a>(container: &Container<'a>) -> &'a str {
    match container.value.str_at(&["imagePullPolicy"]) {
        "" => "IfNotPresent",
        policy => policy,
    }
}

impl Images {
    pub(crate) fn new(recorder: EventRecorder, policy: BackoffPolicy) -> Self {
        let state = State { backoff: Backoff::new(policy), failures: std::collections::HashMap::new() };
        Self { recorder, state: Mutex::new(state), first: policy.base }
    }

    /// Makes a container's image present as its pull policy says, and returns its id.
    pub(crate) async fn ensure(
        &self,
        runtime: &Arc<dyn ContainerRuntime>,
        pod: &Value,
        container: &Container<'_>,
    ) -> Result<String, ImageError> {
        let image = container.image();
        let key = format!("{}/{image}", pod.uid());
        let field = container.field_path();
        let record = |kind, reason: &str, message: &str| {
            self.recorder.event_on_field(pod, &field, kind, reason, message);
        };
        let present = match runtime.image_present(image).await {
            Ok(present) => present,
            Err(error) => {
                let reason = if matches!(error, RuntimeError::InvalidImageName(_)) {
                    record(EventType::Warning, "InspectFailed", &format!("Failed to apply default image tag: {error}"));
                    "InvalidImageName"
                } else {
                    record(EventType::Warning, "InspectFailed", &format!("Failed to inspect image {image:?}: {error}"));
                    "ImageInspectError"
                };
                record(EventType::Warning, "Failed", &format!("Error: {reason}"));
                return Err(ImageError { reason, message: error.to_string(), retry_in: self.first });
            }
        };
        match policy(container) {
            "Never" if !present => {
                let message = format!("Container image {image:?} is not present with pull policy of Never");
                record(EventType::Warning, "ErrImageNeverPull", &message);
                record(EventType::Warning, "Failed", "Error: ErrImageNeverPull");
                return Err(ImageError { reason: "ErrImageNeverPull", message, retry_in: self.first });
            }
            "Always" => {}
            _ if present => {
                if let Ok(id) = runtime.pull_image(image).await {
                    let message = format!("Container image {image:?} already present on machine");
                    record(EventType::Normal, "Pulled", &message);
                    self.forget(&key);
                    return Ok(id);
                }
            }
            _ => {}
        }
        if let Some((until, error)) = self.waits(&key) {
            record(EventType::Normal, "BackOff", &format!("Back-off pulling image {image:?}"));
            record(EventType::Warning, "Failed", "Error: ImagePullBackOff");
            return Err(ImageError {
                reason: "ImagePullBackOff",
                message: format!("Back-off pulling image {image:?}: {error}"),
                retry_in: until.saturating_duration_since(Instant::now()),
            });
        }
        record(EventType::Normal, "Pulling", &format!("Pulling image {image:?}"));
        let begun = Instant::now();
        match runtime.pull_image(image).await {
            Ok(id) => {
                let took = begun.elapsed().as_millis();
                let message = format!("Successfully pulled image {image:?} in {took}ms ({took}ms including waiting).");
                record(EventType::Normal, "Pulled", &message);
                self.forget(&key);
                Ok(id)
            }
            Err(error) => {
                let error = match error {
                    RuntimeError::Pull { message, .. } => message,
                    other => other.to_string(),
                };
                record(EventType::Warning, "Failed", &format!("Failed to pull image {image:?}: {error}"));
                record(EventType::Warning, "Failed", "Error: ErrImagePull");
                self.failed(&key, &error);
                // The next look finds the back-off, and says so.
                Err(ImageError { reason: "ErrImagePull", message: error, retry_in: self.first / 2 })
            }
        }
    }

    fn waits(&self, key: &str) -> Option<(Instant, String)> {
        let state = self.state.lock();
        let (failed, error) = state.failures.get(key)?;
        let (until, _) = state.backoff.waits_until(key, *failed)?;
        Some((until, format!("ErrImagePull: {error}")))
    }

    fn failed(&self, key: &str, error: &str) {
        let mut state = self.state.lock();
        let now = Instant::now();
        state.backoff.tried(key, now);
        state.failures.insert(key.to_owned(), (now, error.to_owned()));
    }

    fn forget(&self, key: &str) {
        let mut state = self.state.lock();
        state.backoff.forget(key);
        state.failures.remove(key);
    }

    /// Forgets the failures of a pod that is gone.
    pub(crate) fn forget_pod(&self, uid: &str) {
        let mut state = self.state.lock();
        let prefix = format!("{uid}/");
        let keys: Vec<String> = state.failures.keys().filter(|key| key.starts_with(&prefix)).cloned().collect();
        for key in keys {
            state.backoff.forget(&key);
            state.failures.remove(&key);
        }
    }
}
