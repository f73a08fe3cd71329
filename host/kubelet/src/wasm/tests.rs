//! The runtime with real components: `examples/workloads`, built by `scripts/build-guests.sh`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{ContentSource, WasmRuntime, WasmRuntimeConfig};
use crate::runtime::{ContainerConfig, ContainerRuntime, ContainerState, Mount, Sandbox, SandboxConfig};

mod command;
mod http;
mod images;
mod limits;

/// Content by digest, for one digest.
struct Content(Bytes);

#[async_trait]
impl ContentSource for Content {
    async fn fetch(&self, digest: &str) -> Result<Bytes, String> {
        if super::image::digest(&self.0) == digest { Ok(self.0.clone()) } else { Err(format!("{digest} not found")) }
    }
}

/// A built workload.
fn workload(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests").join(format!("{name}.wasm"));
    std::fs::canonicalize(&path).unwrap_or_else(|_| panic!("{} is missing: run `make guests` first", path.display()))
}

/// A runtime with one pod.
struct Node {
    runtime: Arc<WasmRuntime>,
    sandbox: Sandbox,
    directory: tempfile::TempDir,
}

impl Node {
    async fn new() -> Self {
        Self::with_content(Bytes::new()).await
    }

    async fn with_content(content: Bytes) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = WasmRuntimeConfig {
            directory: directory.path().join("wasm"),
            content: Arc::new(Content(content)),
            pod_cidr: None,
        };
        let runtime = Arc::new(WasmRuntime::new(config).unwrap());
        let sandbox = SandboxConfig {
            pod_uid: "uid".into(),
            namespace: "default".into(),
            name: "pod".into(),
            host_network: false,
            hostname: "pod-0".into(),
        };
        let sandbox = runtime.run_sandbox(sandbox).await.unwrap();
        Self { runtime, sandbox, directory }
    }

    fn config(&self, image: &str, args: &[&str]) -> ContainerConfig {
        ContainerConfig {
            name: "main".into(),
            attempt: 0,
            image: image.into(),
            command: Vec::new(),
            args: args.iter().map(|text| (*text).to_owned()).collect(),
            env: vec![("GREETING".into(), "good day".into())],
            working_dir: None,
            mounts: Vec::new(),
            ports: vec![8080],
            memory_limit: None,
            cpu_limit_millis: None,
            log_path: self.directory.path().join("logs/0.log"),
        }
    }

    /// The `steps` command with these steps.
    fn steps(&self, args: &[&str]) -> ContainerConfig {
        self.config(&format!("file:{}", workload("steps").display()), args)
    }

    fn web(&self) -> ContainerConfig {
        self.config(&format!("file:{}", workload("web").display()), &[])
    }

    async fn start(&self, config: ContainerConfig) -> String {
        self.runtime.start_container(&self.sandbox, config).await.unwrap()
    }

    /// Runs a container to its end: exit code, reason, and the lines of its log as `stream text`.
    async fn run(&self, config: ContainerConfig) -> (i32, String, Vec<String>) {
        let _ = std::fs::remove_file(&config.log_path);
        let path = config.log_path.clone();
        let id = self.start(config).await;
        let state = tokio::time::timeout(Duration::from_secs(60), self.runtime.wait_container(&id)).await;
        let ContainerState::Exited { exit_code, reason, .. } = state.expect("it ends").unwrap() else {
            panic!("waited for the end")
        };
        (exit_code, reason, log(&path))
    }

    /// Starts a container that must not start: why.
    async fn refused(&self, config: ContainerConfig) -> String {
        self.runtime.start_container(&self.sandbox, config).await.unwrap_err().to_string()
    }

    /// A directory of the host with one file.
    fn volume(&self, name: &str, file: &str, content: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join(file), content).unwrap();
        path
    }
}

fn mount(host_path: PathBuf, container_path: &str, read_only: bool) -> Mount {
    Mount { host_path, container_path: container_path.into(), read_only }
}

/// The lines of a log as `stream text`, after checking their form.
fn log(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let line = |line: &str| {
        let parts: Vec<&str> = line.splitn(4, ' ').collect();
        assert!(parts[0].parse::<jiff::Timestamp>().is_ok(), "{line}");
        assert!(matches!(parts[2], "F" | "P"), "{line}");
        format!("{} {}", parts[1], parts[3])
    };
    text.lines().map(line).collect()
}
