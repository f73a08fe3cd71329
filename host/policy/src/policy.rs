//! One loaded version of a plugin, and the calls of its stage.

use crate::{
    AuthenticatorOutcome, AuthorizerDecision, CallError, Digest, Document, Findings, InputForm, Limits, Mutation,
    NodeBatch, Placement, PolicyStats, Scheduling, Stage, Verdict,
};
use serde_json::Value;
use std::sync::Arc;

/// What a policy declared when it accepted its configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Declaration {
    /// The paths into the stage's document.
    pub paths: Vec<String>,
    /// The paths into each Node (schedulers only).
    pub node_paths: Vec<String>,
    /// How values are packed.
    pub form: InputForm,
}

/// One loaded version of a plugin.
pub struct Policy {}

impl Policy {
    /// The name of the Plugin.
    pub fn name(&self) -> &str {
        todo!()
    }
    /// The user that the plugin reads the cluster as.
    pub fn identity(&self) -> &str {
        todo!()
    }
    /// The digest of the module that serves.
    pub fn digest(&self) -> Digest {
        todo!()
    }
    /// The stage.
    pub fn stage(&self) -> Stage {
        todo!()
    }
    /// The limits that are kept.
    pub fn limits(&self) -> &Limits {
        todo!()
    }
    /// What the policy reads.
    pub fn declaration(&self) -> &Declaration {
        todo!()
    }
    /// Whether the same input always gets the same answer: the component imports nothing but `log`.
    pub fn is_pure(&self) -> bool {
        todo!()
    }
    /// Counters since this version was loaded.
    pub fn stats(&self) -> PolicyStats {
        todo!()
    }
    /// Asks an authenticator who is calling.
    pub fn call_authenticator(&self, document: &Arc<dyn Document>) -> Result<AuthenticatorOutcome, CallError> {
        todo!()
    }
    /// Asks an authorizer whether they may.
    pub fn call_authorizer(&self, document: &Arc<dyn Document>) -> Result<AuthorizerDecision, CallError> {
        todo!()
    }
    /// Asks a mutator what should be different.
    pub fn call_mutator(&self, document: &Arc<dyn Document>) -> Result<Mutation, CallError> {
        todo!()
    }
    /// Asks a validator for its verdict.
    pub fn call_validator(&self, document: &Arc<dyn Document>) -> Result<Verdict, CallError> {
        todo!()
    }
    /// Asks an object validator what is wrong with the object.
    pub fn call_object_validator(&self, document: &Arc<dyn Document>) -> Result<Findings, CallError> {
        todo!()
    }
    /// Asks a scheduler component to filter and score a batch of nodes for a pod. The answer has a score for each node
    /// and a reason for each negative one.
    pub fn call_scheduler(
        &self,
        document: &Arc<dyn Document>,
        batch: &NodeBatch,
        scheduling: Arc<dyn Scheduling>,
    ) -> Result<Placement, CallError> {
        todo!()
    }
    /// Packs the declared `node-paths` of one Node. Keep the result for as long as the node's version lives.
    pub fn pack_node(&self, node: &Value) -> Vec<u8> {
        todo!()
    }
    /// Makes `NodeBatch::node_values` from [packed nodes](Policy::pack_node), in the order of the batch.
    pub fn join_nodes<'a>(&self, nodes: &mut dyn Iterator<Item = &'a [u8]>) -> Vec<u8> {
        todo!()
    }
}
