//! `plugin test`: all cases of a project, in the runtime that the server has.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use portcullis_machinery::Value;
use portcullis_policy::{LoadError, Policy, PolicyHost, Runtime, RuntimeConfig};
use serde_json::json;

use crate::call::{Prepared, Question, failure, observed};
use crate::case::{self, Case};
use crate::cluster::CaseHost;
use crate::expect::differences;
use crate::{KitError, Project};

/// What became of one case.
#[derive(Debug)]
pub struct Report {
    /// The case.
    pub title: String,
    /// How the answer differs from what was expected; empty if it does not.
    pub differences: Vec<String>,
    /// What the policy logged.
    pub log: Vec<String>,
}

/// A project's policy in the runtime, with the host that shows it what cases say.
pub struct Bench {
    runtime: Runtime,
    project: Project,
    bytes: Bytes,
    host: Arc<CaseHost>,
}

impl Bench {
    /// Starts a runtime for a component. What it compiles is kept in the project's `build/` folder.
    ///
    /// # Errors
    /// If the runtime does not start.
    pub fn new(project: &Project, bytes: Bytes) -> Result<Bench, KitError> {
        let runtime = Runtime::new(RuntimeConfig::new(project.dir.join("build").join("runtime")))?;
        Ok(Bench { runtime, project: project.clone(), bytes, host: Arc::default() })
    }

    /// The cases of the project.
    ///
    /// # Errors
    /// If one cannot be read.
    pub fn cases(&self) -> Result<Vec<Case>, KitError> {
        self.cases_in(&self.project.dir.join("cases"))
    }

    fn cases_in(&self, folder: &Path) -> Result<Vec<Case>, KitError> {
        case::read_all(folder, self.project.stage, self.host.resources())
    }

    /// Loads the policy with its Plugin's limits and grants.
    ///
    /// # Errors
    /// If it does not load.
    pub async fn load(&self, config: Option<&Value>, fresh: bool) -> Result<Arc<Policy>, KitError> {
        let mut spec = self.project.runtime_spec(&self.bytes, config)?;
        spec.limits.fresh |= fresh;
        let host: Arc<dyn PolicyHost> = Arc::<CaseHost>::clone(&self.host);
        Ok(self.runtime.load(spec, host).await?)
    }

    /// Shows the policy the cluster of a case.
    pub fn show(&self, case: &Case) {
        self.host.show(&case.cluster);
    }

    /// Runs cases, each configuration in an instance of its own.
    ///
    /// # Errors
    /// If the policy does not load for a reason that no case expects.
    pub async fn run(&self, cases: &[Case]) -> Result<Vec<Report>, KitError> {
        let mut loaded: HashMap<Option<String>, Result<Arc<Policy>, String>> = HashMap::new();
        let mut reports = Vec::new();
        for case in cases {
            let key = case.config.as_ref().map(Value::to_string);
            if !loaded.contains_key(&key) {
                let policy = match self.load(case.config.as_ref(), false).await {
                    Err(KitError::Load(LoadError::ConfigRefused(why))) => Err(why),
                    other => Ok(other?),
                };
                loaded.insert(key.clone(), policy);
            }
            self.show(case);
            let answer = match &loaded[&key] {
                Ok(policy) => ask(policy, &case.question),
                Err(why) => json!({"configRefused": {"message": why}}),
            };
            let differences = differences(&case.expect, &answer);
            reports.push(Report { title: case.title.clone(), differences, log: self.host.take_log() });
        }
        Ok(reports)
    }
}

/// The answer to a question, or the failure to give one.
fn ask(policy: &Policy, question: &Question) -> Value {
    let answer = Prepared::new(policy, question).and_then(|prepared| prepared.ask(policy));
    answer.and_then(|answer| observed(answer, question)).unwrap_or_else(|error| failure(&error))
}
