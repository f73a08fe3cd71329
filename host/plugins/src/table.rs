//! What serves: for each stage, the plugins in their order, as immutable tables that requests read without a lock.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use portcullis_policy::{Policy, Stage};

use crate::matching::{Matcher, RequestKind};
use crate::mode::Mode;
use crate::outcomes::Outcomes;
use crate::rollout::trial::Trial;
use crate::spec::FailurePolicy;

/// One version of a plugin that serves. A new version is a new value: a request that took this one finishes on it.
#[derive(Clone)]
pub struct LivePlugin {
    /// The name of the Plugin object.
    pub name: String,
    /// Plugins of a stage run by ascending order, then by name.
    pub order: i32,
    /// What becomes of a request when the component fails.
    pub failure_policy: FailurePolicy,
    /// What becomes of its decisions.
    pub mode: Mode,
    /// Whether it is a component of the binary's own: its refusals are in the reference's words, without its name.
    pub embedded: bool,
    /// Which requests it sees.
    pub matcher: Matcher,
    /// The component.
    pub policy: Arc<Policy>,
    /// What it decided.
    pub outcomes: Arc<Outcomes>,
    /// The candidate that runs beside it, if there is one.
    pub trial: Option<Arc<Trial>>,
}

impl LivePlugin {
    /// The same version with another candidate beside it, or with none.
    pub fn with_trial(&self, trial: Option<Arc<Trial>>) -> Self {
        Self { trial, ..self.clone() }
    }

    /// `<plugin>@<digest>`, as the audit log names a version.
    pub fn version(&self) -> String {
        format!("{}@{}", self.name, self.policy.digest())
    }

    /// Whether requests of a kind are for this version, or for the candidate beside it.
    fn matches_kind(&self, kind: &RequestKind<'_>) -> bool {
        let of_candidate = |trial: &Arc<Trial>| trial.candidate.matcher.matches_kind(kind);
        self.matcher.matches_kind(kind) || self.trial.as_ref().is_some_and(of_candidate)
    }
}

/// The plugins of one stage, in their order.
#[derive(Default)]
pub struct StageTable {
    plugins: Vec<Arc<LivePlugin>>,
    /// Which plugins' rules match a kind of request, found once for each kind: there are a few hundred kinds at most,
    /// bounded by what the server serves, and the memory goes with the table.
    by_kind: RwLock<HashMap<OwnedKind, Arc<[Arc<LivePlugin>]>>>,
}

type OwnedKind = [String; 5];

impl StageTable {
    fn new(mut plugins: Vec<Arc<LivePlugin>>) -> Self {
        plugins.sort_by(|a, b| (a.order, &a.name).cmp(&(b.order, &b.name)));
        Self { plugins, by_kind: RwLock::default() }
    }

    /// All plugins of the stage.
    pub fn all(&self) -> &[Arc<LivePlugin>] {
        &self.plugins
    }

    /// The plugins whose rules match requests of this kind, or whose candidate's do; their selectors are still to be
    /// asked, and where there is a candidate its and their own rules too.
    pub fn for_kind(&self, kind: &RequestKind<'_>) -> Arc<[Arc<LivePlugin>]> {
        let key = [kind.operation, kind.group, kind.version, kind.resource, kind.subresource].map(str::to_owned);
        if let Some(found) = self.by_kind.read().get(&key) {
            return Arc::clone(found);
        }
        let matching: Arc<[Arc<LivePlugin>]> =
            self.plugins.iter().filter(|plugin| plugin.matches_kind(kind)).cloned().collect();
        self.by_kind.write().insert(key, Arc::clone(&matching));
        matching
    }
}

/// The tables of all stages at one moment.
#[derive(Default)]
pub struct Tables {
    stages: HashMap<Stage, Arc<StageTable>>,
    empty: Arc<StageTable>,
}

impl Tables {
    /// Sorts plugins into their stages.
    pub fn new(plugins: impl IntoIterator<Item = Arc<LivePlugin>>) -> Self {
        let mut stages: HashMap<Stage, Vec<Arc<LivePlugin>>> = HashMap::new();
        for plugin in plugins {
            stages.entry(plugin.policy.stage()).or_default().push(plugin);
        }
        let stages = stages.into_iter().map(|(stage, list)| (stage, Arc::new(StageTable::new(list)))).collect();
        Self { stages, empty: Arc::default() }
    }

    /// The table of one stage.
    pub fn stage(&self, stage: Stage) -> &Arc<StageTable> {
        self.stages.get(&stage).unwrap_or(&self.empty)
    }
}
