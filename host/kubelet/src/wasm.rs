//! Wasm workloads: a container is a component, run by wasmtime in this process, with nothing else installed.
//!
//! Two shapes of components run: a WASI command (exports `wasi:cli/run`) runs once to its end, and an HTTP component
//! (exports `wasi:http/incoming-handler`) is served on the pod's address at the container's ports, one fresh instance a
//! request. Volumes are preopened directories, memory and CPU limits hold for each container, and output goes to the
//! CRI's log format, so that `kubectl logs` needs to know nothing of all this.

mod command;
mod container;
mod cpu;
mod engine;
mod executor;
mod http;
mod image;
mod log;
mod network;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use self::container::Container;
use self::engine::WorkloadEngine;
use self::executor::Executor;
pub use self::image::ContentSource;
use self::image::ImageStore;
use self::network::PodNetwork;
use crate::runtime::{
    ContainerConfig, ContainerRuntime, ContainerState, ContainerStats, RuntimeError, Sandbox, SandboxConfig,
};

/// The runtime behind RuntimeClass `wasm`.
pub struct WasmRuntime {
    engine: Arc<WorkloadEngine>,
    executor: Executor,
    images: ImageStore,
    network: PodNetwork,
    containers: Mutex<HashMap<String, Arc<Container>>>,
}

/// What [`WasmRuntime::new`] needs.
pub struct WasmRuntimeConfig {
    /// Where images and compiled code are kept.
    pub directory: PathBuf,
    /// Where pushed content comes from.
    pub content: Arc<dyn ContentSource>,
    /// The range that pods' addresses come from, for example 10.244.0.0/24; the host's routes are changed so that it is
    /// local. Loopback addresses if there is none.
    pub pod_cidr: Option<ipnet::Ipv4Net>,
}

impl WasmRuntime {
    /// Makes the runtime; nothing runs yet.
    ///
    /// # Errors
    /// If the directory cannot be made or the engine cannot start.
    pub fn new(config: WasmRuntimeConfig) -> Result<Self, RuntimeError> {
        std::fs::create_dir_all(&config.directory)?;
        Ok(Self {
            engine: Arc::new(WorkloadEngine::new().map_err(|error| RuntimeError::Create(error.to_string()))?),
            executor: Executor::new()?,
            images: ImageStore::new(config.directory.join("images"), config.content)?,
            network: PodNetwork::new(config.pod_cidr)?,
            containers: Mutex::new(HashMap::new()),
        })
    }

    fn container(&self, id: &str) -> Result<Arc<Container>, RuntimeError> {
        self.containers.lock().get(id).cloned().ok_or_else(|| RuntimeError::NotFound(format!("container {id}")))
    }
}

#[cfg(test)]
mod tests;

#[async_trait]
impl ContainerRuntime for WasmRuntime {
    fn handler(&self) -> &str {
        "wasm"
    }

    fn scheme(&self) -> &str {
        "wasm"
    }

    async fn image_present(&self, image: &str) -> Result<bool, RuntimeError> {
        self.images.present(image).await
    }

    async fn pull_image(&self, image: &str) -> Result<String, RuntimeError> {
        Ok(self.images.pull(image).await?.digest)
    }

    async fn run_sandbox(&self, config: SandboxConfig) -> Result<Sandbox, RuntimeError> {
        let ip = self.network.assign(&config.pod_uid, config.host_network)?;
        Ok(Sandbox { id: config.pod_uid, ip, hostname: config.hostname })
    }

    async fn remove_sandbox(&self, id: &str) -> Result<(), RuntimeError> {
        let mine: Vec<Arc<Container>> = {
            let mut containers = self.containers.lock();
            let ids: Vec<String> =
                containers.iter().filter(|(_, c)| c.sandbox == id).map(|(id, _)| id.clone()).collect();
            ids.iter().filter_map(|id| containers.remove(id)).collect()
        };
        for container in mine {
            container.stop(Duration::ZERO).await;
        }
        self.network.release(id);
        Ok(())
    }

    async fn start_container(&self, sandbox: &Sandbox, config: ContainerConfig) -> Result<String, RuntimeError> {
        let image = self.images.get(&config.image).await?;
        let engine = Arc::clone(&self.engine);
        let workload = engine.load(&image).await?;
        let executor = self.executor.handle();
        let container = Container::start(engine, executor, workload, sandbox, config).await?;
        let id = container.id.clone();
        self.containers.lock().insert(id.clone(), container);
        Ok(id)
    }

    async fn stop_container(&self, id: &str, grace: Duration) -> Result<(), RuntimeError> {
        // The lock is not held while the container takes its time to end.
        let container = self.container(id)?;
        container.stop(grace).await;
        Ok(())
    }

    async fn remove_container(&self, id: &str) -> Result<(), RuntimeError> {
        let container = self.containers.lock().remove(id);
        if let Some(container) = container {
            container.stop(Duration::ZERO).await;
        }
        Ok(())
    }

    async fn container_state(&self, id: &str) -> Result<Option<ContainerState>, RuntimeError> {
        Ok(self.containers.lock().get(id).map(|container| container.state()))
    }

    async fn wait_container(&self, id: &str) -> Result<ContainerState, RuntimeError> {
        let container = self.container(id)?;
        Ok(container.wait().await)
    }

    async fn container_stats(&self, id: &str) -> Result<ContainerStats, RuntimeError> {
        Ok(self.container(id)?.stats())
    }
}
