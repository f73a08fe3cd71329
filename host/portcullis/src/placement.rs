//! Scheduler components, in the shape in which the scheduler asks for them.

use std::sync::Arc;

use portcullis_machinery::Value;
use portcullis_plugins::manager::PluginManager;
use portcullis_policy::{Document, PodDocument, Policy, Scheduling, Stage};
use portcullis_scheduler::{NodeBatch, Placement, PlacementPolicy, PodCounter, PolicyProvider};

/// The scheduler plugins that are in service when a pod's turn comes.
pub struct ComponentPolicies(pub Arc<PluginManager>);

impl PolicyProvider for ComponentPolicies {
    fn policies(&self) -> Arc<[Arc<dyn PlacementPolicy>]> {
        let table = self.0.stage(Stage::Scheduler);
        let policies = table.all().iter().map(|plugin| {
            let policy: Arc<dyn PlacementPolicy> = Arc::new(Component(Arc::clone(&plugin.policy)));
            policy
        });
        policies.collect()
    }
}

struct Component(Arc<Policy>);

struct Counter(Arc<dyn PodCounter>);

impl Scheduling for Counter {
    fn count_pods(&self, namespace: &str, selector: &str) -> Vec<u32> {
        let counted = serde_json::from_str(selector)
            .map_err(|error| error.to_string())
            .and_then(|selector: Value| self.0.count_pods(namespace, &selector));
        counted.unwrap_or_else(|error| {
            tracing::warn!(selector, error, "a scheduler component asked for pods with a selector that is none");
            Vec::new()
        })
    }
}

impl PlacementPolicy for Component {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn version(&self) -> String {
        self.0.digest().to_string()
    }

    fn pack_node(&self, node: &Value) -> Arc<[u8]> {
        // A node that cannot be packed reads as one without any of the declared values.
        self.0.pack_node(node).unwrap_or_default().into()
    }

    fn place(&self, pod: &Value, batch: &NodeBatch<'_>) -> Result<Placement, String> {
        let document: Arc<dyn Document> = Arc::new(PodDocument(Arc::new(pod.clone())));
        let given = portcullis_policy::NodeBatch {
            nodes: u32::try_from(batch.nodes.len()).unwrap_or(u32::MAX),
            resources: batch.resources.to_vec(),
            requests: batch.requests.to_vec(),
            allocatable: batch.allocatable.to_vec(),
            requested: batch.requested.to_vec(),
            node_values: self
                .0
                .join_nodes(&mut batch.packed.iter().map(|packed| &**packed))
                .map_err(|error| error.to_string())?,
        };
        let counter = Arc::new(Counter(Arc::clone(&batch.counter)));
        let placement = self.0.call_scheduler(&document, &given, counter).map_err(|error| error.to_string())?;
        Ok(Placement { scores: placement.scores, reasons: placement.reasons })
    }
}
