//! `portcullis`: the whole control plane in one process (`up`), each role alone, and the plugin commands.

#![forbid(unsafe_code)]

mod cluster;
mod flags;
mod in_process;
mod kubelet;
mod placement;
mod plugin_host;
mod plugin_sync;
mod roles;
mod store;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use portcullis_policy::{Runtime, RuntimeConfig};
use tokio_util::sync::CancellationToken;

use crate::cluster::{ApiServerRole, Roles};
use crate::flags::{ServerFlags, UpFlags};
use crate::kubelet::KubeletFlags;
use crate::roles::{ControllerManagerFlags, SchedulerFlags};

/// A Kubernetes-compatible control plane in which every decision is a WebAssembly component.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Start API server, scheduler, controllers and kubelet in one process
    Up {
        #[command(flatten)]
        server: ServerFlags,
        #[command(flatten)]
        beside: UpFlags,
    },
    /// Start the API server alone
    Apiserver {
        #[command(flatten)]
        server: ServerFlags,
    },
    /// Start the scheduler alone, against an API server elsewhere
    Scheduler {
        #[command(flatten)]
        flags: SchedulerFlags,
    },
    /// Start the controllers alone, against an API server elsewhere
    ControllerManager {
        #[command(flatten)]
        flags: ControllerManagerFlags,
    },
    /// Start the kubelet alone, against an API server elsewhere
    Kubelet {
        #[command(flatten)]
        flags: KubeletFlags,
    },
    /// Work with policy components
    #[command(subcommand)]
    Plugin(PluginCommand),
}

#[derive(Subcommand)]
enum PluginCommand {
    /// Put a component into a server's module store and print its digest
    Push {
        /// The component
        file: PathBuf,
        /// The data directory of the server
        #[arg(long, default_value = "portcullis-data")]
        data_dir: PathBuf,
    },
    /// Say what a component is: its stage, its imports, the grants it needs
    Inspect {
        /// The component
        file: PathBuf,
    },
}

fn main() -> ExitCode {
    let level = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    tracing_subscriber::fmt().with_env_filter(level).with_writer(std::io::stderr).init();
    let cli = Cli::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("portcullis: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli.command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portcullis: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    let shutdown = CancellationToken::new();
    match command {
        Command::Up { server, beside } => {
            stop_on_signals(&shutdown)?;
            ApiServerRole::new(server).run(Roles::All(beside), shutdown).await
        }
        Command::Apiserver { server } => {
            stop_on_signals(&shutdown)?;
            ApiServerRole::new(server).run(Roles::ApiServer, shutdown).await
        }
        Command::Scheduler { flags } => {
            stop_on_signals(&shutdown)?;
            roles::scheduler(flags, shutdown).await
        }
        Command::ControllerManager { flags } => {
            stop_on_signals(&shutdown)?;
            roles::controller_manager(flags, shutdown).await
        }
        Command::Kubelet { flags } => {
            stop_on_signals(&shutdown)?;
            kubelet::run(flags, shutdown).await
        }
        Command::Plugin(PluginCommand::Push { file, data_dir }) => push(&file, &data_dir).await,
        Command::Plugin(PluginCommand::Inspect { file }) => inspect(&file).await,
    }
}

fn stop_on_signals(shutdown: &CancellationToken) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        shutdown.cancel();
    });
    Ok(())
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

async fn push(file: &Path, data_dir: &Path) -> anyhow::Result<()> {
    if !data_dir.is_dir() {
        bail!("{} is not the data directory of a server", data_dir.display());
    }
    let bytes = read(file)?;
    let runtime = Runtime::new(RuntimeConfig::new(data_dir))?;
    runtime.inspect(bytes.clone().into()).await?;
    println!("{}", runtime.push(&bytes)?);
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
