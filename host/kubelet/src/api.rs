//! What the node's server asks of the kubelet: its pods, their logs, what they use.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use parking_lot::Mutex;
use portcullis_client::ObjectExt;
use portcullis_client::time::parse;
use portcullis_machinery::Value;
use tokio_util::sync::CancellationToken;

use crate::agent::Agent;
use crate::server::{ContainerUsage, LogFile, NodeApi, NodeApiError, PodUsage};

/// The containers whose output is being written: pod uid, container name, number of the start.
#[derive(Default)]
pub(crate) struct Writing(Mutex<HashMap<(String, String, u32), CancellationToken>>);

impl Writing {
    /// A container was started.
    pub(crate) fn begin(&self, pod: &Value, container: &str, attempt: u32) {
        let key = (pod.uid().to_owned(), container.to_owned(), attempt);
        self.0.lock().insert(key, CancellationToken::new());
    }

    /// A container has ended: whoever follows its log has read all of it once the file is at its end.
    pub(crate) fn end(&self, pod: &Value, container: &str, attempt: u32) {
        let key = (pod.uid().to_owned(), container.to_owned(), attempt);
        if let Some(token) = self.0.lock().remove(&key) {
            token.cancel();
        }
    }

    fn token(&self, pod: &Value, container: &str, attempt: u32) -> CancellationToken {
        let key = (pod.uid().to_owned(), container.to_owned(), attempt);
        self.0.lock().get(&key).cloned().unwrap_or_else(|| {
            let over = CancellationToken::new();
            over.cancel();
            over
        })
    }
}

/// A container's status.
fn status_of<'a>(pod: &'a Value, container: &str) -> Option<&'a Value> {
    let lists = ["containerStatuses", "initContainerStatuses"];
    lists.iter().flat_map(|list| pod.list_at(&["status", list])).find(|status| status.str_at(&["name"]) == container)
}

/// The number of the start whose log is meant: the present or last container's, or the one's before.
fn attempt(status: &Value, previous: bool) -> Option<u32> {
    let restarts = u32::try_from(status.int_at(&["restartCount"]).unwrap_or(0)).unwrap_or(0);
    if !previous {
        return Some(restarts);
    }
    // One that waits for its restart is the previous one itself.
    if status.at(&["state", "waiting"]).is_some() { Some(restarts) } else { restarts.checked_sub(1) }
}

#[async_trait]
impl NodeApi for Agent {
    fn pods(&self) -> Vec<Arc<Value>> {
        Agent::pods(self)
    }

    fn log(&self, namespace: &str, pod: &str, container: &str, previous: bool) -> Result<LogFile, NodeApiError> {
        let missing = || NodeApiError::NotFound(format!("pod {pod:?} in namespace {namespace:?} not found"));
        let found = self.pod(namespace, pod).ok_or_else(missing)?;
        let none = || NodeApiError::NotFound(format!("container {container:?} in pod {pod:?} has no log"));
        let number = status_of(&found, container).and_then(|status| attempt(status, previous)).ok_or_else(none)?;
        Ok(LogFile {
            path: self.paths.log(&found, container, number),
            ended: self.writing.token(&found, container, number),
        })
    }

    async fn stats(&self) -> Vec<PodUsage> {
        let mut usages = Vec::new();
        for pod in Agent::pods(self) {
            let Ok(runtime) = self.runtimes.for_pod(&pod, &self.classes) else { continue };
            let mut containers = Vec::new();
            for status in
                ["initContainerStatuses", "containerStatuses"].iter().flat_map(|list| pod.list_at(&["status", list]))
            {
                let started = parse(status.str_at(&["state", "running", "startedAt"]));
                let id = status.str_at(&["containerID"]).split_once("://").map(|(_, id)| id);
                let (Some(started_at), Some(id)) = (started, id) else { continue };
                // One that ended meanwhile uses nothing.
                if let Ok(stats) = runtime.container_stats(id).await {
                    containers.push(ContainerUsage { name: status.str_at(&["name"]).to_owned(), started_at, stats });
                }
            }
            if !containers.is_empty() {
                usages.push(PodUsage {
                    namespace: pod.namespace().to_owned(),
                    name: pod.name().to_owned(),
                    uid: pod.uid().to_owned(),
                    started_at: parse(pod.str_at(&["status", "startTime"])).unwrap_or_else(Timestamp::now),
                    containers,
                });
            }
        }
        usages
    }

    fn healthy(&self) -> Result<(), String> {
        if self.classes.has_synced() { Ok(()) } else { Err("the API server has not been reached yet".to_owned()) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::attempt;

    #[test]
    fn which_log() {
        let check = |status: serde_json::Value, present: Option<u32>, previous: Option<u32>| {
            assert_eq!((attempt(&status, false), attempt(&status, true)), (present, previous), "{status}");
        };
        let running = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
        check(json!({"restartCount": 0, "state": running}), Some(0), None);
        check(json!({"restartCount": 2, "state": running}), Some(2), Some(1));
        check(json!({"restartCount": 2, "state": {"terminated": {"exitCode": 1}}}), Some(2), Some(1));
        check(json!({"restartCount": 2, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}), Some(2), Some(2));
    }
}
