//! `portcullis plugin …`: what people who write policies type. The work is done in `portcullis-kit`.

mod cluster_flags;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use clap::Subcommand;
use portcullis_kit::runner::Bench;
use portcullis_kit::{Language, Project, apply, bench, build, inspect, scaffold};
use portcullis_machinery::Value;
use portcullis_plugins::spec::parse_duration;
use portcullis_policy::{Runtime, RuntimeConfig, Stage};

use self::cluster_flags::ClusterFlags;

/// See the module.
#[derive(Subcommand)]
pub enum PluginCommand {
    /// Make a project for a policy: its source, its Plugin, two cases
    New {
        /// The policy's name, and that of the new folder
        name: String,
        /// rust, javascript, python, go or c
        #[arg(long, default_value = "rust")]
        lang: Language,
        /// authenticator, authorizer, mutator, validator, objectValidator, scheduler or converter
        #[arg(long, default_value = "validator")]
        stage: Stage,
    },
    /// Build a project's component into its build/ folder
    Build {
        /// The project
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Run a project's cases
    Test {
        /// The project
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Only cases whose title contains this
        #[arg(long, default_value = "")]
        only: String,
        /// Show what the policy logs even where a case passes
        #[arg(long, short)]
        verbose: bool,
    },
    /// Measure what the calls of a project's cases cost
    Bench {
        /// The project
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// Fail if half of the warm calls of a case take longer, for example 50us
        #[arg(long, value_parser = duration)]
        budget: Option<Duration>,
        /// The budget is for calls in a fresh instance
        #[arg(long, requires = "budget")]
        fresh: bool,
        /// Only cases whose title contains this
        #[arg(long, default_value = "")]
        only: String,
    },
    /// Put a component (or any other content) into the cluster's module store and print its digest
    Push {
        /// The content
        file: PathBuf,
        #[command(flatten)]
        cluster: ClusterFlags,
    },
    /// Build a project, push its component, apply its Plugin, and wait until it serves
    Apply {
        /// The project
        #[arg(default_value = ".")]
        dir: PathBuf,
        /// How long to wait, for example 30s
        #[arg(long, default_value = "60s", value_parser = duration)]
        wait: Duration,
        #[command(flatten)]
        cluster: ClusterFlags,
    },
    /// Compile the components that this program embeds, into a folder beside it, so that a first start need not
    Precompile,
    /// Say what a component is: its world, its imports, the grants it needs, and what it reads
    Inspect {
        /// The component
        file: PathBuf,
        /// A configuration as JSON or YAML text, to ask the component what it reads with it
        #[arg(long)]
        config: Option<String>,
    },
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| format!("{text:?} is not a duration such as 50us or 2s"))
}

/// Runs a command.
///
/// # Errors
/// In words for the person who typed it.
pub async fn run(command: PluginCommand) -> anyhow::Result<()> {
    match command {
        PluginCommand::New { name, lang, stage } => {
            let dir = scaffold::new(&name, Path::new("."), lang, stage)?;
            print!("{}", scaffold::next_steps(&dir));
            Ok(())
        }
        PluginCommand::Build { dir } => {
            let path = build::build(&Project::open(&dir)?)?;
            let size = std::fs::metadata(&path)?.len();
            println!("{} ({} KiB)", path.display(), size.div_ceil(1024));
            Ok(())
        }
        PluginCommand::Test { dir, only, verbose } => test(&dir, &only, verbose).await,
        PluginCommand::Bench { dir, budget, fresh, only } => measure(&dir, budget, fresh, &only).await,
        PluginCommand::Push { file, cluster } => {
            println!("{}", apply::push(&cluster.client()?, read(&file)?.into()).await?);
            Ok(())
        }
        PluginCommand::Apply { dir, wait, cluster } => {
            let client = cluster.client()?;
            let (project, bytes) = built(&dir)?;
            let digest = apply::apply(&client, &project, bytes, wait).await?;
            println!("{} serves {digest}", project.name());
            Ok(())
        }
        PluginCommand::Precompile => precompile().await,
        PluginCommand::Inspect { file, config } => {
            let config: Option<Value> = config.map(|text| serde_saphyr::from_str(&text)).transpose()?;
            let about = inspect::inspect(read(&file)?.into(), config).await?;
            about.lines().iter().for_each(|line| println!("{line}"));
            Ok(())
        }
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))
}

/// A project with its component as its files are now.
fn built(dir: &Path) -> anyhow::Result<(Project, Bytes)> {
    let project = Project::open(dir)?;
    build::ensure(&project)?;
    let bytes = project.read_component()?;
    Ok((project, bytes))
}

async fn test(dir: &Path, only: &str, verbose: bool) -> anyhow::Result<()> {
    let (project, bytes) = built(dir)?;
    apply::check(&project, &bytes)?;
    let bench = Bench::new(&project, bytes)?;
    let mut cases = bench.cases()?;
    cases.retain(|case| case.title.contains(only));
    if cases.is_empty() {
        bail!("there are no cases in {}", dir.join("cases").display());
    }
    let reports = bench.run(&cases).await?;
    let failed = reports.iter().filter(|report| !report.differences.is_empty()).count();
    for report in &reports {
        let failed = !report.differences.is_empty();
        println!("{}  {}", if failed { "FAIL" } else { "ok  " }, report.title);
        report.differences.iter().for_each(|line| println!("    {line}"));
        if failed || verbose {
            report.log.iter().for_each(|line| println!("      log {line}"));
        }
    }
    println!("{} passed, {failed} failed", reports.len() - failed);
    if failed > 0 {
        println!("(- is what a case expects, + what the policy answered)");
        bail!("{failed} of {} cases failed", reports.len());
    }
    Ok(())
}

async fn measure(dir: &Path, budget: Option<Duration>, fresh: bool, only: &str) -> anyhow::Result<()> {
    let (project, bytes) = built(dir)?;
    let bench = Bench::new(&project, bytes)?;
    let mut cases = bench.cases()?;
    cases.retain(|case| case.title.contains(only));
    println!("{:>9} {:>9} {:>11} {:>11} {:>9}  case", "warm p50", "p99", "fresh p50", "p99", "memory");
    let micros = |time: Duration| format!("{:.1} us", time.as_secs_f64() * 1e6);
    let mut over = Vec::new();
    for case in &cases {
        let Some(figures) = bench::measure(&bench, case).await? else { continue };
        let (warm, made) = (&figures.warm, &figures.fresh);
        println!(
            "{:>9} {:>9} {:>11} {:>11} {:>9}  {}",
            micros(warm.quantile(0.5)),
            micros(warm.quantile(0.99)),
            micros(made.quantile(0.5)),
            micros(made.quantile(0.99)),
            format!("{} KiB", figures.memory.div_ceil(1024)),
            figures.title
        );
        let half = if fresh { made.quantile(0.5) } else { warm.quantile(0.5) };
        if budget.is_some_and(|budget| half > budget) {
            over.push(format!("{} takes {}", figures.title, micros(half)));
        }
    }
    if let (Some(budget), false) = (budget, over.is_empty()) {
        bail!("over the budget of {}: {}", micros(budget), over.join(", "));
    }
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
