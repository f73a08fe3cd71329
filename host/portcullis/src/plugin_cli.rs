//! `portcullis plugin …`: what people who write policies type. The work is done in `portcullis-kit`.

use std::path::PathBuf;

use anyhow::Context as _;
use bytes::Bytes;
use clap::Subcommand;
use portcullis_kit::cli;
use portcullis_policy::{Runtime, RuntimeConfig};

/// See the module.
#[derive(Subcommand)]
pub enum PluginCommand {
    /// What needs nothing of this server
    #[command(flatten)]
    Kit(cli::Command),
    /// Compile the components that this program embeds, into a folder beside it, so that a first start need not
    Precompile,
}

/// Runs a command.
///
/// # Errors
/// In words for the person who typed it.
pub async fn run(command: PluginCommand) -> anyhow::Result<()> {
    match command {
        PluginCommand::Kit(command) => Ok(cli::run(command).await?),
        PluginCommand::Precompile => precompile().await,
    }
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
