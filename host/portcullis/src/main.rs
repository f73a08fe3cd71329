//! `portcullis`: the whole control plane in one process (`up`), each role alone, and the plugin commands.

#![forbid(unsafe_code)]

mod audit_flags;
mod cluster;
mod flags;
mod in_process;
mod kubelet;
mod placement;
mod plugin_cli;
mod plugin_host;
mod plugin_sync;
mod roles;
mod store;
mod store_cli;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tokio_util::sync::CancellationToken;

use crate::cluster::{ApiServerRole, Roles};
use crate::flags::{ServerFlags, UpFlags};
use crate::kubelet::KubeletFlags;
use crate::plugin_cli::PluginCommand;
use crate::roles::{ControllerManagerFlags, SchedulerFlags};
use crate::store_cli::StoreCommand;

/// Requests allocate and free many small pieces: trees of JSON, headers, patches. The C library's allocator took a fifth
/// of a write's CPU.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
    /// Save, restore, compact and check a store
    #[command(subcommand)]
    Store(StoreCommand),
}

fn main() -> ExitCode {
    let level = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // What a plugin's own level lets through is written, whatever the level of the process.
    let level = match format!("{}=trace", portcullis_policy::log::CHOSEN).parse() {
        Ok(directive) => level.add_directive(directive),
        Err(_) => level,
    };
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
        Ok(code) => code,
        Err(error) => {
            eprintln!("portcullis: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let shutdown = CancellationToken::new();
    let done = match command {
        Command::Store(command) => return store_cli::run(command).await,
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
        Command::Plugin(command) => plugin_cli::run(command).await,
    };
    done.map(|()| ExitCode::SUCCESS)
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
