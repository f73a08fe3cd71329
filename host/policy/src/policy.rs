//! One loaded version of a plugin, and the calls of its stage.

use crate::{
    AuthenticatorOutcome, AuthorizerDecision, CallError, Digest, Document, Findings, Grants, InputForm, Limits,
    LogFilter, Mutation, NodeBatch, Placement, PluginSpec, PolicyStats, Scheduling, Stage, Verdict,
    instance::{Guest, Instance, Prepared},
    output::Output,
    pool::Pool,
    state::State,
    stats::Counters,
};
use portcullis_machinery::{path::Pattern, tape};
use serde_json::Value;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};
use wasmtime::Store;

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
pub struct Policy {
    pub(crate) name: String,
    pub(crate) stage: Stage,
    pub(crate) digest: Digest,
    pub(crate) grants: Grants,
    pub(crate) pure: bool,
    pub(crate) declaration: Declaration,
    pub(crate) patterns: Vec<Pattern>,
    pub(crate) node_patterns: Vec<Pattern>,
    pub(crate) prepared: Prepared,
    pub(crate) pool: Pool,
    pub(crate) counters: Counters,
    /// How many more of the last calls were slow than quick, up to a few; see [`Policy::call`].
    pub(crate) slow: AtomicU8,
    pub(crate) serial: u64,
}

/// A call that took longer than this was slow.
const SLOW: Duration = Duration::from_millis(1);
/// From so many slow calls on a policy is slow. One alone says little: the thread may have been taken off the processor.
pub(crate) const DISTRUST: u8 = 2;

/// Whether this thread is one of a runtime that has others to put in its place.
fn may_block_in_place() -> bool {
    tokio::runtime::Handle::try_current()
        .is_ok_and(|runtime| runtime.runtime_flavor() == tokio::runtime::RuntimeFlavor::MultiThread)
}

impl Policy {
    /// The name of the Plugin.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The user that the plugin reads the cluster as.
    pub fn identity(&self) -> &str {
        &self.prepared.shared.identity
    }

    /// The digest of the module that serves.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// A number that no other loaded version of any plugin in this process has: what came of this one's answers is
    /// not what another would have given.
    pub fn serial(&self) -> u64 {
        self.serial
    }

    /// The stage.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// The limits that are kept.
    pub fn limits(&self) -> &Limits {
        &self.prepared.limits
    }

    /// What the policy reads.
    pub fn declaration(&self) -> &Declaration {
        &self.declaration
    }

    /// Whether it is what this spec would load, its module aside.
    pub fn is_loaded_as(&self, spec: &PluginSpec) -> bool {
        let Prepared { config, limits, shared, .. } = &self.prepared;
        self.stage == spec.stage
            && self.grants == spec.grants
            && *limits == spec.limits
            && *config == spec.config_text()
            && shared.identity == spec.identity()
    }

    /// Says which lines of its log are written from now on, by instances that run too; those that the process's own
    /// filter lets through, if nothing is said.
    pub fn set_log_filter(&self, filter: Option<LogFilter>) {
        self.prepared.shared.log.set(filter);
    }

    /// Whether an answer follows from the input alone: the component imports nothing but `log`.
    pub fn is_pure(&self) -> bool {
        self.pure
    }

    /// Counters since this version was loaded.
    pub fn stats(&self) -> PolicyStats {
        PolicyStats { queue: self.pool.queue(), ..self.counters.read() }
    }

    /// Asks an authenticator who is calling.
    pub fn call_authenticator(&self, document: &Arc<dyn Document>) -> Result<AuthenticatorOutcome, CallError> {
        self.call(document, None, |guest, store, input| match guest {
            Guest::Authenticator(guest) => Some(guest.call_authenticate(store, input)),
            _ => None,
        })
    }

    /// Asks an authorizer whether they may.
    pub fn call_authorizer(&self, document: &Arc<dyn Document>) -> Result<AuthorizerDecision, CallError> {
        self.call(document, None, |guest, store, input| match guest {
            Guest::Authorizer(guest) => Some(guest.call_authorize(store, input)),
            _ => None,
        })
    }

    /// Asks a mutator what should be different.
    pub fn call_mutator(&self, document: &Arc<dyn Document>) -> Result<Mutation, CallError> {
        self.call(document, None, |guest, store, input| match guest {
            Guest::Mutator(guest) => Some(guest.call_mutate(store, input)),
            _ => None,
        })
    }

    /// Asks a validator for its verdict.
    pub fn call_validator(&self, document: &Arc<dyn Document>) -> Result<Verdict, CallError> {
        self.call(document, None, |guest, store, input| match guest {
            Guest::Validator(guest) => Some(guest.call_validate(store, input)),
            _ => None,
        })
    }

    /// Asks an object validator what is wrong with the object.
    pub fn call_object_validator(&self, document: &Arc<dyn Document>) -> Result<Findings, CallError> {
        self.call(document, None, |guest, store, input| match guest {
            Guest::ObjectValidator(guest) => Some(guest.call_validate_object(store, input)),
            _ => None,
        })
    }

    /// Asks a converter for objects in another version, as JSON text: as many as there are in the document. The outer
    /// error is a failure of the component, the inner one its refusal.
    pub fn call_converter(&self, document: &Arc<dyn Document>) -> Result<Result<Vec<String>, String>, CallError> {
        self.call(document, None, |guest, store, input| match guest {
            Guest::Converter(guest) => Some(guest.call_convert(store, input)),
            _ => None,
        })
    }

