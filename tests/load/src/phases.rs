//! What is done to the server, phase by phase.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use http::Method;
use http_body_util::BodyExt as _;
use portcullis_client::ClientConfig;
use serde_json::{Value, json};

use crate::Options;
use crate::report::{self, Outcome};
use crate::server::Server;

const NAMESPACE: &str = "portcullis-load";
const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";

/// A run of all phases.
pub struct Load {
    options: Options,
    server: Arc<Server>,
    pods: String,
}

/// A pod of about `size` bytes that nobody schedules.
fn pod(name: &str, size: usize) -> Bytes {
    let mut env: Vec<Value> = Vec::new();
    let make = |env: &[Value]| {
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": "load", "half": if name.ends_with(['0', '2', '4', '6', '8']) { "even" } else { "odd" }}},
            "spec": {
                "schedulerName": "nobody", "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
                "containers": [{
                    "name": "c", "image": "example.test/load:1",
                    "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "32Mi"}},
                    "ports": [{"containerPort": 8080, "name": "http"}], "env": env,
                }],
            },
        })
        .to_string()
    };
    let mut text = make(&env);
    while text.len() < size {
        let missing = size - text.len();
        let value = "x".repeat(missing.saturating_sub(32).clamp(1, 100));
        env.push(json!({"name": format!("VARIABLE_{}", env.len()), "value": value}));
        text = make(&env);
    }
    text.into()
}

impl Load {
    /// Reads the kubeconfig.
    pub fn new(options: Options) -> Result<Self> {
        let config = ClientConfig::from_kubeconfig(&options.kubeconfig)?;
        let server = Server::new(&config, options.connections, options.pid.clone())?;
        Ok(Self { server, options, pods: format!("/api/v1/namespaces/{NAMESPACE}/pods") })
    }

    /// All phases, one after another.
    pub async fn run(self) -> Result<()> {
        let namespace = json!({"metadata": {"name": NAMESPACE}}).to_string();
        self.server.call(Method::POST, "/api/v1/namespaces", JSON, namespace.into()).await?;
        let account = json!({"metadata": {"name": "default"}}).to_string();
        let accounts = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts");
        // A controller may have made it already.
        let _ = self.server.call(Method::POST, &accounts, JSON, account.into()).await;
        let start = self.server.usage()?;
        println!("at rest: {:.0} MB resident", start.resident as f64 / 1e6);
        report::heading();
        let size = self.options.size;
        self.each("create", "creates", |path, n| (Method::POST, path.to_owned(), JSON, pod(&name(n), size))).await?;
        self.each("get", "gets", |path, n| (Method::GET, format!("{path}/{}", name(n)), JSON, Bytes::new())).await?;
        self.lists().await?;
        self.pages().await?;
        self.watches().await?;
        self.each("patch", "patches", |path, n| {
            let patch = json!({"metadata": {"annotations": {"patched": n.to_string()}}}).to_string();
            (Method::PATCH, format!("{path}/{}", name(n)), MERGE, patch.into())
        })
        .await?;
        self.each("delete", "deletes", |path, n| (Method::DELETE, format!("{path}/{}", name(n)), JSON, Bytes::new()))
            .await?;
        self.server.call(Method::DELETE, &format!("/api/v1/namespaces/{NAMESPACE}"), JSON, Bytes::new()).await?;
        println!("at most: {:.0} MB resident", self.server.usage()?.peak as f64 / 1e6);
        Ok(())
    }

