//! What an API server can be told, with kube-apiserver's flag names and defaults.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

/// An authorizer that can be named in `--authorization-mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizationMode {
    /// Kubelets may touch what their pods need.
    Node,
    /// Roles and bindings.
    Rbac,
    /// Everything is allowed. For tests only.
    AlwaysAllow,
    /// Nothing but `system:masters` is allowed.
    AlwaysDeny,
}

/// The server's settings. Field names follow kube-apiserver's flags.
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// Where the server keeps its PKI and state.
    pub data_dir: PathBuf,
    /// The address and port to listen on. Default 127.0.0.1:6443.
    pub bind: SocketAddr,
    /// `--advertise-address`: where other members of the cluster reach the server. Default: the bind address, or the
    /// address of the default route if that is unspecified.
    pub advertise_address: Option<IpAddr>,
    /// `--tls-cert-file`: PEM, leaf first. Default: made in the data directory.
    pub tls_cert_file: Option<PathBuf>,
    /// `--tls-private-key-file`: PEM.
    pub tls_private_key_file: Option<PathBuf>,
    /// `--client-ca-file`: further client CAs to trust beside the one in the data directory.
    pub client_ca_file: Option<PathBuf>,
    /// `--service-account-key-file`: public (or private) keys that ServiceAccount tokens may be signed with.
    pub service_account_key_files: Vec<PathBuf>,
    /// `--service-account-signing-key-file`: the private key that signs new tokens.
    pub service_account_signing_key_file: Option<PathBuf>,
    /// `--service-account-issuer`: the first signs, all are accepted. Default `https://kubernetes.default.svc`.
    pub service_account_issuers: Vec<String>,
    /// `--service-account-jwks-uri`: where the key set is published; default derived from the external address.
    pub service_account_jwks_uri: Option<String>,
    /// `--service-account-max-token-expiration`; `None` for no bound.
    pub service_account_max_token_expiration: Option<Duration>,
    /// `--service-account-extend-token-expiration`. Default on.
    pub service_account_extend_token_expiration: bool,
    /// `--api-audiences`. Empty stands for the issuers.
    pub api_audiences: Vec<String>,
    /// `--token-auth-file`: CSV of token, user, uid and groups.
    pub token_auth_file: Option<PathBuf>,
    /// `--service-cluster-ip-range`. Default 10.96.0.0/16.
    pub service_cluster_ip_range: Vec<IpNet>,
    /// `--service-node-port-range`, both ends included. Default 30000-32767.
    pub service_node_port_range: (u16, u16),
    /// `--anonymous-auth`. Default on.
    pub anonymous_auth: bool,
    /// `--authorization-mode`. Default Node,RBAC.
    pub authorization_mode: Vec<AuthorizationMode>,
    /// `--max-requests-inflight`: reads at a time. Default 400; 0 for no limit.
    pub max_requests_inflight: usize,
    /// `--max-mutating-requests-inflight`: writes at a time. Default 200; 0 for no limit.
    pub max_mutating_requests_inflight: usize,
    /// `--max-watches-per-user`: watches that one user may have open. Default 0, for no limit.
    pub max_watches_per_user: usize,
    /// `--request-timeout` for requests that are not long-running. Default one minute.
    pub request_timeout: Duration,
    /// `--min-request-timeout`: a watch without a timeout ends after this to twice this. Default 30 minutes.
    pub min_request_timeout: Duration,
    /// `--http2-max-streams-per-connection`. Default 1000.
    pub http2_max_streams: u32,
    /// The largest request body in bytes. Default 3 MiB.
    pub max_request_body_bytes: usize,
    /// The largest module that may be pushed, in bytes. Default 64 MiB.
    pub max_module_bytes: usize,
    /// `--plugin-replay-bytes`: how many bytes of recent admission requests are kept. Default 0, which keeps none.
    pub plugin_replay_bytes: usize,
    /// `--enable-admission-plugins=NodeRestriction`: kubelets may only write what is theirs. Default off, as in the reference.
    pub node_restriction: bool,
    /// `--runtime-config`: `group/version=true|false`, `api/beta=true`, as given.
    pub runtime_config: Vec<String>,
    /// `--default-not-ready-toleration-seconds`. Default 300.
    pub default_not_ready_toleration_seconds: i64,
    /// `--default-unreachable-toleration-seconds`. Default 300.
    pub default_unreachable_toleration_seconds: i64,
    /// `--event-ttl`. Default one hour.
    pub event_ttl: Duration,
    /// `--allow-privileged`: whether containers may be privileged. Default on, as clusters set it.
    pub allow_privileged: bool,
    /// `--kubelet-certificate-authority`: the CA that kubelets' serving certificates are verified against; default the
    /// cluster's own.
    pub kubelet_certificate_authority: Option<PathBuf>,
    /// Where on this machine the scheduler says whether it is well, for ComponentStatuses; 0 if it does not. Default 10259.
    pub scheduler_port: u16,
    /// The same of the controllers. Default 10257.
    pub controller_manager_port: u16,
    /// Which part of the URL's path leads to this server: empty, or `/tenants/<name>` (see [`crate::tenants`]).
    pub url_path: String,
    /// The `pki` folder whose CA signs serving certificates; the one in the data directory if not given.
    pub server_ca_dir: Option<PathBuf>,
    /// Whether other API servers may use the same store.
    pub shared_store: bool,
    /// `--shutdown-delay-duration`: how long requests are still taken once the server has said that it is about to end.
    pub shutdown_delay: Duration,
    /// The name of this machine's node, for which a kubelet certificate is made. Default: the host name.
    pub node_name: String,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            data_dir: PathBuf::from("portcullis-data"),
            bind: SocketAddr::from(([127, 0, 0, 1], 6443)),
            advertise_address: None,
            tls_cert_file: None,
            tls_private_key_file: None,
            client_ca_file: None,
            service_account_key_files: Vec::new(),
            service_account_signing_key_file: None,
            service_account_issuers: vec!["https://kubernetes.default.svc".to_owned()],
            service_account_jwks_uri: None,
            service_account_max_token_expiration: None,
            service_account_extend_token_expiration: true,
            api_audiences: Vec::new(),
            token_auth_file: None,
            service_cluster_ip_range: vec!["10.96.0.0/16".parse().unwrap_or_else(|_| unreachable!("a constant"))],
            service_node_port_range: (30000, 32767),
            anonymous_auth: true,
            authorization_mode: vec![AuthorizationMode::Node, AuthorizationMode::Rbac],
            max_requests_inflight: 400,
            max_mutating_requests_inflight: 200,
            max_watches_per_user: 0,
            request_timeout: Duration::from_secs(60),
            min_request_timeout: Duration::from_secs(1800),
            http2_max_streams: 1000,
            max_request_body_bytes: 3 * 1024 * 1024,
            max_module_bytes: 64 * 1024 * 1024,
            plugin_replay_bytes: 0,
            node_restriction: false,
            runtime_config: Vec::new(),
            default_not_ready_toleration_seconds: 300,
            default_unreachable_toleration_seconds: 300,
            event_ttl: Duration::from_secs(3600),
            allow_privileged: true,
            kubelet_certificate_authority: None,
            scheduler_port: 10259,
            controller_manager_port: 10257,
            url_path: String::new(),
            server_ca_dir: None,
            shared_store: false,
            shutdown_delay: Duration::ZERO,
            node_name: host_name(),
        }
    }
}

