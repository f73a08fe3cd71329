//! Scheduler and controllers as roles: alone in a process with a kubeconfig, or beside an API server in `up`.
//!
//! Either way a role reaches the cluster through `host/client` alone, serves its health and its numbers on a port of
//! its own, and works only while it holds its Lease if there may be others of its kind.

mod election;
mod follow;
mod serving;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use clap::Args;
use portcullis_client::Client;
use portcullis_client::serve::Metrics;
use portcullis_controllers::{ControllersConfig, SigningCa};
use portcullis_plugins::first_party;
use portcullis_plugins::manager::{ManagerConfig, PluginManager};
use portcullis_plugins::rollout::plan::Plan;
use portcullis_policy::{DetachedHost, Runtime, RuntimeConfig, Stage};
use portcullis_scheduler::{PolicyProvider, SchedulerConfig};
use tokio_util::sync::CancellationToken;

pub use self::election::{Election, ElectionFlags, duration};
use self::follow::PluginFollower;
use self::serving::Serving;
pub use self::serving::ServingFlags;
use crate::placement::ComponentPolicies;
use crate::plugin_cli;

/// The port of the scheduler's health and metrics.
pub const SCHEDULER_PORT: u16 = 10259;
/// The port of the controllers' health and metrics.
pub const CONTROLLER_MANAGER_PORT: u16 = 10257;

/// What the scheduler needs to run alone.
#[derive(Args)]
pub struct SchedulerFlags {
    /// How to reach the API server and as whom
    #[arg(long)]
    kubeconfig: PathBuf,
    /// Where compiled components are kept
    #[arg(long, default_value = "portcullis-scheduler")]
    data_dir: PathBuf,
    /// The port of health and metrics (HTTPS); 0 for none
    #[arg(long, default_value_t = SCHEDULER_PORT)]
    secure_port: u16,
    #[command(flatten)]
    serving: ServingFlags,
    #[command(flatten)]
    election: ElectionFlags,
}

/// What the controllers need to run alone.
#[derive(Args)]
pub struct ControllerManagerFlags {
    /// How to reach the API server and as whom
    #[arg(long)]
    kubeconfig: PathBuf,
    /// Controllers to run: `*`, a name, or `-name` for not that one
    #[arg(long, value_delimiter = ',')]
    controllers: Vec<String>,
    /// The CA that is published to every namespace as kube-root-ca.crt
    #[arg(long)]
    root_ca_file: Option<PathBuf>,
    /// The certificate of the CA that signs approved CertificateSigningRequests
    #[arg(long, requires = "cluster_signing_key_file")]
    cluster_signing_cert_file: Option<PathBuf>,
    /// Its private key, PKCS#8 in PEM
    #[arg(long, requires = "cluster_signing_cert_file")]
    cluster_signing_key_file: Option<PathBuf>,
    /// The port of health and metrics (HTTPS); 0 for none
    #[arg(long, default_value_t = CONTROLLER_MANAGER_PORT)]
    secure_port: u16,
    #[command(flatten)]
    serving: ServingFlags,
    #[command(flatten)]
    election: ElectionFlags,
}

fn connect(kubeconfig: &std::path::Path) -> anyhow::Result<Client> {
    Client::from_kubeconfig(kubeconfig).with_context(|| format!("{} cannot be used", kubeconfig.display()))
}

