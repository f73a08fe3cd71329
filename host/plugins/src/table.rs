//! What serves: for each stage, the plugins in their order, as immutable tables that requests read without a lock.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use portcullis_policy::{Policy, Stage};

use crate::matching::{Matcher, RequestKind};
use crate::spec::FailurePolicy;

/// One version of a plugin that serves. A new version is a new value: a request that took this one finishes on it.
pub struct LivePlugin {
    /// The name of the Plugin object.
    pub name: String,
    /// Plugins of a stage run by ascending order, then by name.
    pub order: i32,
    /// What becomes of a request when the component fails.
    pub failure_policy: FailurePolicy,
    /// Whether it is a component of the binary's own: its refusals are in the reference's words, without its name.
    pub embedded: bool,
    /// Which requests it sees.
    pub matcher: Matcher,
    /// The component.
    pub policy: Arc<Policy>,
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

    /// The plugins whose rules match requests of this kind; their selectors are still to be asked.
    pub fn for_kind(&self, kind: &RequestKind<'_>) -> Arc<[Arc<LivePlugin>]> {
        let key = [kind.operation, kind.group, kind.version, kind.resource, kind.subresource].map(str::to_owned);
        if let Some(found) = self.by_kind.read().get(&key) {
            return Arc::clone(found);
        }
        let matching: Arc<[Arc<LivePlugin>]> =
            self.plugins.iter().filter(|plugin| plugin.matcher.matches_kind(kind)).cloned().collect();
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