    /// Asks a scheduler component to filter and score a batch of nodes for a pod. The answer has a score for each node
    /// and a reason for each negative one.
    ///
    /// The columns of the batch must have a value for each resource and node; a batch that does not is the caller's
    /// fault and gets [`CallError::BadInput`].
    pub fn call_scheduler(
        &self,
        document: &Arc<dyn Document>,
        batch: &NodeBatch,
        scheduling: Arc<dyn Scheduling>,
    ) -> Result<Placement, CallError> {
        let (nodes, resources) = (batch.nodes as usize, batch.resources.len());
        let columns = [batch.allocatable.len(), batch.requested.len()];
        if batch.requests.len() != resources || columns != [nodes * resources; 2] {
            return Err(CallError::BadInput("a column of the batch has the wrong length".to_owned()));
        }
        let placement = self.call(document, Some((scheduling, batch.nodes)), |guest, store, input| match guest {
            Guest::Scheduler(guest) => Some(guest.call_place(store, input, batch)),
            _ => None,
        })?;
        if placement.scores.len() != nodes {
            let detail = format!("{} scores for {nodes} nodes", placement.scores.len());
            return Err(CallError::BadOutput(detail));
        }
        Ok(placement)
    }

    /// Packs the declared `node-paths` of one Node. Keep the result for as long as the node's version lives.
    pub fn pack_node(&self, node: &Value) -> Result<Vec<u8>, CallError> {
        self.pack(node, &self.node_patterns)
    }

    /// Makes `NodeBatch::node_values` from [packed nodes](Policy::pack_node), in the order of the batch.
    pub fn join_nodes<'a>(&self, nodes: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, CallError> {
        match self.declaration.form {
            InputForm::Tape => tape::join(nodes.into_iter().map(tape::Tape::trusted))
                .map_err(|error| CallError::BadInput(error.to_string())),
            InputForm::Json => {
                let nodes: Vec<&[u8]> = nodes.into_iter().collect();
                Ok([b"[", nodes.join(&b',').as_slice(), b"]"].concat())
            }
        }
    }

    fn pack(&self, document: &dyn tape::Document, patterns: &[Pattern]) -> Result<Vec<u8>, CallError> {
        match self.declaration.form {
            InputForm::Tape => tape::project(document, patterns),
            InputForm::Json => tape::project_json(document, patterns),
        }
        .map_err(|error| CallError::BadInput(error.to_string()))
    }

    /// Counts an answer that turned out to be unusable after it was given: a patch that does not apply.
    pub fn unusable(&self, why: String) -> CallError {
        let error = CallError::BadOutput(why);
        self.counters.failed_late(&error);
        error
    }

    /// One call, with its counters.
    ///
    /// Calls run where the caller stands, which mostly is a thread that serves many requests. A policy whose last calls
    /// were slow (or that was never called) is not trusted with such a thread: tokio is told that this one blocks, and
    /// puts another in its place. That costs some microseconds, which a quick policy must not pay at every call.
    fn call<R: Output>(
        &self,
        document: &Arc<dyn Document>,
        scheduling: Option<(Arc<dyn Scheduling>, u32)>,
        run: impl FnOnce(&Guest, &mut Store<State>, &[u8]) -> Option<wasmtime::Result<R>>,
    ) -> Result<R, CallError> {
        let start = Instant::now();
        let slow = self.slow.load(Relaxed);
        let result = match slow >= DISTRUST && may_block_in_place() {
            true => tokio::task::block_in_place(|| self.answer(document, scheduling, run)),
            false => self.answer(document, scheduling, run),
        };
        let took = start.elapsed();
        let next = if took > SLOW { (slow + 1).min(DISTRUST + 1) } else { slow.saturating_sub(1) };
        if next != slow {
            self.slow.store(next, Relaxed);
        }
        self.counters.call(took, result.as_ref().err());
        result
    }

    fn answer<R: Output>(
        &self,
        document: &Arc<dyn Document>,
        scheduling: Option<(Arc<dyn Scheduling>, u32)>,
        run: impl FnOnce(&Guest, &mut Store<State>, &[u8]) -> Option<wasmtime::Result<R>>,
    ) -> Result<R, CallError> {
        let limits = &self.prepared.limits;
        let input = self.pack(&**document, &self.patterns)?;
        let (permit, warm) =
            self.pool.acquire(limits.concurrency, limits.queue_wait).ok_or(CallError::Saturated(limits.concurrency))?;
        let mut instance = match warm {
            Some(instance) => instance,
            None => self.instance()?,
        };
        let mut wrong_stage = false;
        let result = instance.call(&self.prepared, document, scheduling, |guest, store| {
            run(guest, store, &input).unwrap_or_else(|| {
                wrong_stage = true;
                Err(wasmtime::Error::msg("wrong stage"))
            })
        });
        self.counters.memory(instance.memory());
        if wrong_stage {
            permit.give_back(instance);
            return Err(CallError::WrongStage(self.stage));
        }
        // On every way out from here but the last the instance is dropped, and only then the next call may run.
        let mut answer = result.map_err(|fault| fault.in_call(limits))?;
        answer.bound().map_err(CallError::BadOutput)?;
        if !limits.fresh && instance.calls() < limits.calls_per_instance {
            permit.give_back(instance);
        }
        Ok(answer)
    }

    /// Another instance, which must behave as the first did.
    fn instance(&self) -> Result<Box<Instance>, CallError> {
        let limits = &self.prepared.limits;
        // A new instance that is kept may take its time to start; one for a single call starts within that call.
        let deadline = if limits.fresh { limits.deadline } else { limits.configure_deadline };
        let (instance, declaration) = Instance::new(&self.prepared, deadline).map_err(|fault| fault.in_call(limits))?;
        self.counters.instance();
        if declaration != self.declaration {
            return Err(CallError::Inconsistent("it declares other paths".to_owned()));
        }
        Ok(Box::new(instance))
    }
}
