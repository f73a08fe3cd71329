//! The flags of the API server. One that kube-apiserver has keeps its name and its default.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use portcullis_apiserver::ServerConfig;
use portcullis_apiserver::server_config::AuthorizationMode;
use portcullis_storage::Tenant;

use crate::audit_flags::AuditFlags;
use crate::kubelet::KUBELET_PORT;
use crate::roles::{CONTROLLER_MANAGER_PORT, SCHEDULER_PORT, duration};
use crate::store::{Engine, StoreFlags};

/// The name of what `admission/nodes.rs` of the API server does.
const NODE_RESTRICTION: &str = "NodeRestriction";

/// Which plugins are loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Plugins {
    /// The first-party ones and those of Plugin objects.
    All,
    /// The first-party ones alone, as the binary carries them: the way back in when a plugin has gone wrong.
    Builtin,
}

/// See the module.
#[derive(Args)]
pub struct ServerFlags {
    /// Where everything that must not be lost is kept
    #[arg(long, default_value = "portcullis-data")]
    pub data_dir: PathBuf,
    /// The address and port that the API is served on
    #[arg(long, default_value = "127.0.0.1:6443")]
    pub bind: SocketAddr,
    /// Where the state is
    #[command(flatten)]
    pub store: StoreFlags,
    /// Which plugins are loaded
    #[arg(long, value_enum, default_value = "all")]
    pub plugins: Plugins,
    /// The range that services' cluster IPs come from
    #[arg(long, value_delimiter = ',', default_value = "10.96.0.0/16")]
    pub service_cluster_ip_range: Vec<String>,
    /// The issuer of ServiceAccount tokens
    #[arg(long, default_value = "https://kubernetes.default.svc")]
    pub service_account_issuer: Vec<String>,
    /// The private key that signs ServiceAccount tokens, instead of the one made in the data directory
    #[arg(long)]
    pub service_account_signing_key_file: Option<PathBuf>,
    /// Keys, private or public, whose ServiceAccount tokens are accepted too
    #[arg(long)]
    pub service_account_key_file: Vec<PathBuf>,
    /// The audiences that a token may be for; the issuer if none are given
    #[arg(long, value_delimiter = ',')]
    pub api_audiences: Vec<String>,
    /// Static bearer tokens: token,user,uid,"group1,group2" on each line
    #[arg(long)]
    pub token_auth_file: Option<PathBuf>,
    /// Whether requests without a credential are served, as system:anonymous
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    pub anonymous_auth: bool,
    /// Whether containers may be privileged; if it is not said: in a cluster started as a whole they may
    #[arg(long, num_args = 0..=1, default_missing_value = "true")]
    pub allow_privileged: Option<bool>,
    /// Versions and resources to serve or not: api/all=true, storage.k8s.io/v1beta1=true
    #[arg(long, value_delimiter = ',')]
    pub runtime_config: Vec<String>,
    /// The certificate to serve with, instead of the one made in the data directory
    #[arg(long)]
    pub tls_cert_file: Option<PathBuf>,
    /// Its key
    #[arg(long)]
    pub tls_private_key_file: Option<PathBuf>,
    /// Another CA whose client certificates are accepted
    #[arg(long)]
    pub client_ca_file: Option<PathBuf>,
    /// How many requests that read may be in flight
    #[arg(long, default_value_t = 400)]
    pub max_requests_inflight: usize,
    /// How many requests that write may be in flight
    #[arg(long, default_value_t = 200)]
    pub max_mutating_requests_inflight: usize,
    /// How many watches one user may have open; 0 for no limit
    #[arg(long, default_value_t = 0)]
    pub max_watches_per_user: usize,
    /// The address at which other members of the cluster reach the server; the one that it listens on if not given
    #[arg(long)]
    pub advertise_address: Option<IpAddr>,
    /// The ports that services get on nodes
    #[arg(long, default_value = "30000-32767", value_parser = port_range)]
    pub service_node_port_range: (u16, u16),
    /// Who says whether a request is allowed, in this order: Node, RBAC, AlwaysAllow, AlwaysDeny
    #[arg(long, value_delimiter = ',', default_value = "Node,RBAC", value_parser = authorizer)]
    pub authorization_mode: Vec<AuthorizationMode>,
    /// Admission that is not on by default: NodeRestriction, which is on in a cluster started as a whole
    #[arg(long, value_delimiter = ',', value_parser = admission_plugin)]
    pub enable_admission_plugins: Vec<String>,
    /// How long events are kept
    #[arg(long, default_value = "1h", value_parser = duration)]
    pub event_ttl: Duration,
    /// How long a request may take, unless it streams
    #[arg(long, default_value = "1m", value_parser = duration)]
    pub request_timeout: Duration,
    /// How long a watch lasts at least that does not say for how long, in seconds
    #[arg(long, default_value_t = 1800)]
    pub min_request_timeout: u64,
    /// How many requests one HTTP/2 connection may have under way
    #[arg(long, default_value_t = 1000)]
    pub http2_max_streams_per_connection: u32,
    /// How long requests are still taken after the server was told to end, while /readyz says that it will
    #[arg(long, default_value = "0s", value_parser = duration)]
    pub shutdown_delay_duration: Duration,
    /// Further control planes to serve, each with objects, users, roles and plugins of its own, at /tenants/<name>
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub tenants: Vec<String>,
    /// How many bytes of recent admission requests are kept in memory for `plugin replay`; 0 for none
    #[arg(long, default_value_t = 0)]
    pub plugin_replay_bytes: usize,
    #[command(flatten)]
    pub audit: AuditFlags,
}