/// Runs the scheduler alone until shutdown. Its components are the embedded ones and those of the cluster's Plugins of
/// the stage `scheduler`, followed through the API.
///
/// # Errors
/// If the process cannot start or loses its Lease: whoever started it starts it again, in a known state.
pub async fn scheduler(flags: SchedulerFlags, shutdown: CancellationToken) -> anyhow::Result<()> {
    let client = connect(&flags.kubeconfig)?;
    std::fs::create_dir_all(&flags.data_dir).with_context(|| flags.data_dir.display().to_string())?;
    let manager = Arc::new(PluginManager::new(
        Runtime::new(RuntimeConfig::new(&flags.data_dir).with_shipped(plugin_cli::shipped()))?,
        Arc::new(DetachedHost::default()),
        ManagerConfig { data_dir: flags.data_dir.clone(), embedded_config: Default::default() },
    ));
    let own: Vec<_> = first_party::plugins()
        .into_iter()
        .filter(|plugin| plugin["spec"]["stage"] == Stage::Scheduler.as_str())
        .map(|plugin| (plugin, Ok(Plan::Direct)))
        .collect();
    manager.apply_all(&own).await;
    let metrics = Arc::new(Metrics::default());
    let serving = Serving::new(&flags.serving, flags.secure_port, &metrics)?;
    let serving = tokio::spawn(serving.run(shutdown.clone()));
    PluginFollower::new(client.clone(), Arc::clone(&manager)).start(&shutdown).await;
    let election = flags.election.election("kube-scheduler", &metrics);
    let policies = Arc::new(ComponentPolicies(manager));
    let work = lead_scheduler(client, election, policies, metrics, shutdown.clone());
    until_over(work, serving, shutdown).await
}

/// Schedules while leading.
///
/// # Errors
/// If the Lease was lost.
pub async fn lead_scheduler(
    client: Client,
    election: Option<Election>,
    policies: Arc<dyn PolicyProvider>,
    metrics: Arc<Metrics>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let config = SchedulerConfig { metrics, ..SchedulerConfig::default() };
    let work = {
        let client = client.clone();
        move |leading| portcullis_scheduler::run(client, config, policies, leading)
    };
    election::lead(client, election, shutdown, work).await
}

/// Runs the controllers alone until shutdown.
///
/// # Errors
/// As [`scheduler`].
pub async fn controller_manager(flags: ControllerManagerFlags, shutdown: CancellationToken) -> anyhow::Result<()> {
    let read = |path: &PathBuf| std::fs::read_to_string(path).with_context(|| path.display().to_string());
    let root_ca = flags.root_ca_file.as_ref().map(read).transpose()?.unwrap_or_default();
    let signing_ca = match (&flags.cluster_signing_cert_file, &flags.cluster_signing_key_file) {
        (Some(certificate), Some(key)) => Some(SigningCa { certificate: read(certificate)?, key: read(key)? }),
        _ => None,
    };
    let client = connect(&flags.kubeconfig)?;
    let metrics = Arc::new(Metrics::default());
    let serving = Serving::new(&flags.serving, flags.secure_port, &metrics)?;
    let serving = tokio::spawn(serving.run(shutdown.clone()));
    let election = flags.election.election("kube-controller-manager", &metrics);
    let config = ControllersConfig { root_ca, signing_ca, controllers: flags.controllers };
    let work = lead_controllers(client, election, config, shutdown.clone());
    until_over(work, serving, shutdown).await
}

/// Runs the controllers while leading.
///
/// # Errors
/// If the Lease was lost.
pub async fn lead_controllers(
    client: Client,
    election: Option<Election>,
    config: ControllersConfig,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let work = {
        let client = client.clone();
        move |leading| portcullis_controllers::run(client, config, leading)
    };
    election::lead(client, election, shutdown, work).await
}

/// Serves a role's health and numbers beside an API server.
///
/// # Errors
/// If the port cannot be had.
pub fn serve_beside(
    flags: &ServingFlags,
    port: u16,
    metrics: &Arc<Metrics>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    tokio::spawn(Serving::new(flags, port, metrics)?.run(shutdown));
    Ok(())
}

async fn until_over(
    work: impl Future<Output = anyhow::Result<()>>,
    serving: tokio::task::JoinHandle<anyhow::Result<()>>,
    shutdown: CancellationToken,
) -> anyhow::Result<()> {
    let result = tokio::select! {
        result = work => result,
        served = serving => match served {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error),
            Err(error) => Err(error.into()),
        },
    };
    shutdown.cancel();
    result
}
