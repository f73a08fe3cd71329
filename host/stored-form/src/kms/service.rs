//! The plugin's interface: `v2.KeyManagementService`, over a unix socket.

use std::collections::BTreeMap;
use std::os::linux::net::SocketAddrExt as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Uri;
use http::uri::PathAndQuery;
use hyper_util::rt::TokioIo;
use prost::Message;
use tokio::net::UnixStream;
use tokio::time::{sleep, timeout};
use tonic::Status;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

/// The pause before a plugin that does not listen is tried again.
const PAUSE: Duration = Duration::from_millis(100);

#[derive(Clone, PartialEq, Message)]
struct StatusRequest {}

/// How the plugin is.
#[derive(Clone, PartialEq, Message)]
pub(super) struct StatusResponse {
    #[prost(string, tag = "1")]
    pub version: String,
    #[prost(string, tag = "2")]
    pub healthz: String,
    #[prost(string, tag = "3")]
    pub key_id: String,
}

#[derive(Clone, PartialEq, Message)]
struct DecryptRequest {
    #[prost(bytes = "vec", tag = "1")]
    ciphertext: Vec<u8>,
    #[prost(string, tag = "2")]
    uid: String,
    #[prost(string, tag = "3")]
    key_id: String,
    #[prost(btree_map = "string, bytes", tag = "4")]
    annotations: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, PartialEq, Message)]
struct DecryptResponse {
    #[prost(bytes = "vec", tag = "1")]
    plaintext: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct EncryptRequest {
    #[prost(bytes = "vec", tag = "1")]
    plaintext: Vec<u8>,
    #[prost(string, tag = "2")]
    uid: String,
}

/// What the plugin made of a key.
#[derive(Clone, PartialEq, Message)]
pub(super) struct EncryptResponse {
    #[prost(bytes = "vec", tag = "1")]
    pub ciphertext: Vec<u8>,
    #[prost(string, tag = "2")]
    pub key_id: String,
    #[prost(btree_map = "string, bytes", tag = "3")]
    pub annotations: BTreeMap<String, Vec<u8>>,
}

/// A connection to a plugin, which is made when it is first needed.
pub(super) struct Service {
    channel: Channel,
    timeout: Duration,
}

async fn connect(socket: Arc<str>) -> std::io::Result<TokioIo<UnixStream>> {
    let stream = match socket.strip_prefix('@') {
        None => UnixStream::connect(&*socket).await?,
        Some(name) => {
            // Connecting to a socket of this host either works at once or fails.
            let address = std::os::unix::net::SocketAddr::from_abstract_name(name)?;
            let stream = std::os::unix::net::UnixStream::connect_addr(&address)?;
            stream.set_nonblocking(true)?;
            UnixStream::from_std(stream)?
        }
    };
    Ok(TokioIo::new(stream))
}

/// Whether nobody listened.
fn never_connected(status: &Status) -> bool {
    let mut source = std::error::Error::source(status);
    while let Some(error) = source {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

/// Whether an error of a call is that of a plugin that did not answer.
pub(super) fn is_unanswered(why: &str) -> bool {
    ["DeadlineExceeded", "Unavailable"].iter().any(|code| why.starts_with(&format!("rpc error: code = {code} ")))
}

impl Service {
    pub(super) fn new(socket: &str, timeout: Duration) -> Self {
        let socket: Arc<str> = Arc::from(socket);
        let connector = tower::service_fn(move |_: Uri| connect(Arc::clone(&socket)));
        let channel = Endpoint::from_static("http://localhost").connect_with_connector_lazy(connector);
        Self { channel, timeout }
    }

    /// Makes a call; waits for a plugin that does not listen yet, for as long as a call may take.
    async fn call<Q, A>(&self, path: &'static str, request: Q) -> Result<A, String>
    where
        Q: Message + Clone + 'static,
        A: Message + Default + 'static,
    {
        let began = Instant::now();
        loop {
            let attempt = async {
                let mut client = tonic::client::Grpc::new(self.channel.clone());
                client.ready().await.map_err(|error| Status::from_error(error.into()))?;
                let request = tonic::Request::new(request.clone());
                client.unary(request, PathAndQuery::from_static(path), ProstCodec::<Q, A>::default()).await
            };
            let left = self.timeout.saturating_sub(began.elapsed());
            match timeout(left, attempt).await {
                Ok(Ok(answer)) => return Ok(answer.into_inner()),
                Ok(Err(status)) if never_connected(&status) && began.elapsed() + PAUSE < self.timeout => {
                    sleep(PAUSE).await;
                }
                Ok(Err(status)) => {
                    return Err(format!("rpc error: code = {:?} desc = {}", status.code(), status.message()));
                }
                Err(_) => return Err("rpc error: code = DeadlineExceeded desc = context deadline exceeded".to_owned()),
            }
        }
    }

    pub(super) async fn status(&self) -> Result<StatusResponse, String> {
        self.call("/v2.KeyManagementService/Status", StatusRequest {}).await
    }

    pub(super) async fn encrypt(&self, uid: &str, plaintext: Vec<u8>) -> Result<EncryptResponse, String> {
        let request = EncryptRequest { plaintext, uid: uid.to_owned() };
        self.call("/v2.KeyManagementService/Encrypt", request).await
    }

    /// Decrypts a key of its encrypted form, the name of the plugin's key, and annotations.
    pub(super) async fn decrypt(
        &self,
        uid: &str,
        (ciphertext, key_id, annotations): (Vec<u8>, String, BTreeMap<String, Vec<u8>>),
    ) -> Result<Vec<u8>, String> {
        let request = DecryptRequest { ciphertext, uid: uid.to_owned(), key_id, annotations };
        let answer: DecryptResponse = self.call("/v2.KeyManagementService/Decrypt", request).await?;
        Ok(answer.plaintext)
    }
}
