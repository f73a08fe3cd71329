//! Commands about policies that are in service.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Subcommand;
use portcullis_machinery::{Value, object};
use portcullis_policy::Digest;

use super::cluster_flags::ClusterFlags;
use super::{built, duration, read};
use crate::replay::{Candidate, Options};
use crate::{KitError, explain, history, replay};

/// See the module.
#[derive(Subcommand)]
pub enum LiveCommand {
    /// Show the versions that a Plugin had, and which of them serves
    History {
        /// The Plugin
        name: String,
        /// Show the spec of this version instead
        #[arg(long)]
        revision: Option<i64>,
        /// Which cluster
        #[command(flatten)]
        cluster: ClusterFlags,
    },
    /// Go back to a version that a Plugin had; it takes over at once
    Undo {
        /// The Plugin
        name: String,
        /// Which version; the one before the present one if not given
        #[arg(long)]
        to_revision: Option<i64>,
        /// Which cluster
        #[command(flatten)]
        cluster: ClusterFlags,
    },
    /// Say which decisions a new version would make otherwise: on recent requests, if the server keeps them, and on all
    /// stored objects
    Replay {
        /// The component, or a project
        file: PathBuf,
        /// The Plugin that it would be a version of; a project's own if not given
        #[arg(long)]
        plugin: Option<String>,
        /// A Plugin in a file, whose spec it would have; the cluster's Plugin's if not given
        #[arg(long)]
        manifest: Option<PathBuf>,
        /// How far back requests are replayed
        #[arg(long, default_value = "10m", value_parser = duration)]
        since: Duration,
        /// Look at no stored objects
        #[arg(long)]
        no_objects: bool,
        /// Fail if a decision would change
        #[arg(long)]
        exit_code: bool,
        /// Which cluster
        #[command(flatten)]
        cluster: ClusterFlags,
    },
    /// Show what a write would meet on its way: who decides what, and how long it takes. Nothing is written
    Explain {
        /// The object, as YAML or JSON; - is the standard input
        #[arg(long, short)]
        file: PathBuf,
        /// The namespace, where the object names none
        #[arg(long, short, default_value = "default")]
        namespace: String,
        /// Explain its deletion
        #[arg(long)]
        delete: bool,
        /// Show the explanation as JSON
        #[arg(long)]
        json: bool,
        /// Which cluster
        #[command(flatten)]
        cluster: ClusterFlags,
    },
}

/// Runs a command.
///
/// # Errors
/// In words for the person who typed it.
pub async fn run(command: LiveCommand) -> Result<(), KitError> {
    match command {
        LiveCommand::History { name, revision, cluster } => {
            let (plugin, revisions) = history::read(&cluster.client()?, &name).await?;
            match revision {
                None => history::lines(&plugin, &revisions).iter().for_each(|line| println!("{line}")),
                Some(number) => print!("{}", yaml(&history::choose(&plugin, &revisions, Some(number))?.spec)?),
            }
            Ok(())
        }
        LiveCommand::Undo { name, to_revision, cluster } => {
            let client = cluster.client()?;
            let (plugin, revisions) = history::read(&client, &name).await?;
            let to = history::choose(&plugin, &revisions, to_revision)?;
            history::undo(&client, &plugin, to).await?;
            println!("{name} is as it was in revision {}", to.number);
            Ok(())
        }
        LiveCommand::Replay { file, plugin, manifest, since, no_objects, exit_code, cluster } => {
            let candidate = candidate(&file, plugin, manifest.as_deref())?;
            let options = Options { since, objects: !no_objects };
            let report = replay::replay(&cluster.client()?, &candidate, options).await?;
            report.notes.iter().for_each(|note| eprintln!("{note}"));
            report.changes.iter().for_each(|line| println!("{line}"));
            println!(
                "{} requests and {} stored objects: {} decisions would change with {}",
                report.requests,
                report.objects,
                report.changes.len(),
                Digest::of(&candidate.component)
            );
            match exit_code && !report.changes.is_empty() {
                true => Err(KitError::Unmet(format!("{} decisions would change", report.changes.len()))),
                false => Ok(()),
            }
        }
        LiveCommand::Explain { file, namespace, delete, json, cluster } => {
            let object = parse(&file)?;
            let explanation = explain::explain(&cluster.client()?, &object, &namespace, delete).await?;
            match json {
                true => println!("{explanation:#}"),
                false => explain::lines(&explanation).iter().for_each(|line| println!("{line}")),
            }
            Ok(())
        }
    }
}

fn yaml(value: &Value) -> Result<String, KitError> {
    serde_saphyr::to_string(value).map_err(|error| KitError::Project(format!("it cannot be written as YAML: {error}")))
}

fn parse(file: &Path) -> Result<Value, KitError> {
    let text = match file.to_str() {
        Some("-") => std::io::read_to_string(std::io::stdin()).map_err(KitError::file(file))?.into_bytes(),
        _ => read(file)?,
    };
    let wrong = |error: &dyn std::fmt::Display| KitError::Project(format!("{}: {error}", file.display()));
    let text = String::from_utf8(text).map_err(|error| wrong(&error))?;
    serde_saphyr::from_str(&text).map_err(|error| wrong(&error))
}

fn candidate(file: &Path, plugin: Option<String>, manifest: Option<&Path>) -> Result<Candidate, KitError> {
    let (component, own) = if file.is_dir() {
        let (project, bytes) = built(file)?;
        let own = project.object(&Digest::of(&bytes));
        (bytes, Some(own))
    } else {
        (read(file)?.into(), None)
    };
    let manifest = manifest.map(parse).transpose()?.or(own);
    let named = manifest.as_ref().map(|manifest| object::name(manifest).to_owned());
    let plugin = plugin.or(named).filter(|name| !name.is_empty());
    let plugin =
        plugin.ok_or_else(|| KitError::Project("say which Plugin it would be a version of: --plugin NAME".into()))?;
    Ok(Candidate { component, plugin, spec: manifest.map(|manifest| manifest["spec"].clone()) })
}
