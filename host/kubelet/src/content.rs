//! Pushed components, fetched from the API server by their digest.

use async_trait::async_trait;
use bytes::Bytes;
use portcullis_client::Client;

use crate::wasm::ContentSource;

/// The API server's module store, as the kubelet's identity reads it.
pub struct ApiContent(Client);

impl ApiContent {
    /// Content that `client` may read.
    pub fn new(client: Client) -> Self {
        Self(client)
    }
}

#[async_trait]
impl ContentSource for ApiContent {
    async fn fetch(&self, digest: &str) -> Result<Bytes, String> {
        let name = digest.replace(':', "-");
        let path = format!("/apis/plugins.portcullis.dev/v1alpha1/modules/{name}/content");
        self.0.get_raw(&path, "*/*").await.map_err(|error| error.to_string())
    }
}
