//! The kubelet as a role: alone with a kubeconfig, or beside an API server in `up`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use portcullis_apiserver::ApiServer;
use portcullis_apiserver::pki::Component;
use portcullis_client::Client;
use portcullis_kubelet::content::ApiContent;
use portcullis_kubelet::server::{NodeApi, Server, ServerConfig};
use portcullis_kubelet::wasm::{WasmRuntime, WasmRuntimeConfig};
use portcullis_kubelet::{Agent, KubeletConfig, Runtimes};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::flags::UpFlags;
use crate::in_process;

/// The port of the kubelet's own API.
pub const KUBELET_PORT: u16 = 10250;

/// What the kubelet needs to run alone. What the reference's kubelet has keeps its name and default.
#[derive(Args)]
pub struct KubeletFlags {
    /// How to reach the API server and as whom
    #[arg(long)]
    kubeconfig: PathBuf,
    /// The name of the Node, if not this machine's
    #[arg(long, alias = "node-name")]
    hostname_override: Option<String>,
    /// Where volumes, logs and images are kept
    #[arg(long, default_value = "/var/lib/kubelet")]
    root_dir: PathBuf,
    /// The address to listen on
    #[arg(long, default_value = "0.0.0.0")]
    address: IpAddr,
    /// The port to listen on
    #[arg(long, default_value_t = KUBELET_PORT)]
    port: u16,
    /// The address that the API server reaches this node at
    #[arg(long)]
    node_ip: Option<IpAddr>,
    /// Whether to make the Node object
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true")]
    register_node: bool,
    /// More labels of the Node: name=value,…
    #[arg(long, value_delimiter = ',')]
    node_labels: Vec<String>,
    /// How many pods may run here
    #[arg(long, default_value_t = 110)]
    max_pods: u32,
    /// The range of pods' addresses, which is made local to this host; loopback addresses without one
    #[arg(long)]
    pod_cidr: Option<ipnet::Ipv4Net>,
    /// The certificate to serve with, instead of one made in the root directory
    #[arg(long)]
    tls_cert_file: Option<PathBuf>,
    /// Its key
    #[arg(long)]
    tls_private_key_file: Option<PathBuf>,
    /// The CA whose client certificates are accepted
    #[arg(long)]
    client_ca_file: Option<PathBuf>,
}

/// The address by which this machine reaches others. Nothing is sent: the kernel only picks a route.
fn route_address() -> IpAddr {
    let picked = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).and_then(|socket| {
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        socket.local_addr()
    });
    picked.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip())
}

fn labels(given: &[String]) -> anyhow::Result<Vec<(String, String)>> {
    let split = |label: &String| {
        let (name, value) = label.split_once('=').with_context(|| format!("--node-labels {label}: not name=value"))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    given.iter().map(split).collect()
}

/// Runs the kubelet alone until shutdown.
///
/// # Errors
/// If it cannot start.
pub async fn run(flags: KubeletFlags, shutdown: CancellationToken) -> anyhow::Result<()> {
    let client = Client::from_kubeconfig(&flags.kubeconfig)
        .with_context(|| format!("{} cannot be used", flags.kubeconfig.display()))?;
    let tls = match (flags.tls_cert_file, flags.tls_private_key_file) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => bail!("--tls-cert-file and --tls-private-key-file go together"),
    };
    let client_ca = match &flags.client_ca_file {
        Some(path) => Some(std::fs::read_to_string(path).with_context(|| path.display().to_string())?),
        None => None,
    };
    let unspecified = flags.address.is_unspecified();
    let node_ip = flags.node_ip.unwrap_or_else(|| if unspecified { route_address() } else { flags.address });
    let config = KubeletConfig {
        node_name: flags.hostname_override.unwrap_or_else(portcullis_apiserver::server_config::host_name),
        root_dir: flags.root_dir,
        node_ip,
        register_node: flags.register_node,
        node_labels: labels(&flags.node_labels)?,
        max_pods: flags.max_pods,
        ..KubeletConfig::default()
    };
    let listen = SocketAddr::new(flags.address, flags.port);
    start(config, client, listen, flags.pod_cidr, tls, client_ca, shutdown).await?.await?;
    Ok(())
}

/// Starts the kubelet of a whole cluster in one process, with the node's identity and certificate of the cluster's PKI.
///
/// # Errors
/// If it cannot start.
pub async fn start_beside(
    server: &Arc<ApiServer>,
    flags: &UpFlags,
    shutdown: CancellationToken,
) -> anyhow::Result<JoinHandle<()>> {
    let config = &server.config;
    let pki = config.data_dir.join("pki");
    let file = |name: &str| pki.join(name);
    let client_ca = std::fs::read_to_string(file("client-ca.crt")).context("the CA of client certificates")?;
    let ip = config.advertised().ip();
    let kubelet = KubeletConfig {
        node_name: config.node_name.clone(),
        root_dir: absolute(&config.data_dir)?.join("kubelet"),
        node_ip: ip,
        ..KubeletConfig::default()
    };
    let client = in_process::client(server, Component::Kubelet);
    let listen = SocketAddr::new(config.bind.ip(), flags.kubelet_port);
    let tls = Some((file("kubelet-serving.crt"), file("kubelet-serving.key")));
    start(kubelet, client, listen, flags.pod_cidr, tls, Some(client_ca), shutdown).await
}

/// The directories of workloads are theirs to see: they must not depend on where this process was started.
fn absolute(path: &Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| path.display().to_string())
}

async fn start(
    mut config: KubeletConfig,
    client: Client,
    listen: SocketAddr,
    pod_cidr: Option<ipnet::Ipv4Net>,
    tls: Option<(PathBuf, PathBuf)>,
    client_ca: Option<String>,
    shutdown: CancellationToken,
) -> anyhow::Result<JoinHandle<()>> {
    config.root_dir = absolute(&config.root_dir)?;
    let content = Arc::new(ApiContent::new(client.with_user_agent("kubelet")));
    let runtime = WasmRuntimeConfig { directory: config.root_dir.join("wasm"), content, pod_cidr };
    let runtimes = Runtimes::default().with(Arc::new(WasmRuntime::new(runtime).context("the Wasm runtime")?));
    let served = ServerConfig {
        address: listen,
        node_name: config.node_name.clone(),
        tls,
        directory: config.root_dir.join("pki"),
        names: vec![config.node_ip.to_string(), "127.0.0.1".to_owned(), "localhost".to_owned()],
        client_ca,
        configuration: json!({
            "kind": "KubeletConfiguration", "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "address": listen.ip(), "port": listen.port(), "maxPods": config.max_pods,
        }),
    };
    let agent = Agent::new(config, &client, runtimes, shutdown.clone())?;
    let server = Server::bind(served, &client, Arc::clone(&agent) as Arc<dyn NodeApi>).await?;
    // With port 0 the Node says which one it became.
    agent.set_port(server.local_addr()?.port());
    Ok(tokio::spawn(async move {
        tokio::join!(server.run(shutdown), agent.run());
    }))
}
