//! One instance of a component: its store, its calls, and what ends them.

use crate::{
    CallError, Declaration, Document, Limits, Scheduling, Stage,
    bindings::exports::portcullis::policy::{
        authenticator, authorizer, converter, mutator, object_validator, scheduler, validator,
    },
    engine::epochs,
    state::{Shared, State},
};
use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};
use wasmtime::{Engine, PoolConcurrencyLimitError, Store, Trap, component::InstancePre};

/// How many bytes a guest may hand to the host in one call. The host copies what a guest returns: without this, a list
/// of a million strings that all lie at the same place would be a million copies.
const HOSTCALL_BYTES: usize = 8 << 20;

/// The exports of a stage: where they are in a component, and in an instance of it.
macro_rules! stages {
    ($($stage:ident $module:ident),*) => {
        /// Where the exports of a component's stage are.
        pub(crate) enum Exports {
            $(#[allow(missing_docs)] $stage($module::GuestIndices)),*
        }

        /// The exports of an instance's stage.
        pub(crate) enum Guest {
            $(#[allow(missing_docs)] $stage($module::Guest)),*
        }

        impl Exports {
            /// Looks up the exports of a stage.
            pub(crate) fn new(stage: Stage, pre: &InstancePre<State>) -> wasmtime::Result<Exports> {
                Ok(match stage { $(Stage::$stage => Exports::$stage($module::GuestIndices::new(pre)?)),* })
            }

            /// Loads them from an instance, which checks their types.
            fn load(&self, store: &mut Store<State>, instance: &wasmtime::component::Instance) -> wasmtime::Result<Guest> {
                Ok(match self { $(Exports::$stage(indices) => Guest::$stage(indices.load(store, instance)?)),* })
            }
        }
    };
}

stages!(
    Authenticator authenticator,
    Authorizer authorizer,
    Mutator mutator,
    Validator validator,
    ObjectValidator object_validator,
    Scheduler scheduler,
    Converter converter
);

/// Everything that a new instance is made from.
pub(crate) struct Prepared {
    pub(crate) engine: Engine,
    pub(crate) pre: InstancePre<State>,
    pub(crate) exports: Exports,
    pub(crate) shared: Arc<Shared>,
    /// The configuration as JSON text.
    pub(crate) config: String,
    pub(crate) limits: Limits,
    pub(crate) tick: Duration,
    /// The deadline of a call in epochs.
    pub(crate) call_epochs: u64,
}

/// What ended a call that did not return.
#[derive(Debug)]
pub(crate) enum Fault {
    Deadline,
    Memory,
    Full,
    Trap(String),
    HostPanic(String),
    TooMuch,
    /// A type of the component's is not that of the world.
    Types(String),
    Refused(String),
}

impl Fault {
    /// The error of a call with this deadline.
    pub(crate) fn in_call(self, limits: &Limits) -> CallError {
        match self {
            Fault::Deadline => CallError::DeadlineExceeded(limits.deadline),
            Fault::Memory => CallError::MemoryExceeded(limits.memory_bytes),
            Fault::Full => CallError::Saturated(limits.concurrency),
            Fault::Trap(message) => CallError::Trap(message),
            Fault::HostPanic(message) => CallError::HostPanic(message),
            Fault::TooMuch => CallError::BadOutput(format!("more than {HOSTCALL_BYTES} bytes in one call")),
            Fault::Types(message) | Fault::Refused(message) => CallError::Inconsistent(message),
        }
    }
}

/// What a store's error was.
fn classify(error: &wasmtime::Error, memory_exceeded: bool) -> Fault {
    if error.downcast_ref::<Trap>() == Some(&Trap::Interrupt) {
        return Fault::Deadline;
    }
    // A guest that is refused memory mostly ends in `unreachable`: what it says then is not the cause.
    if memory_exceeded {
        return Fault::Memory;
    }
    if error.is::<PoolConcurrencyLimitError>() {
        return Fault::Full;
    }
    let cause = error.root_cause().to_string();
    // wasmtime keeps the type of this error to itself; a test holds on to the words.
    if cause.starts_with("too much data is being copied between the host and the guest") {
        return Fault::TooMuch;
    }
    tracing::debug!(error = format!("{error:?}"), "a policy trapped");
    match error.downcast_ref::<Trap>() {
        Some(trap) => Fault::Trap(trap.to_string()),
        None => Fault::Trap(cause),
    }
}

fn panic_message(payload: &(dyn Any + Send)) -> String {
    payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}

/// An instance that accepted the configuration.
pub(crate) struct Instance {
    store: Store<State>,
    guest: Guest,
    calls: u32,
}

impl Instance {
    /// Makes an instance and has it accept the configuration, all within `deadline`.
    pub(crate) fn new(prepared: &Prepared, deadline: Duration) -> Result<(Instance, Declaration), Fault> {
        let mut store = Store::new(&prepared.engine, State::new(Arc::clone(&prepared.shared)));
        store.limiter(|state| state);
        store.set_hostcall_fuel(HOSTCALL_BYTES);
        store.set_epoch_deadline(epochs(deadline, prepared.tick));
        let started = catch_unwind(AssertUnwindSafe(|| start(prepared, &mut store)));
        match started {
            Ok(Ok((guest, declaration))) => Ok((Instance { store, guest, calls: 0 }, declaration)),
            Ok(Err(fault)) => Err(fault),
            Err(payload) => Err(Fault::HostPanic(panic_message(&*payload))),
        }
    }

    /// How many calls it has served.
    pub(crate) fn calls(&self) -> u32 {
        self.calls
    }

    /// How much linear memory it has, in bytes.
    pub(crate) fn memory(&self) -> u64 {
        self.store.data().memory()
    }

    /// Runs one call. After an error the instance must be dropped: a guest that was stopped half-way is in no state to
    /// be asked again.
    pub(crate) fn call<R>(
        &mut self,
        prepared: &Prepared,
        document: &Arc<dyn Document>,
        scheduling: Option<(Arc<dyn Scheduling>, u32)>,
        run: impl FnOnce(&Guest, &mut Store<State>) -> wasmtime::Result<R>,
    ) -> Result<R, Fault> {
        self.calls = self.calls.saturating_add(1);
        self.store.data_mut().begin(Some(Arc::clone(document)), scheduling);
        self.store.set_epoch_deadline(prepared.call_epochs);
        let (guest, store) = (&self.guest, &mut self.store);
        let result = catch_unwind(AssertUnwindSafe(|| run(guest, store)));
        self.store.data_mut().end();
        match result {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(classify(&error, self.store.data().memory_exceeded())),
            Err(payload) => Err(Fault::HostPanic(panic_message(&*payload))),
        }
    }
}

fn start(prepared: &Prepared, store: &mut Store<State>) -> Result<(Guest, Declaration), Fault> {
    let instance = prepared.pre.instantiate(&mut *store);
    let instance = instance.map_err(|error| classify(&error, store.data().memory_exceeded()))?;
    let guest = prepared.exports.load(store, &instance).map_err(|error| Fault::Types(format!("{error:#}")))?;
    let config = &prepared.config;
    let plain = |declared: crate::bindings::portcullis::policy::types::Declaration| Declaration {
        paths: declared.paths,
        node_paths: Vec::new(),
        form: declared.form,
    };
    let answer = match &guest {
        Guest::Authenticator(guest) => guest.call_configure(&mut *store, config).map(|answer| answer.map(plain)),
        Guest::Authorizer(guest) => guest.call_configure(&mut *store, config).map(|answer| answer.map(plain)),
        Guest::Mutator(guest) => guest.call_configure(&mut *store, config).map(|answer| answer.map(plain)),
        Guest::Validator(guest) => guest.call_configure(&mut *store, config).map(|answer| answer.map(plain)),
        Guest::ObjectValidator(guest) => guest.call_configure(&mut *store, config).map(|answer| answer.map(plain)),
        Guest::Converter(guest) => guest.call_configure(&mut *store, config).map(|answer| answer.map(plain)),
        Guest::Scheduler(guest) => guest.call_configure(&mut *store, config).map(|answer| {
            answer.map(|declared| Declaration {
                paths: declared.paths,
                node_paths: declared.node_paths,
                form: declared.form,
            })
        }),
    };
    match answer {
        Ok(Ok(declaration)) => Ok((guest, declaration)),
        Ok(Err(refusal)) => Err(Fault::Refused(crate::output::cut(&refusal, 4 << 10).to_owned())),
        Err(error) => Err(classify(&error, store.data().memory_exceeded())),
    }
}