/// `30000-32767`.
fn port_range(text: &str) -> Result<(u16, u16), String> {
    let ends = text.split_once('-').and_then(|(low, high)| Some((low.trim().parse().ok()?, high.trim().parse().ok()?)));
    ends.filter(|(low, high)| low <= high && *low > 0)
        .ok_or_else(|| format!("{text:?} is not a range such as 30000-32767"))
}

/// Admission plugins that are on, whatever is said.
const ALWAYS_ON: [&str; 18] = [
    "NamespaceLifecycle",
    "LimitRanger",
    "ServiceAccount",
    "TaintNodesByCondition",
    "PodSecurity",
    "Priority",
    "DefaultTolerationSeconds",
    "DefaultStorageClass",
    "StorageObjectInUseProtection",
    "RuntimeClass",
    "CertificateApproval",
    "CertificateSigning",
    "CertificateSubjectRestriction",
    "DefaultIngressClass",
    "MutatingAdmissionWebhook",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionWebhook",
    "ResourceQuota",
];

fn admission_plugin(name: &str) -> Result<String, String> {
    if name == NODE_RESTRICTION || ALWAYS_ON.contains(&name) {
        Ok(name.to_owned())
    } else {
        Err(format!("there is no admission plugin {name:?}; policies of your own are Plugin objects"))
    }
}

fn authorizer(text: &str) -> Result<AuthorizationMode, String> {
    match text {
        "Node" => Ok(AuthorizationMode::Node),
        "RBAC" => Ok(AuthorizationMode::Rbac),
        "AlwaysAllow" => Ok(AuthorizationMode::AlwaysAllow),
        "AlwaysDeny" => Ok(AuthorizationMode::AlwaysDeny),
        _ => Err(format!("{text:?} is none of Node, RBAC, AlwaysAllow, AlwaysDeny")),
    }
}

impl ServerFlags {
    /// The tenants beside the default one.
    pub fn tenants(&self) -> anyhow::Result<Vec<Tenant>> {
        let mut tenants = Vec::new();
        for name in &self.tenants {
            let tenant = Tenant::new(name).filter(|tenant| !tenant.is_default());
            let tenant = tenant.with_context(|| format!("--tenants: {name:?} is not a DNS label"))?;
            anyhow::ensure!(!tenants.contains(&tenant), "--tenants: {name:?} is there twice");
            tenants.push(tenant);
        }
        Ok(tenants)
    }

    /// The server's settings; `whole` if the other roles of a cluster are in the process too.
    pub fn config(&self, whole: bool) -> anyhow::Result<ServerConfig> {
        let range = |text: &String| text.parse().map_err(|_| anyhow::anyhow!("{text:?} is not an address range"));
        Ok(ServerConfig {
            data_dir: self.data_dir.clone(),
            bind: self.bind,
            service_cluster_ip_range: self.service_cluster_ip_range.iter().map(range).collect::<Result<_, _>>()?,
            service_account_issuers: self.service_account_issuer.clone(),
            service_account_signing_key_file: self.service_account_signing_key_file.clone(),
            service_account_key_files: self.service_account_key_file.clone(),
            api_audiences: self.api_audiences.clone(),
            token_auth_file: self.token_auth_file.clone(),
            anonymous_auth: self.anonymous_auth,
            allow_privileged: self.allow_privileged.unwrap_or(whole),
            runtime_config: self.runtime_config.clone(),
            tls_cert_file: self.tls_cert_file.clone(),
            tls_private_key_file: self.tls_private_key_file.clone(),
            client_ca_file: self.client_ca_file.clone(),
            max_requests_inflight: self.max_requests_inflight,
            max_mutating_requests_inflight: self.max_mutating_requests_inflight,
            max_watches_per_user: self.max_watches_per_user,
            advertise_address: self.advertise_address,
            service_node_port_range: self.service_node_port_range,
            authorization_mode: self.authorization_mode.clone(),
            node_restriction: whole || self.enable_admission_plugins.iter().any(|name| name == NODE_RESTRICTION),
            event_ttl: self.event_ttl,
            request_timeout: self.request_timeout,
            min_request_timeout: Duration::from_secs(self.min_request_timeout),
            http2_max_streams: self.http2_max_streams_per_connection,
            shutdown_delay: self.shutdown_delay_duration,
            plugin_replay_bytes: self.plugin_replay_bytes,
            shared_store: self.store.engine.store == Engine::Etcd,
            ..ServerConfig::default()
        })
    }
}

/// What runs beside the API server in `up`, and where.
#[derive(Args, Clone)]
pub struct UpFlags {
    /// The port of the scheduler's health and metrics; 0 for none
    #[arg(long, default_value_t = SCHEDULER_PORT)]
    pub scheduler_secure_port: u16,
    /// The port of the controllers' health and metrics; 0 for none
    #[arg(long, default_value_t = CONTROLLER_MANAGER_PORT)]
    pub controller_manager_secure_port: u16,
    /// Run no kubelet: the cluster's nodes are elsewhere
    #[arg(long)]
    pub no_kubelet: bool,
    /// The port of the kubelet's own API; 0 for any that is free
    #[arg(long, default_value_t = KUBELET_PORT)]
    pub kubelet_port: u16,
    /// The range of pods' addresses, which is made local to this host; loopback addresses without one
    #[arg(long)]
    pub pod_cidr: Option<ipnet::Ipv4Net>,
}
