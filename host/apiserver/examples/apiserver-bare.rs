//! An API server without components: client certificates are read natively, nothing is mutated or validated by policy.
//! For measuring and testing the generic engine alone; the product is the binary `portcullis`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use portcullis_apiserver::admission::NoAdmission;
use portcullis_apiserver::authn::{Authenticated, Authenticators};
use portcullis_apiserver::authz::Authorizer;
use portcullis_apiserver::pki::Pki;
use portcullis_apiserver::server::Parts;
use portcullis_apiserver::tokens::TokenIssuer;
use portcullis_apiserver::{ApiServer, ServerConfig, UserInfo, serve};
use portcullis_machinery::definition::{Registry, RuntimeConfig};
use portcullis_machinery::{Status, Value};
use portcullis_storage::Tenant;
use portcullis_storage::cache::{CacheHub, HubOptions};
use portcullis_storage::embedded::{EmbeddedOptions, EmbeddedStore};
use tokio_util::sync::CancellationToken;

/// Takes the certificate's common name for the user and its organisations for the groups.
struct Certificates;

#[async_trait]
impl Authenticators for Certificates {
    async fn authenticate(&self, document: &Value) -> Result<Option<Authenticated>, Status> {
        let Some(leaf) = document.pointer("/tls/peerCertificates/0") else { return Ok(None) };
        let strings = |value: Option<&Value>| -> Vec<String> {
            let list = value.and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let name = leaf.pointer("/subject/commonName").and_then(Value::as_str).unwrap_or_default().to_owned();
        let groups = strings(leaf.pointer("/subject/organization"));
        let user = UserInfo { username: name, groups, ..UserInfo::default() };
        Ok(Some(Authenticated { user, remember: true }))
    }

    fn generation(&self) -> u64 {
        1
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let data_dir = PathBuf::from(args.next().unwrap_or_else(|| "portcullis-data".to_owned()));
    let bind: SocketAddr = args.next().unwrap_or_else(|| "127.0.0.1:6443".to_owned()).parse()?;
    std::fs::create_dir_all(&data_dir)?;
    let config = ServerConfig { data_dir: data_dir.clone(), bind, ..ServerConfig::default() };
    let pki = Arc::new(Pki::open(&config)?);
    let store = EmbeddedStore::open(&data_dir.join("store"), EmbeddedOptions::default()).await?;
    let hub = Arc::new(CacheHub::start(store.clone(), HubOptions::default()).await?);
    let server = ApiServer::new(Parts {
        tenant: Tenant::default(),
        tokens: Arc::new(TokenIssuer::new(&config, &pki)?),
        authorizer: Arc::new(Authorizer::new(config.authorization_mode.clone())),
        config,
        store,
        hub,
        registry: Arc::new(Registry::builtin(&RuntimeConfig::default())),
        authenticators: Arc::new(Certificates),
        admission: Arc::new(NoAdmission),
        pki,
    });
    let shutdown = CancellationToken::new();
    server.start(&shutdown).await?;
    println!("serving on https://{bind}");
    let listener = tokio::net::TcpListener::bind(bind).await?;
    serve::serve(portcullis_apiserver::tenants::Tenants::new(server, Vec::new()), listener, shutdown).await?;
    Ok(())
}
