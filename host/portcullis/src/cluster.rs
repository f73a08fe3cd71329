//! Puts the roles of a process together.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use portcullis_apiserver::audit::Audit;
use portcullis_apiserver::authn::static_tokens;
use portcullis_apiserver::authz::Authorizer;
use portcullis_apiserver::components::{
    ComponentAdmission, ComponentAuthenticators, ComponentAuthorizers, ComponentConverters,
};
use portcullis_apiserver::pki::{Component, Pki};
use portcullis_apiserver::server::Parts;
use portcullis_apiserver::tenants::{self, Tenants};
use portcullis_apiserver::tokens::TokenIssuer;
use portcullis_apiserver::{ApiServer, ServerConfig, serve};
use portcullis_client::serve::Metrics;
use portcullis_controllers::{ControllersConfig, SigningCa};
use portcullis_machinery::definition::{Registry, RuntimeConfig as ServedVersions};
use portcullis_plugins::manager::{ManagerConfig, PluginManager};
use portcullis_policy::{Runtime, RuntimeConfig};
use portcullis_storage::Tenant;
use portcullis_storage::cache::{CacheHub, HubOptions};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::flags::{Plugins, ServerFlags, UpFlags};
use crate::kubelet;
use crate::placement::ComponentPolicies;
use crate::plugin_host::ServerHost;
use crate::plugin_sync::PluginSync;
use crate::roles::{self, ServingFlags};
use crate::store::Opened;
use crate::{in_process, plugin_cli};

/// How long the workloads of this process get to stop with it.
const KUBELET_STOPS_WITHIN: Duration = Duration::from_secs(5);

/// What runs in the process.
#[derive(Clone)]
pub enum Roles {
    /// API server, scheduler, controllers and, unless it is not wanted, the kubelet.
    All(UpFlags),
    /// The API server alone.
    ApiServer,
}

/// A process with an API server in it.
pub struct ApiServerRole {
    flags: ServerFlags,
}

/// `api/all=true` and `group/version[/resource]=true|false`.
fn served_versions(entries: &[String]) -> anyhow::Result<ServedVersions> {
    let mut served = ServedVersions::default();
    for entry in entries {
        let (name, value) = entry.split_once('=').unwrap_or((entry, "true"));
        let on = value.parse().with_context(|| format!("--runtime-config {entry}: the value must be true or false"))?;
        if name == "api/all" {
            served.all = on;
        } else {
            served.switches.insert(name.to_owned(), on);
        }
    }
    Ok(served)
}

/// What the server tells its embedded components that nobody else knows.
fn embedded_config(config: &ServerConfig) -> anyhow::Result<HashMap<String, Value>> {
    let static_tokens = match &config.token_auth_file {
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
            static_tokens::parse(&text).with_context(|| path.display().to_string())?
        }
        None => Vec::new(),
    };
    let bearer = json!({
        "staticTokens": static_tokens,
        "issuers": config.service_account_issuers,
        "audiences": config.audiences(),
    });
    let objects = json!({"allowPrivileged": config.allow_privileged});
    Ok(HashMap::from([("authn-bearer".to_owned(), bearer), ("validate-objects".to_owned(), objects)]))
}

impl ApiServerRole {
    /// A process with these flags.
    pub fn new(flags: ServerFlags) -> Self {
        Self { flags }
    }

