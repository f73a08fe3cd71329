//! `portcullis plugin …`: what people who write policies type.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use bytes::Bytes;
use clap::{Args, Subcommand};
use http::Method;
use portcullis_apiserver::modules;
use portcullis_client::kubeconfig::Token;
use portcullis_client::resource::MODULES;
use portcullis_client::{Client, ClientConfig, HttpsTransport};
use portcullis_policy::{Digest, Runtime, RuntimeConfig};

/// See the module.
#[derive(Subcommand)]
pub enum PluginCommand {
    /// Put a component (or any other content) into the cluster's module store and print its digest
    Push {
        /// The content
        file: PathBuf,
        #[command(flatten)]
        cluster: ClusterFlags,
    },
    /// Compile the components that this program embeds, into a folder beside it, so that a first start need not
    Precompile,
    /// Say what a component is: its stage, its imports, the grants it needs
    Inspect {
        /// The component
        file: PathBuf,
    },
}

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
    fn client(&self) -> anyhow::Result<Client> {
        let optional = |path: &Option<PathBuf>| path.as_deref().map_or(Ok(Vec::new()), read);
        if let Some(server) = &self.server {
            let config = ClientConfig {
                server: server.clone(),
                ca: optional(&self.certificate_authority)?,
                client_certificate: optional(&self.client_certificate)?,
                client_key: optional(&self.client_key)?,
                token: self.token.clone().map_or(Token::None, Token::Fixed),
                ..ClientConfig::default()
            };
            return Ok(Client::new(std::sync::Arc::new(HttpsTransport::new(&config)?)));
        }
        let path = match (&self.kubeconfig, &self.data_dir) {
            (Some(path), _) => path.clone(),
            (None, Some(directory)) => directory.join("admin.kubeconfig"),
            (None, None) => default_kubeconfig().context("give --kubeconfig, --data-dir or --server")?,
        };
        Ok(Client::from_kubeconfig(&path)?)
    }
}

/// The first file of $KUBECONFIG, or kubectl's own.
fn default_kubeconfig() -> Option<PathBuf> {
    let given = std::env::var_os("KUBECONFIG");
    let first = given.iter().flat_map(std::env::split_paths).find(|path| !path.as_os_str().is_empty());
    first.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".kube/config")))
}

/// Runs a command.
///
/// # Errors
/// In words for the person who typed it.
pub async fn run(command: PluginCommand) -> anyhow::Result<()> {
    match command {
        PluginCommand::Push { file, cluster } => push(&file, &cluster).await,
        PluginCommand::Precompile => precompile().await,
        PluginCommand::Inspect { file } => inspect(&file).await,
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

async fn push(file: &Path, cluster: &ClusterFlags) -> anyhow::Result<()> {
    let bytes = Bytes::from(read(file)?);
    let digest = Digest::of(&bytes);
    let client = cluster.client()?.with_user_agent("portcullis-plugin");
    let path = MODULES.path("", &modules::name_of(&digest), "content");
    client.call(Method::PUT, &path, "application/wasm", "application/json", bytes).await?;
    println!("{digest}");
    Ok(())
}

/// The folder of compiled components that comes with this program: beside it, under its name.
pub fn shipped() -> Option<PathBuf> {
    Some(std::env::current_exe().ok()?.with_extension("components"))
}

async fn precompile() -> anyhow::Result<()> {
    let folder = shipped().context("this program does not know where it is")?;
    let runtime = Runtime::new(RuntimeConfig::new(&folder))?;
    let compile = |component: &'static portcullis_first_party::Component| {
        let runtime = runtime.clone();
        async move { runtime.inspect(Bytes::from_static(component.bytes)).await }
    };
    futures::future::try_join_all(portcullis_first_party::COMPONENTS.iter().map(compile)).await?;
    Ok(())
}

async fn inspect(file: &Path) -> anyhow::Result<()> {
    let scratch = std::env::temp_dir().join(format!("portcullis-inspect-{}", std::process::id()));
    let runtime = Runtime::new(RuntimeConfig::new(&scratch))?;
    let info = runtime.inspect(read(file)?.into()).await;
    // Nothing of it is needed again; what cannot be removed is in the system's directory for such things.
    let _ = std::fs::remove_dir_all(&scratch);
    let info = info?;
    println!("digest:  {}", info.digest);
    println!("size:    {} bytes", info.bytes);
    println!("stage:   {}", info.stage.map_or("none", |stage| stage.as_str()));
    println!("imports: {}", info.imports.join(", "));
    println!("grants:  {}", info.grants.iter().map(|grant| grant.as_str()).collect::<Vec<_>>().join(", "));
    Ok(())
}
