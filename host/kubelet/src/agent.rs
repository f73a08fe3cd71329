//! The kubelet as a whole: what its parts share, and how they are started and stopped.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use parking_lot::Mutex;
use portcullis_client::resource::RUNTIMECLASSES;
use portcullis_client::{Client, EventRecorder, Informer, Object, ObjectExt};
use portcullis_machinery::Value;
use tokio_util::sync::CancellationToken;

use crate::api::Writing;
use crate::config::KubeletConfig;
use crate::facts::{Allocatable, PodFacts};
use crate::node::{self, Machine};
use crate::paths::Paths;
use crate::pods;
use crate::pods::admission::Admitted;
use crate::pods::backoff::Backoff;
use crate::pods::images::Images;
use crate::runtimes::Runtimes;
use crate::source::{ApiSource, ObjectSource};
use crate::volumes::Volumes;

/// Why a kubelet could not start.
#[derive(Debug, thiserror::Error)]
pub enum KubeletError {
    /// Its directory cannot be used.
    #[error("{path}: {source}")]
    Directory {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// What all parts of a kubelet share.
pub struct Agent {
    pub(crate) config: KubeletConfig,
    pub(crate) client: Client,
    pub(crate) runtimes: Runtimes,
    pub(crate) classes: Informer,
    pub(crate) recorder: EventRecorder,
    pub(crate) images: Images,
    pub(crate) restarts: Mutex<Backoff>,
    pub(crate) source: Arc<dyn ObjectSource>,
    pub(crate) volumes: Volumes,
    pub(crate) paths: Paths,
    pub(crate) machine: Machine,
    pub(crate) shutdown: CancellationToken,
    pub(crate) writing: Writing,
    pub(crate) admitted: Admitted,
    /// Where the node's server listens, once it does.
    port: AtomicU16,
    /// The pods as this node has them, by uid: the API's, with the status that was made last.
    shown: Mutex<HashMap<String, Object>>,
}

impl Agent {
    /// A kubelet that acts with the identity of `client`. Nothing runs before [`Self::run`].
    ///
    /// # Errors
    /// If its directory cannot be made.
    pub fn new(
        config: KubeletConfig,
        client: &Client,
        runtimes: Runtimes,
        shutdown: CancellationToken,
    ) -> Result<Arc<Self>, KubeletError> {
        let client = client.with_user_agent("kubelet").with_field_manager("kubelet");
        std::fs::create_dir_all(&config.root_dir)
            .map_err(|source| KubeletError::Directory { path: config.root_dir.clone(), source })?;
        let recorder = EventRecorder::new(client.clone(), "kubelet", &config.node_name, shutdown.clone());
        let machine = Machine::of_this_host(&config.root_dir);
        let source: Arc<dyn ObjectSource> = Arc::new(ApiSource::new(&client, shutdown.clone()));
        Ok(Arc::new(Self {
            classes: Informer::builder(&client, &RUNTIMECLASSES).start(shutdown.clone()),
            images: Images::new(recorder.clone(), config.pull_backoff),
            restarts: Mutex::new(Backoff::new(config.restart_backoff)),
            volumes: Volumes::new(config.root_dir.clone(), Arc::clone(&source)),
            paths: Paths::new(&config.root_dir),
            admitted: Admitted::new(
                [machine.cpu_millis, machine.memory_bytes, machine.storage_bytes / 10 * 9],
                config.max_pods,
            ),
            machine,
            writing: Writing::default(),
            port: AtomicU16::new(config.port),
            shown: Mutex::default(),
            config,
            client,
            runtimes,
            recorder,
            source,
            shutdown,
        }))
    }

    /// Runs until shutdown, and then until what ran has stopped.
    pub async fn run(self: Arc<Self>) {
        let node = tokio::spawn(node::run(Arc::clone(&self)));
        pods::run(Arc::clone(&self)).await;
        // The node's task ends with the same token; one that panicked has said so.
        let _ = node.await;
    }

    /// Says where the node's server listens, for the Node's status.
    pub fn set_port(&self, port: u16) {
        self.port.store(port, Ordering::Relaxed);
    }

    /// Where the node's server listens.
    pub(crate) fn port(&self) -> u16 {
        self.port.load(Ordering::Relaxed)
    }

    /// What the node knows about a pod with this address.
    pub(crate) fn facts(&self, pod_ip: Option<IpAddr>) -> PodFacts {
        PodFacts {
            node_name: self.config.node_name.clone(),
            host_ips: vec![self.config.node_ip],
            pod_ips: pod_ip.into_iter().collect(),
            allocatable: Allocatable {
                cpu_millis: self.machine.cpu_millis,
                memory_bytes: self.machine.memory_bytes,
                ephemeral_storage_bytes: self.machine.storage_bytes,
            },
        }
    }

    /// Shows a pod with its present status to whoever asks this node.
    pub(crate) fn show(&self, pod: &Object, status: &Value) {
        let mut shown = Value::clone(pod);
        shown["status"] = status.clone();
        self.shown.lock().insert(pod.uid().to_owned(), Arc::new(shown));
    }

    /// The pods of this node, in the order of their namespaces and names.
    pub(crate) fn pods(&self) -> Vec<Object> {
        let mut pods: Vec<Object> = self.shown.lock().values().cloned().collect();
        pods.sort_by_key(|pod| pod.key());
        pods
    }

    /// A pod by its name.
    pub(crate) fn pod(&self, namespace: &str, name: &str) -> Option<Object> {
        let shown = self.shown.lock();
        let mut found = shown.values().filter(|pod| pod.namespace() == namespace && pod.name() == name);
        let first = found.next()?;
        // While a pod is replaced by one of the same name, the one that stays is meant.
        found.find(|pod| !pod.is_deleting()).or(Some(first)).cloned()
    }

    /// Forgets a pod that is gone.
    pub(crate) fn forget(&self, pod: &Value) {
        let uid = pod.uid();
        self.shown.lock().remove(uid);
        self.admitted.release(uid);
        self.images.forget_pod(uid);
        let mut restarts = self.restarts.lock();
        for container in crate::pods::spec::containers(pod) {
            restarts.forget(&format!("{uid}/{}", container.name()));
        }
    }
}