    /// Runs until shutdown.
    ///
    /// # Errors
    /// If the process cannot start, or the listener fails.
    pub async fn run(self, roles: Roles, asked_to_end: CancellationToken) -> anyhow::Result<()> {
        // What works beside the listener goes on while the server still takes requests after it was asked to end.
        let shutdown = CancellationToken::new();
        tokio::spawn({
            let (asked_to_end, shutdown, delay) =
                (asked_to_end.clone(), shutdown.clone(), self.flags.shutdown_delay_duration);
            async move {
                asked_to_end.cancelled().await;
                tokio::time::sleep(delay).await;
                shutdown.cancel();
            }
        });
        let mut config = self.flags.config(matches!(roles, Roles::All(_)))?;
        if let Roles::All(beside) = &roles {
            config.scheduler_port = beside.scheduler_secure_port;
            config.controller_manager_port = beside.controller_manager_secure_port;
        }
        let audit = self.flags.audit.open()?;
        let data_dir = config.data_dir.clone();
        std::fs::create_dir_all(&data_dir).with_context(|| data_dir.display().to_string())?;
        let listener = tokio::net::TcpListener::bind(config.bind)
            .await
            .with_context(|| format!("cannot listen on {}", config.bind))?;
        let default = Prepared::new(Tenant::default(), config.clone())?;
        // Components compile while the store replays.
        let (store, ()) =
            tokio::join!(self.flags.store.open(&data_dir), PluginSync::load_first_party(&default.manager));
        let opened = store?;
        let default = default.start(&self.flags, opened.clone(), audit.as_ref(), &shutdown).await?;
        let mut others = Vec::new();
        for tenant in self.flags.tenants()? {
            let prepared = Prepared::new(tenant.clone(), of_tenant(&config, &tenant))?;
            PluginSync::load_first_party(&prepared.manager).await;
            let scope = Opened { store: tenant.scope(Arc::clone(&opened.store)), ..opened.clone() };
            others.push(prepared.start(&self.flags, scope, audit.as_ref(), &shutdown).await?);
        }
        if let Roles::All(beside) = &roles {
            self.start_others(beside, &default, &others, &shutdown, &asked_to_end)?;
        }
        let kubelet = match &roles {
            Roles::All(beside) if !beside.no_kubelet => {
                Some(kubelet::start_beside(&default.server, beside, shutdown.clone()).await.context("the kubelet")?)
            }
            _ => None,
        };
        println!("export KUBECONFIG={}", absolute(&data_dir.join("admin.kubeconfig")));
        let others = others.into_iter().map(|plane| plane.server).collect();
        serve::serve(Tenants::new(default.server, others), listener, asked_to_end).await?;
        shutdown.cancel();
        if let Some(kubelet) = kubelet {
            // What runs in pods gets a moment to end.
            tokio::time::timeout(KUBELET_STOPS_WITHIN, kubelet).await.ok();
        }
        if let Some(audit) = audit {
            let _ = tokio::task::spawn_blocking(move || audit.flush()).await;
        }
        Ok(())
    }

    /// Starts controllers and schedulers: each tenant has its own, and the default one's say how they are.
    fn start_others(
        &self,
        beside: &UpFlags,
        default: &ControlPlane,
        others: &[ControlPlane],
        shutdown: &CancellationToken,
        end: &CancellationToken,
    ) -> anyhow::Result<()> {
        for plane in std::iter::once(default).chain(others) {
            let of_default = plane.server.tenant.is_default();
            let server = &plane.server;
            let serving = ServingFlags::default();
            let metrics = Arc::new(Metrics::default());
            if of_default {
                roles::serve_beside(&serving, beside.controller_manager_secure_port, &metrics, shutdown.clone())?;
            }
            let client = in_process::client(server, Component::ControllerManager);
            let config = ControllersConfig {
                root_ca: server.pki.ca_pem().to_owned(),
                signing_ca: Some(signing_ca(&server.config.data_dir)?),
                controllers: Vec::new(),
            };
            // `up` is for one process: with the embedded store no other can have its data directory, and with etcd it is
            // for whoever starts it to start one only. Several servers on one etcd run the roles apart, with an election.
            end_with(end, roles::lead_controllers(client, None, config, shutdown.clone()));

            let metrics = Arc::new(Metrics::default());
            if of_default {
                roles::serve_beside(&serving, beside.scheduler_secure_port, &metrics, shutdown.clone())?;
            }
            let client = in_process::client(server, Component::Scheduler);
            let policies = Arc::new(ComponentPolicies(Arc::clone(&plane.manager)));
            end_with(end, roles::lead_scheduler(client, None, policies, metrics, shutdown.clone()));
        }
        Ok(())
    }
}

/// What a tenant's server is told: everything is the default one's, but where its files are and what its URL is.
fn of_tenant(config: &ServerConfig, tenant: &Tenant) -> ServerConfig {
    ServerConfig {
        data_dir: config.data_dir.join("tenants").join(tenant.name()),
        server_ca_dir: Some(config.data_dir.join("pki")),
        url_path: tenants::path_of(tenant),
        ..config.clone()
    }
}

