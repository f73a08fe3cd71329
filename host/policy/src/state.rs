//! What a store holds beside the guest: its limits, and the host's side of the imports.

use crate::log::LogSwitch;
use crate::{
    Document, LogLevel, LogLine, PolicyHost, ReadError, Scheduling, VerifyError,
    bindings::portcullis::policy::{clock, cluster, log, random, review, scheduling, signatures, types},
};
use portcullis_machinery::{path::Pattern, tape};
use ring::rand::{SecureRandom, SystemRandom};
use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};
use wasmtime::{
    ResourceLimiter,
    component::{HasSelf, Linker},
};

/// The longest line of a plugin's log in bytes; what is over is cut.
const MAX_LOG_LINE: usize = 4 << 10;
/// How many lines a call may write; what is over is dropped.
const MAX_LOG_LINES: u32 = 64;
/// How many random bytes one call of `random.bytes` gets.
const MAX_RANDOM: u32 = 4096;
/// How many paths one `cluster.get` may ask for.
const MAX_READ_PATHS: usize = 256;
/// How many elements the tables of an instance may have together.
const MAX_TABLE_ELEMENTS: usize = 100_000;

/// What all instances of a policy share.
pub(crate) struct Shared {
    /// The user that the plugin reads the cluster as, and the name in its log.
    pub(crate) identity: String,
    pub(crate) host: Arc<dyn PolicyHost>,
    pub(crate) memory_bytes: u64,
    pub(crate) log: LogSwitch,
}

/// The data of a store.
pub(crate) struct State {
    shared: Arc<Shared>,
    document: Option<Arc<dyn Document>>,
    scheduling: Option<(Arc<dyn Scheduling>, u32)>,
    log_lines: u32,
    memory: u64,
    /// How much the growth that is going on adds, for the case that it fails after it was allowed.
    growing: u64,
    table_elements: usize,
    memory_exceeded: bool,
}

impl State {
    pub(crate) fn new(shared: Arc<Shared>) -> State {
        State {
            shared,
            document: None,
            scheduling: None,
            log_lines: 0,
            memory: 0,
            growing: 0,
            table_elements: 0,
            memory_exceeded: false,
        }
    }

    /// Prepares for a call.
    pub(crate) fn begin(
        &mut self,
        document: Option<Arc<dyn Document>>,
        scheduling: Option<(Arc<dyn Scheduling>, u32)>,
    ) {
        self.document = document;
        self.scheduling = scheduling;
        self.log_lines = 0;
        self.memory_exceeded = false;
    }

    /// Lets go of the call's document, so that an instance that waits in the pool holds no one's data.
    pub(crate) fn end(&mut self) {
        self.document = None;
        self.scheduling = None;
    }

    /// How large the linear memories are together, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.memory
    }

    /// Whether the current call ran into the memory limit.
    pub(crate) fn memory_exceeded(&self) -> bool {
        self.memory_exceeded
    }
}

impl ResourceLimiter for State {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current) as u64;
        if self.memory.saturating_add(more) > self.shared.memory_bytes {
            self.memory_exceeded = true;
            return Ok(false);
        }
        self.memory += more;
        self.growing = more;
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::debug!(plugin = self.shared.identity, %error, "memory could not grow");
        self.memory -= std::mem::take(&mut self.growing);
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let all = self.table_elements.saturating_add(desired.saturating_sub(current));
        if all > MAX_TABLE_ELEMENTS {
            self.memory_exceeded = true;
            return Ok(false);
        }
        self.table_elements = all;
        Ok(true)
    }
}

impl types::Host for State {}

impl log::Host for State {
    fn write(&mut self, level: LogLevel, message: String) {
        let Some(chosen) = self.shared.log.lets_through(level) else { return };
        self.log_lines = self.log_lines.saturating_add(1);
        if self.log_lines > MAX_LOG_LINES {
            return;
        }
        let request = crate::log::request();
        let write = |level: LogLevel, message: &str| {
            let identity = &self.shared.identity;
            self.shared.host.log(&LogLine { identity, request: request.as_deref(), level, message, chosen });
        };
        write(level, crate::output::cut(&message, MAX_LOG_LINE));
        if self.log_lines == MAX_LOG_LINES {
            write(LogLevel::Warn, "further lines of this call are dropped");
        }
    }
}

impl clock::Host for State {
    fn now(&mut self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}

impl random::Host for State {
    fn bytes(&mut self, len: u32) -> Vec<u8> {
        let mut bytes = vec![0; len.min(MAX_RANDOM) as usize];
        // A policy must never take zeros for random bytes: this ends the call if the system has none.
        SystemRandom::new().fill(&mut bytes).expect("the system gives random bytes");
        bytes
    }
}

impl review::Host for State {
    fn bytes(&mut self, path: String) -> Option<Vec<u8>> {
        tape::lookup(self.document.as_deref()?, &path)
    }

    fn json(&mut self, path: String) -> Option<String> {
        let packed = tape::lookup(self.document.as_deref()?, &path)?;
        String::from_utf8(tape::to_json(tape::Tape::trusted(&packed))).ok()
    }
}

impl cluster::Host for State {
    fn get(
        &mut self,
        resource: String,
        namespace: String,
        name: String,
        paths: Vec<String>,
    ) -> Result<Option<Vec<u8>>, ReadError> {
        if paths.len() > MAX_READ_PATHS {
            return Err(ReadError::Unavailable(format!("at most {MAX_READ_PATHS} paths can be read at once")));
        }
        let bad_path = |error| ReadError::Unavailable(format!("{error}"));
        let patterns =
            paths.iter().map(|path| Pattern::parse(path)).collect::<Result<Vec<_>, _>>().map_err(bad_path)?;
        let Shared { host, identity, .. } = &*self.shared;
        let Some(object) = host.cluster_get(identity, &resource, &namespace, &name)? else { return Ok(None) };
        tape::project(&*object, &patterns).map(Some).map_err(|error| ReadError::Unavailable(error.to_string()))
    }
}

impl signatures::Host for State {
    fn verify(
        &mut self,
        key_set: String,
        key_id: String,
        algorithm: String,
        message: Vec<u8>,
        signature: Vec<u8>,
    ) -> Result<bool, VerifyError> {
        self.shared.host.verify(&key_set, &key_id, &algorithm, &message, &signature)
    }
}

impl scheduling::Host for State {
    fn count_pods(&mut self, namespace: String, selector: String) -> Vec<u32> {
        let Some((scheduling, nodes)) = &self.scheduling else { return Vec::new() };
        let mut counts = scheduling.count_pods(&namespace, &selector);
        // The guest was promised one number for each node.
        counts.resize(*nodes as usize, 0);
        counts
    }
}

/// Links exactly the interfaces that are named: what a component was not granted does not exist for it.
pub(crate) fn link(linker: &mut Linker<State>, interfaces: &[&str]) -> wasmtime::Result<()> {
    for interface in interfaces {
        match *interface {
            "types" => types::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?,
            "log" => log::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?,
            "clock" => clock::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?,
            "random" => random::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?,
            "review" => review::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?,
            "cluster" => cluster::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?,
            "signatures" => signatures::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?,
            "scheduling" => scheduling::add_to_linker::<_, HasSelf<State>>(linker, |state| state)?,
            other => return Err(wasmtime::Error::msg(format!("no interface {other}"))),
        }
    }
    Ok(())
}
