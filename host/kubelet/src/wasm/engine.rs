//! The engine of workloads: asynchronous and with WASI, and so apart from the engine of policies, which has neither.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, Store, UpdateDeadline};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

use super::cpu::{Limiter, Meter};
use super::image::Image;
use crate::runtime::RuntimeError;

/// How often guests come up for air.
const TICK: Duration = Duration::from_millis(10);

/// What a store of a workload holds.
pub(super) struct Guest {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    limiter: Limiter,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Guest {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: Default::default() }
    }
}

/// What a component is to be run as.
#[derive(Clone)]
pub(super) enum Workload {
    /// A WASI command: it runs once.
    Command(wasmtime_wasi::p2::bindings::CommandPre<Guest>),
    /// An HTTP component: it is served.
    Http(wasmtime_wasi_http::p2::bindings::ProxyPre<Guest>),
}

/// The engine, its linker, and what it has compiled.
pub(super) struct WorkloadEngine {
    engine: Engine,
    linker: Linker<Guest>,
    loaded: Mutex<HashMap<String, Workload>>,
}

impl WorkloadEngine {
    pub(super) fn new() -> wasmtime::Result<Self> {
        let mut config = Config::new();
        config.epoch_interruption(true);
        let engine = Engine::new(&config)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        let weak = engine.weak();
        std::thread::Builder::new().name("workload-epoch".into()).spawn(move || {
            // The thread ends with the engine. It must not be a task: a guest in a tight loop may hold every worker.
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::park_timeout(TICK);
            }
        })?;
        Ok(Self { engine, linker, loaded: Mutex::new(HashMap::new()) })
    }

    /// A store for one instance of a container.
    pub(super) fn store(&self, wasi: WasiCtx, meter: &Arc<Meter>) -> Store<Guest> {
        let guest = Guest {
            wasi,
            http: WasiHttpCtx::new(),
            table: ResourceTable::new(),
            limiter: Limiter::new(Arc::clone(meter)),
        };
        let mut store = Store::new(&self.engine, guest);
        store.limiter(|guest| &mut guest.limiter);
        let meter = Arc::clone(meter);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(move |_| {
            Ok(match meter.throttle() {
                None => UpdateDeadline::Yield(1),
                Some(pause) => UpdateDeadline::YieldCustom(1, Box::pin(tokio::time::sleep(pause))),
            })
        });
        store
    }

    /// Compiles a component, or finds it compiled, and sees what it is.
    pub(super) async fn load(&self, image: &Image) -> Result<Workload, RuntimeError> {
        if let Some(workload) = self.loaded.lock().get(&image.digest) {
            return Ok(workload.clone());
        }
        let engine = self.engine.clone();
        let bytes = image.bytes.clone();
        let component = tokio::task::spawn_blocking(move || Component::new(&engine, &bytes))
            .await
            .map_err(|error| RuntimeError::Create(error.to_string()))?
            .map_err(|error| RuntimeError::Create(format!("the image is no component that can run here: {error:#}")))?;
        let workload = self.classify(&component)?;
        self.loaded.lock().insert(image.digest.clone(), workload.clone());
        Ok(workload)
    }

    fn classify(&self, component: &Component) -> Result<Workload, RuntimeError> {
        let exports =
            |prefix: &str| component.component_type().exports(&self.engine).any(|(name, _)| name.starts_with(prefix));
        let pre = self.linker.instantiate_pre(component).map_err(|error| {
            RuntimeError::Create(format!("the component imports what this runtime does not offer: {error:#}"))
        })?;
        let unusable = |error: wasmtime::Error| RuntimeError::Create(format!("{error:#}"));
        if exports("wasi:cli/run@0.2") {
            Ok(Workload::Command(wasmtime_wasi::p2::bindings::CommandPre::new(pre).map_err(unusable)?))
        } else if exports("wasi:http/incoming-handler@0.2") {
            Ok(Workload::Http(wasmtime_wasi_http::p2::bindings::ProxyPre::new(pre).map_err(unusable)?))
        } else {
            Err(RuntimeError::Create(
                "the component exports neither wasi:cli/run nor wasi:http/incoming-handler (0.2)".into(),
            ))
        }
    }
}