impl ServerConfig {
    /// The audiences that a token must be for: `--api-audiences`, or else the issuers.
    pub fn audiences(&self) -> &[String] {
        if self.api_audiences.is_empty() { &self.service_account_issuers } else { &self.api_audiences }
    }

    /// The first address of the (first) service range: the cluster IP of the `kubernetes` service.
    pub fn first_service_ip(&self) -> Option<IpAddr> {
        let net = self.service_cluster_ip_range.first()?;
        match net.network() {
            IpAddr::V4(ip) => Some(IpAddr::V4(u32::from(ip).checked_add(1)?.into())),
            IpAddr::V6(ip) => Some(IpAddr::V6(u128::from(ip).checked_add(1)?.into())),
        }
    }

    /// The address that other members reach the server at.
    pub fn advertised(&self) -> SocketAddr {
        let ip = self.advertise_address.unwrap_or_else(|| {
            if self.bind.ip().is_unspecified() { route_address().unwrap_or(self.bind.ip()) } else { self.bind.ip() }
        });
        SocketAddr::new(ip, self.bind.port())
    }
}

/// This machine's name in lower case, as the kubelet takes it for its node's name; `localhost` if there is none.
pub fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim().to_lowercase();
    if name.is_empty() { "localhost".to_owned() } else { name }
}

/// The address that packets of the default route leave from. A UDP socket is connected for it, nothing is sent.
fn route_address() -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}
