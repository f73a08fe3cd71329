//! What is tested: API servers of the real binary, and under them their own store or a cluster of etcd.

pub mod network;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::api::Api;

/// How long a server may take to become ready.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// An API server.
pub struct Server {
    binary: PathBuf,
    data: PathBuf,
    port: u16,
    flags: Vec<String>,
    child: Option<Child>,
}

fn signal(name: &str, pid: u32) -> Result<()> {
    ensure!(Command::new("kill").args([name, &pid.to_string()]).status()?.success(), "kill {name} {pid}");
    Ok(())
}

impl Server {
    /// A server that is not started yet.
    pub fn new(binary: &Path, data: PathBuf, flags: &[String]) -> Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        Ok(Self { binary: binary.to_owned(), data, port, flags: flags.to_vec(), child: None })
    }

    /// Where the embedded engine keeps its files.
    pub fn store(&self) -> PathBuf {
        self.data.join("store")
    }

    /// Starts the process.
    pub fn launch(&mut self) -> Result<()> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.data.with_extension("log"))?;
        let child = Command::new(&self.binary)
            .args(["apiserver", "--bind", &format!("127.0.0.1:{}", self.port), "--data-dir"])
            .arg(&self.data)
            .args(&self.flags)
            .stdout(log.try_clone()?)
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| self.binary.display().to_string())?;
        self.child = Some(child);
        Ok(())
    }

    /// Starts the process and waits until it is ready; gives a client for it.
    pub async fn start(&mut self) -> Result<Api> {
        self.launch()?;
        let kubeconfig = self.data.join("admin.kubeconfig");
        for _ in 0..600 {
            if kubeconfig.exists() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // The file is written before the server listens, and may still be half written when it is first seen.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let api = Api::new(&kubeconfig)?;
        api.ready(READY_WITHIN).await?;
        Ok(api)
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            let ended = child.try_wait()?;
            ensure!(ended.is_none(), "the server has ended by itself: {ended:?}");
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// SIGSTOP, or SIGCONT.
    pub fn pause(&self, paused: bool) -> Result<()> {
        let Some(child) = &self.child else { return Ok(()) };
        signal(if paused { "-STOP" } else { "-CONT" }, child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // One that has ended already is as dead.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Which of etcd's members leads, asked of all through the JSON form of its API. `None` while there is no leader.
pub async fn leader(urls: &[String]) -> Option<usize> {
    let mut ids = Vec::new();
    let mut leader = String::new();
    for url in urls {
        let status = tokio::time::timeout(Duration::from_millis(500), status(url)).await.ok().and_then(Result::ok);
        let (id, leads) = status.unwrap_or_default();
        if leads.len() > 1 {
            leader = leads;
        }
        ids.push(id);
    }
    ids.iter().position(|id| !leader.is_empty() && *id == leader)
}

/// A member's id and that of its leader.
async fn status(url: &str) -> Result<(String, String)> {
    let address = url.trim_start_matches("http://");
    let mut stream = tokio::net::TcpStream::connect(address).await?;
    let request = format!(
        "POST /v3/maintenance/status HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let body = answer.find('{').and_then(|at| Some(&answer[at..=answer.rfind('}')?])).context("no document")?;
    let document: serde_json::Value = serde_json::from_str(body)?;
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    Ok((text(&document["header"]["member_id"]), text(&document["leader"])))
}