/// A logical control plane before its store is open.
struct Prepared {
    tenant: Tenant,
    config: ServerConfig,
    pki: Arc<Pki>,
    tokens: Arc<TokenIssuer>,
    host: Arc<ServerHost>,
    manager: Arc<PluginManager>,
}

/// One that answers.
struct ControlPlane {
    server: Arc<ApiServer>,
    manager: Arc<PluginManager>,
}

impl Prepared {
    fn new(tenant: Tenant, config: ServerConfig) -> anyhow::Result<Self> {
        let data_dir = &config.data_dir;
        std::fs::create_dir_all(data_dir).with_context(|| data_dir.display().to_string())?;
        let pki = Arc::new(Pki::open(&config)?);
        let tokens = Arc::new(TokenIssuer::new(&config, &pki)?);
        let host = ServerHost::new(&tokens)?;
        let manager = Arc::new(PluginManager::new(
            Runtime::new(RuntimeConfig::new(data_dir).with_shipped(plugin_cli::shipped()))?,
            Arc::clone(&host) as Arc<dyn portcullis_policy::PolicyHost>,
            ManagerConfig { data_dir: data_dir.clone(), embedded_config: embedded_config(&config)? },
        ));
        Ok(Self { tenant, config, pki, tokens, host, manager })
    }

    /// Starts the server over the tenant's scope of the store. It is ready then, and needs only a listener.
    async fn start(
        self,
        flags: &ServerFlags,
        Opened { store, encryption }: Opened,
        audit: Option<&Arc<Audit>>,
        shutdown: &CancellationToken,
    ) -> anyhow::Result<ControlPlane> {
        let Self { tenant, config, pki, tokens, host, manager } = self;
        let hub = Arc::new(CacheHub::start(Arc::clone(&store), HubOptions::default()).await?);
        let kept = config.plugin_replay_bytes;
        let server = ApiServer::new(Parts {
            tenant,
            registry: Arc::new(Registry::builtin(&served_versions(&config.runtime_config)?)),
            authorizer: Arc::new(Authorizer::new(config.authorization_mode.clone())),
            config,
            store,
            hub,
            authenticators: Arc::new(ComponentAuthenticators::new(Arc::clone(&manager))),
            admission: Arc::new(ComponentAdmission::new(Arc::clone(&manager)).recording(kept)),
            pki,
            tokens,
        });
        host.connect(&server);
        if let Some(encryption) = &encryption {
            Opened::attach(encryption, &server, shutdown.clone());
        }
        if let Some(audit) = audit {
            server.attach_audit(Arc::clone(audit));
        }
        server.authorizer.set_components(Arc::new(ComponentAuthorizers::new(Arc::clone(&manager))));
        let _ = server.converters.set(Arc::new(ComponentConverters::new(Arc::clone(&manager))));
        let metrics = Arc::clone(&manager);
        server.health.add_metrics(Arc::new(move || metrics.metrics()));
        server.start(shutdown).await?;
        if flags.plugins == Plugins::All {
            let client = in_process::client(&server, Component::Recovery).with_user_agent("portcullis-plugins");
            let mut sync = PluginSync::new(&server, Arc::clone(&manager), client, shutdown)?;
            sync.load_stored().await?;
            tokio::spawn(sync.run(shutdown.clone()));
        }
        Ok(ControlPlane { server, manager })
    }
}

/// Runs a role whose end is the end of the process.
fn end_with(shutdown: &CancellationToken, role: impl Future<Output = anyhow::Result<()>> + Send + 'static) {
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        if let Err(error) = role.await {
            tracing::error!(error = format!("{error:#}"), "a role ended");
        }
        shutdown.cancel();
    });
}

fn absolute(path: &std::path::Path) -> String {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// The CA of clients, which signs what is approved.
fn signing_ca(data_dir: &Path) -> anyhow::Result<SigningCa> {
    let read = |name: &str| {
        let path = data_dir.join("pki").join(name);
        std::fs::read_to_string(&path).with_context(|| path.display().to_string())
    };
    Ok(SigningCa { certificate: read("client-ca.crt")?, key: read("client-ca.key")? })
}
