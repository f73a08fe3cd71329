//! The server as seen from outside: requests, and what its processes have used.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::BodyExt as _;
use portcullis_client::{ClientBody, ClientConfig, HttpsTransport, Transport as _};

/// Several connections to one server, taken in turn.
pub struct Server {
    connections: Vec<HttpsTransport>,
    next: AtomicUsize,
    pids: Vec<u32>,
}

/// What processes have used since they started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    /// Seconds of CPU, user and system.
    pub cpu: f64,
    /// Resident bytes.
    pub resident: u64,
    /// The most that were ever resident, in bytes.
    pub peak: u64,
}

impl Server {
    /// Connects when the first requests are sent.
    pub fn new(config: &ClientConfig, connections: usize, pids: Vec<u32>) -> Result<Arc<Self>> {
        let connections = (0..connections.max(1)).map(|_| HttpsTransport::new(config)).collect::<Result<_, _>>()?;
        Ok(Arc::new(Self { connections, next: AtomicUsize::new(0), pids }))
    }

    /// Sends a request and gives the body, if the answer is a good one.
    pub async fn open(&self, method: Method, path: &str, kind: &str, body: Bytes) -> Result<ClientBody> {
        let connection = &self.connections[self.next.fetch_add(1, Ordering::Relaxed) % self.connections.len()];
        let request = Request::builder()
            .method(method.clone())
            .uri(path)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, kind)
            .body(body)?;
        let response = connection.send(request).await?;
        let status = response.status();
        let body = response.into_body();
        if !status.is_success() {
            let text = body.collect().await?.to_bytes();
            bail!("{method} {path}: {status}: {}", String::from_utf8_lossy(&text[..text.len().min(300)]));
        }
        Ok(body)
    }

    /// Sends a request and gives the number of bytes of the answer.
    pub async fn call(&self, method: Method, path: &str, kind: &str, body: Bytes) -> Result<usize> {
        let mut body = self.open(method, path, kind, body).await?;
        let mut bytes = 0;
        while let Some(frame) = body.frame().await {
            bytes += frame?.data_ref().map_or(0, Bytes::len);
        }
        Ok(bytes)
    }

    /// As [`Self::call`], with the whole answer.
    pub async fn get(&self, path: &str) -> Result<Bytes> {
        let body = self.open(Method::GET, path, "application/json", Bytes::new()).await?;
        Ok(body.collect().await?.to_bytes())
    }

    /// What the named processes have used.
    pub fn usage(&self) -> Result<Usage> {
        let mut sum = Usage::default();
        for pid in &self.pids {
            let stat =
                std::fs::read_to_string(format!("/proc/{pid}/stat")).with_context(|| format!("process {pid}"))?;
            let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
            let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
            // Clock ticks are hundredths of a second and pages 4 KiB on Linux's usual configuration.
            sum.cpu += (number(11) + number(12)) as f64 / 100.0;
            sum.resident += number(21) * 4096;
            let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
            let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
            sum.peak += peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap_or_default() * 1024;
        }
        Ok(sum)
    }
}
