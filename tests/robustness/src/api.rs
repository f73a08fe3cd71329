//! Requests to one API server, each with a bound on how long it may take.

use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::BodyExt as _;
use portcullis_client::{ClientBody, ClientConfig, HttpsTransport, Transport as _};
use serde_json::Value;

/// The namespace of the objects.
pub const NAMESPACE: &str = "robustness";
/// Where they are.
pub const OBJECTS: &str = "/api/v1/namespaces/robustness/configmaps";

/// What came of a request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP code; 0 if there was no whole answer.
    pub code: u16,
    /// The document; null if there was none.
    pub body: Value,
}

impl Reply {
    fn none() -> Self {
        Self { code: 0, body: Value::Null }
    }

    /// The Status reason.
    pub fn reason(&self) -> &str {
        self.body["reason"].as_str().unwrap_or_default()
    }

    /// Whether it is not known what the server has done: it did not answer, or says that it does not know.
    pub fn is_unknown(&self) -> bool {
        matches!(self.code, 0 | 500 | 503 | 504)
    }
}

/// A client of one server.
pub struct Api {
    transport: HttpsTransport,
}

impl Api {
    /// Connects when the first request is sent.
    pub fn new(kubeconfig: &std::path::Path) -> Result<Self> {
        let config = ClientConfig::from_kubeconfig(kubeconfig)?;
        Ok(Self { transport: HttpsTransport::new(&config)? })
    }

    /// Opens an answer that streams.
    pub async fn open(&self, path: &str) -> Result<(u16, ClientBody)> {
        let request = Request::builder().uri(path).header(header::ACCEPT, "application/json").body(Bytes::new())?;
        let response = self.transport.send(request).await?;
        Ok((response.status().as_u16(), response.into_body()))
    }

    /// Sends a request and reads the whole answer, within `patience`.
    pub async fn call(&self, method: Method, path: &str, body: Option<&Value>, patience: Duration) -> Reply {
        let kind = if method == Method::PATCH { "application/merge-patch+json" } else { "application/json" };
        let bytes = body.map_or_else(Bytes::new, |body| body.to_string().into());
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, kind)
            .body(bytes);
        let Ok(request) = request else { return Reply::none() };
        let answer = async {
            let response = self.transport.send(request).await.ok()?;
            let code = response.status().as_u16();
            let bytes = response.into_body().collect().await.ok()?.to_bytes();
            // Probes answer with text, which is as good as nothing here.
            Some(Reply { code, body: serde_json::from_slice(&bytes).unwrap_or_default() })
        };
        tokio::time::timeout(patience, answer).await.ok().flatten().unwrap_or_else(Reply::none)
    }

    /// Waits until the server is ready.
    pub async fn ready(&self, within: Duration) -> Result<()> {
        let waited = tokio::time::timeout(within, async {
            while self.call(Method::GET, "/readyz", None, Duration::from_secs(3)).await.code != 200 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        waited.await.context("the server did not become ready in time")
    }
}
