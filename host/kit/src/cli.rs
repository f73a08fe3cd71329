//! What people who write policies type after `portcullis plugin`, and what they see.

mod cluster_flags;
mod live;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use clap::Subcommand;
use portcullis_machinery::Value;
use portcullis_plugins::spec::parse_duration;
use portcullis_policy::Stage;

use self::cluster_flags::ClusterFlags;
use crate::runner::Bench;
use crate::{KitError, Language, Project, apply, bench, build, inspect, scaffold};

/// See the module.
#[derive(Subcommand)]
pub enum Command {
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
        /// Which cluster
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
        /// Which cluster
        #[command(flatten)]
        cluster: ClusterFlags,
    },
    /// What is about policies in service
    #[command(flatten)]
    Live(live::LiveCommand),
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
pub async fn run(command: Command) -> Result<(), KitError> {
    match command {
        Command::New { name, lang, stage } => {
            let dir = scaffold::new(&name, Path::new("."), lang, stage)?;
            print!("{}", scaffold::next_steps(&dir));
            Ok(())
        }
        Command::Build { dir } => {
            let path = build::build(&Project::open(&dir)?)?;
            let size = std::fs::metadata(&path).map_err(KitError::file(&path))?.len();
            println!("{} ({} KiB)", path.display(), size.div_ceil(1024));
            Ok(())
        }
        Command::Test { dir, only, verbose } => test(&dir, &only, verbose).await,
        Command::Bench { dir, budget, fresh, only } => measure(&dir, budget, fresh, &only).await,
        Command::Push { file, cluster } => {
            println!("{}", apply::push(&cluster.client()?, read(&file)?.into()).await?);
            Ok(())
        }
        Command::Apply { dir, wait, cluster } => {
            let client = cluster.client()?;
            let (project, bytes) = built(&dir)?;
            let digest = apply::apply(&client, &project, bytes, wait).await?;
            println!("{} serves {digest}", project.name());
            Ok(())
        }
        Command::Live(command) => live::run(command).await,
        Command::Inspect { file, config } => {
            let wrong = |error: serde_saphyr::Error| KitError::Project(format!("--config: {error}"));
            let config: Option<Value> = config.map(|text| serde_saphyr::from_str(&text)).transpose().map_err(wrong)?;
            let about = inspect::inspect(read(&file)?.into(), config).await?;
            about.lines().iter().for_each(|line| println!("{line}"));
            Ok(())
        }
    }
}

fn read(file: &Path) -> Result<Vec<u8>, KitError> {
    let unreadable = |error| KitError::Project(format!("cannot read {}: {error}", file.display()));
    std::fs::read(file).map_err(unreadable)
}

/// A project with its component as its files are now.
fn built(dir: &Path) -> Result<(Project, Bytes), KitError> {
    let project = Project::open(dir)?;
    build::ensure(&project)?;
    let bytes = project.read_component()?;
    Ok((project, bytes))
}

async fn test(dir: &Path, only: &str, verbose: bool) -> Result<(), KitError> {
    let (project, bytes) = built(dir)?;
    apply::check(&project, &bytes)?;
    let bench = Bench::new(&project, bytes)?;
    let mut cases = bench.cases()?;
    cases.retain(|case| case.title.contains(only));
    if cases.is_empty() {
        return Err(KitError::Unmet(format!("there are no cases in {}", dir.join("cases").display())));
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
        return Err(KitError::Unmet(format!("{failed} of {} cases failed", reports.len())));
    }
    Ok(())
}

async fn measure(dir: &Path, budget: Option<Duration>, fresh: bool, only: &str) -> Result<(), KitError> {
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
        return Err(KitError::Unmet(format!("over the budget of {}: {}", micros(budget), over.join(", "))));
    }
    Ok(())
}