    /// One request for each pod, so many in flight.
    async fn each(
        &self,
        name: &'static str,
        unit: &'static str,
        request: impl Fn(&str, usize) -> (Method, String, &'static str, Bytes) + Send,
    ) -> Result<()> {
        let before = self.server.usage()?;
        let began = Instant::now();
        // Made as they are sent: there may be very many.
        let latencies: Vec<Duration> = stream::iter((0..self.options.pods).map(|n| request(&self.pods, n)))
            .map(|(method, path, kind, body)| {
                let server = Arc::clone(&self.server);
                async move {
                    let began = Instant::now();
                    server.call(method, &path, kind, body).await?;
                    Ok::<_, anyhow::Error>(began.elapsed())
                }
            })
            .buffer_unordered(self.options.in_flight)
            .try_collect()
            .await
            .with_context(|| name.to_owned())?;
        let usage = (before, self.server.usage()?);
        report::line(Outcome { name, unit, count: latencies.len(), wall: began.elapsed(), latencies, usage });
        Ok(())
    }

    /// Everything in one answer, one after another.
    async fn lists(&self) -> Result<()> {
        let (before, began) = (self.server.usage()?, Instant::now());
        let mut latencies = Vec::new();
        let mut bytes = 0;
        for _ in 0..self.options.lists {
            let began = Instant::now();
            bytes = self.server.call(Method::GET, &self.pods, JSON, Bytes::new()).await?;
            latencies.push(began.elapsed());
        }
        let usage = (before, self.server.usage()?);
        report::line(Outcome {
            name: "list",
            unit: "lists",
            count: latencies.len(),
            wall: began.elapsed(),
            latencies,
            usage,
        });
        println!("{:<12} {:.1} MB each", "", bytes as f64 / 1e6);
        Ok(())
    }

    /// Everything in pages of 500.
    async fn pages(&self) -> Result<()> {
        let (before, began) = (self.server.usage()?, Instant::now());
        let mut latencies = Vec::new();
        for _ in 0..self.options.lists {
            let mut token = String::new();
            loop {
                let began = Instant::now();
                let page = self.server.get(&format!("{}?limit=500&continue={token}", self.pods)).await?;
                latencies.push(began.elapsed());
                let page: Value = serde_json::from_slice(&page)?;
                token = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
                if token.is_empty() {
                    break;
                }
            }
        }
        let usage = (before, self.server.usage()?);
        report::line(Outcome {
            name: "paged list",
            unit: "pages",
            count: latencies.len(),
            wall: began.elapsed(),
            latencies,
            usage,
        });
        Ok(())
    }

    /// Changes of one pod, delivered to many watchers.
    async fn watches(&self) -> Result<()> {
        let list: Value = serde_json::from_slice(&self.server.get(&format!("{}?limit=1", self.pods)).await?)?;
        let version = list["metadata"]["resourceVersion"].as_str().context("a list has a version")?.to_owned();
        let path = format!("{}?watch=true&resourceVersion={version}", self.pods);
        let wanted = self.options.watchers * self.options.changes;
        let delivered = Arc::new(AtomicUsize::new(0));
        let mut watchers = Vec::new();
        for _ in 0..self.options.watchers {
            let mut body = self.server.open(Method::GET, &path, JSON, Bytes::new()).await?;
            let (delivered, changes) = (Arc::clone(&delivered), self.options.changes);
            watchers.push(tokio::spawn(async move {
                let mut seen = 0;
                while seen < changes {
                    let Some(frame) = body.frame().await else { break };
                    let Ok(frame) = frame else { break };
                    // One event is one line.
                    let lines = frame.data_ref().map_or(0, |data| data.iter().filter(|byte| **byte == b'\n').count());
                    seen += lines;
                    delivered.fetch_add(lines, Ordering::Relaxed);
                }
            }));
        }
        let (before, began) = (self.server.usage()?, Instant::now());
        for change in 0..self.options.changes {
            let patch = json!({"metadata": {"annotations": {"change": change.to_string()}}}).to_string();
            self.server.call(Method::PATCH, &format!("{}/{}", self.pods, name(0)), MERGE, patch.into()).await?;
        }
        let all = futures::future::join_all(watchers);
        tokio::time::timeout(Duration::from_secs(300), all)
            .await
            .context("watchers did not get their events in time")?;
        let count = delivered.load(Ordering::Relaxed);
        ensure!(count == wanted, "{count} events were delivered, and {wanted} were to be");
        let usage = (before, self.server.usage()?);
        report::line(Outcome {
            name: "watch",
            unit: "events",
            count,
            wall: began.elapsed(),
            latencies: Vec::new(),
            usage,
        });
        Ok(())
    }
}

fn name(n: usize) -> String {
    format!("load-{n:06}")
}
