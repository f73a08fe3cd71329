//! The threads that guests run on: their own, so that one in a tight loop delays other guests and nobody else. In one
//! process with an API server that matters: a request must not wait for the tick at which such a guest yields.

use tokio::runtime::{Builder, Handle, Runtime};

/// A runtime that may be dropped from inside another one.
pub(super) struct Executor(Option<Runtime>);

impl Executor {
    pub(super) fn new() -> std::io::Result<Self> {
        Ok(Self(Some(Builder::new_multi_thread().thread_name("workload").enable_all().build()?)))
    }

    /// Where guests' tasks are spawned. The runtime is there until this is dropped.
    pub(super) fn handle(&self) -> Handle {
        self.0.as_ref().map(|runtime| runtime.handle().clone()).unwrap_or_else(Handle::current)
    }
}

impl Drop for Executor {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
