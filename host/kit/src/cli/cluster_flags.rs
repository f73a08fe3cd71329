//! Which cluster a command speaks to.

use std::path::PathBuf;

use clap::Args;
use portcullis_client::kubeconfig::Token;
use portcullis_client::{Client, ClientConfig, ClientError, HttpsTransport};

use crate::KitError;

/// How to reach a cluster and as whom, with kubectl's names.
#[derive(Args)]
pub struct ClusterFlags {
    /// A kubeconfig file; $KUBECONFIG or ~/.kube/config if nothing else says where the cluster is
    #[arg(long)]
    kubeconfig: Option<PathBuf>,
    /// The data directory of a server on this machine, whose admin.kubeconfig is used
    #[arg(long, conflicts_with = "kubeconfig")]
    data_dir: Option<PathBuf>,
    /// The server's URL
    #[arg(long, conflicts_with_all = ["kubeconfig", "data_dir"])]
    server: Option<String>,
    /// The CA that the server's certificate is checked against
    #[arg(long, requires = "server")]
    certificate_authority: Option<PathBuf>,
    /// A bearer token
    #[arg(long, requires = "server")]
    token: Option<String>,
    /// A client certificate
    #[arg(long, requires_all = ["server", "client_key"])]
    client_certificate: Option<PathBuf>,
    /// Its key
    #[arg(long, requires = "client_certificate")]
    client_key: Option<PathBuf>,
}

impl ClusterFlags {
    /// A client for it.
    ///
    /// # Errors
    /// If a file cannot be read or says nothing that can be used.
    pub fn client(&self) -> Result<Client, KitError> {
        Ok(self.connect()?.with_user_agent("portcullis-plugin"))
    }

    fn connect(&self) -> Result<Client, KitError> {
        let failed = |error: ClientError| KitError::Cluster { what: "there is no way to the cluster".into(), error };
        let optional = |path: &Option<PathBuf>| path.as_deref().map_or(Ok(Vec::new()), super::read);
        if let Some(server) = &self.server {
            let config = ClientConfig {
                server: server.clone(),
                ca: optional(&self.certificate_authority)?,
                client_certificate: optional(&self.client_certificate)?,
                client_key: optional(&self.client_key)?,
                token: self.token.clone().map_or(Token::None, Token::Fixed),
                ..ClientConfig::default()
            };
            return Ok(Client::new(std::sync::Arc::new(HttpsTransport::new(&config).map_err(failed)?)));
        }
        let path = match (&self.kubeconfig, &self.data_dir) {
            (Some(path), _) => path.clone(),
            (None, Some(directory)) => directory.join("admin.kubeconfig"),
            (None, None) => default_kubeconfig()
                .ok_or_else(|| KitError::Project("give --kubeconfig, --data-dir or --server".into()))?,
        };
        Client::from_kubeconfig(&path).map_err(failed)
    }
}

/// The first file of $KUBECONFIG, or kubectl's own.
fn default_kubeconfig() -> Option<PathBuf> {
    let given = std::env::var_os("KUBECONFIG");
    let first = given.iter().flat_map(std::env::split_paths).find(|path| !path.as_os_str().is_empty());
    first.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".kube/config")))
}
