//! What the kubelet asks of whatever runs containers. The shape is that of the CRI (`runtime.v1`), so that a CRI client
//! is a second implementation of this trait and the pod workers stay as they are.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

/// Why a runtime could not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    /// The image's name cannot be understood (`InvalidImageName`).
    #[error("couldn't parse image name {0:?}: expected file:/PATH, sha256:DIGEST or oci:/LAYOUT[:TAG]")]
    InvalidImageName(String),
    /// The image is not there and may not be pulled (`ErrImageNeverPull`).
    #[error("Container image {0:?} is not present with pull policy of Never")]
    NeverPull(String),
    /// The image cannot be had (`ErrImagePull`).
    #[error("failed to pull image {image:?}: {message}")]
    Pull {
        /// The image as the pod names it.
        image: String,
        /// What went wrong.
        message: String,
    },
    /// The container cannot be made from what the pod says (`CreateContainerError`).
    #[error("{0}")]
    Create(String),
    /// The container was made and cannot be started (`RunContainerError`).
    #[error("{0}")]
    Start(String),
    /// There is no such sandbox or container.
    #[error("{0} not found")]
    NotFound(String),
    /// The runtime does not do that.
    #[error("{0} is not supported by this runtime")]
    Unsupported(&'static str),
    /// The host failed.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// The network and the identity that a pod's containers share.
#[derive(Clone, Debug)]
pub struct SandboxConfig {
    /// The pod's uid: one sandbox at a time has it.
    pub pod_uid: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub name: String,
    /// Whether the pod uses the node's own address.
    pub host_network: bool,
    /// The name that the pod's containers see as the host's.
    pub hostname: String,
}

/// A sandbox that is ready.
#[derive(Clone, Debug)]
pub struct Sandbox {
    /// The runtime's id.
    pub id: String,
    /// The pod's address.
    pub ip: IpAddr,
    /// The name that the pod's containers see as the host's.
    pub hostname: String,
}

/// A directory of the host that a container sees.
#[derive(Clone, Debug)]
pub struct Mount {
    /// Where it is on the host.
    pub host_path: PathBuf,
    /// Where the container sees it.
    pub container_path: String,
    /// Whether writes are refused.
    pub read_only: bool,
}

/// A container to be started.
#[derive(Clone, Debug)]
pub struct ContainerConfig {
    /// The container's name in its pod.
    pub name: String,
    /// How many times a container of this name was started in this pod before.
    pub attempt: u32,
    /// The image as the pod names it.
    pub image: String,
    /// The entry point, replacing the image's if not empty.
    pub command: Vec<String>,
    /// The arguments.
    pub args: Vec<String>,
    /// The environment, resolved.
    pub env: Vec<(String, String)>,
    /// The working directory, if given.
    pub working_dir: Option<String>,
    /// The volumes.
    pub mounts: Vec<Mount>,
    /// The ports that the container says it listens on (TCP).
    pub ports: Vec<u16>,
    /// Bytes of memory it may use.
    pub memory_limit: Option<u64>,
    /// Thousandths of a core that it may use.
    pub cpu_limit_millis: Option<u64>,
    /// Where its output goes, in the CRI's log format.
    pub log_path: PathBuf,
}

/// What a container is doing.
#[derive(Clone, Debug, PartialEq)]
pub enum ContainerState {
    /// It runs.
    Running {
        /// Since when.
        started_at: Timestamp,
    },
    /// It has ended.
    Exited {
        /// 0 for success, 137 for killed, 128 and more for signals.
        exit_code: i32,
        /// `Completed`, `Error`, `OOMKilled`, `ContainerCannotRun`.
        reason: String,
        /// More words, or none.
        message: String,
        /// When it began.
        started_at: Timestamp,
        /// When it ended.
        finished_at: Timestamp,
    },
}

/// What a container uses.
#[derive(Clone, Copy, Debug, Default)]
pub struct ContainerStats {
    /// Nanoseconds of CPU since its start.
    pub cpu_nanos: u64,
    /// Bytes of memory now.
    pub memory_bytes: u64,
}

/// Something that runs containers. Ids are the runtime's; all methods may be called again with the same arguments.
#[async_trait]
pub trait ContainerRuntime: Send + Sync + 'static {
    /// The name of the RuntimeClass handler that selects this runtime.
    fn handler(&self) -> &str;

    /// The scheme of this runtime's container ids in status: `wasm` in `wasm://…`.
    fn scheme(&self) -> &str;

    /// Whether an image is present, without asking anybody else.
    async fn image_present(&self, image: &str) -> Result<bool, RuntimeError>;

    /// Makes an image present and returns its id (a digest).
    async fn pull_image(&self, image: &str) -> Result<String, RuntimeError>;

    /// Makes the network that a pod's containers share.
    async fn run_sandbox(&self, config: SandboxConfig) -> Result<Sandbox, RuntimeError>;

    /// Stops and removes all that is left of a pod.
    async fn remove_sandbox(&self, id: &str) -> Result<(), RuntimeError>;

    /// Makes a container and starts it; the id that it is known by from here on.
    async fn start_container(&self, sandbox: &Sandbox, config: ContainerConfig) -> Result<String, RuntimeError>;

    /// Asks a container to end, and ends it after `grace`.
    async fn stop_container(&self, id: &str, grace: Duration) -> Result<(), RuntimeError>;

    /// Forgets a container that has ended.
    async fn remove_container(&self, id: &str) -> Result<(), RuntimeError>;

    /// What a container is doing; `None` if the runtime does not know it.
    async fn container_state(&self, id: &str) -> Result<Option<ContainerState>, RuntimeError>;

    /// Returns once a container has ended, with its last state.
    async fn wait_container(&self, id: &str) -> Result<ContainerState, RuntimeError>;

    /// What a container uses.
    async fn container_stats(&self, id: &str) -> Result<ContainerStats, RuntimeError>;
}
