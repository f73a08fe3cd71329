//! What a container uses, and the limits on it.
//!
//! A guest runs inside polls of its future, so its CPU time is the time that those polls take. At every tick of the
//! engine's epoch the guest comes up for air: it yields, and if its container has used up its share of the current
//! period it sleeps until the next, which is what the kernel's CFS quota does to a process.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use wasmtime::ResourceLimiter;

/// The period over which a CPU limit is kept (`cpu.cfs_period_us`).
const PERIOD: Duration = Duration::from_millis(100);

thread_local! {
    /// When the poll that runs on this thread began, or was last counted.
    static POLL_START: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// What all instances of one container use together.
#[derive(Debug)]
pub(super) struct Meter {
    cpu_nanos: AtomicU64,
    cpu_limit_millis: Option<u64>,
    /// When the current period began, and what had been used by then.
    period: Mutex<(Instant, u64)>,
    memory: AtomicU64,
    memory_limit: Option<u64>,
    memory_exceeded: AtomicBool,
}

impl Meter {
    pub(super) fn new(cpu_limit_millis: Option<u64>, memory_limit: Option<u64>) -> Arc<Self> {
        Arc::new(Self {
            cpu_nanos: AtomicU64::new(0),
            cpu_limit_millis,
            period: Mutex::new((Instant::now(), 0)),
            memory: AtomicU64::new(0),
            memory_limit,
            memory_exceeded: AtomicBool::new(false),
        })
    }

    /// Nanoseconds of CPU used so far.
    pub(super) fn cpu_nanos(&self) -> u64 {
        self.cpu_nanos.load(Ordering::Relaxed)
    }

    /// Bytes of linear memory and tables now.
    pub(super) fn memory_bytes(&self) -> u64 {
        self.memory.load(Ordering::Relaxed)
    }

    /// Whether an instance was refused memory.
    pub(super) fn memory_exceeded(&self) -> bool {
        self.memory_exceeded.load(Ordering::Relaxed)
    }

    fn count(&self, since: Instant) {
        let nanos = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.cpu_nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    /// Called at a tick from inside a poll: how long the guest must sleep, if it has used up its share.
    pub(super) fn throttle(&self) -> Option<Duration> {
        if let Some(start) = POLL_START.with(|cell| cell.replace(Some(Instant::now()))) {
            self.count(start);
        }
        let quota = u64::try_from(PERIOD.as_nanos()).unwrap_or(u64::MAX) / 1000 * self.cpu_limit_millis?;
        let used = self.cpu_nanos();
        let mut period = self.period.lock();
        let elapsed = period.0.elapsed();
        if elapsed >= PERIOD {
            *period = (Instant::now(), used);
            return None;
        }
        (used.saturating_sub(period.1) > quota).then(|| PERIOD - elapsed)
    }

    /// A future whose polls count as this container's CPU time.
    pub(super) fn measure<F: Future>(self: &Arc<Self>, future: F) -> Measured<F> {
        Measured { meter: Arc::clone(self), future: Box::pin(future) }
    }
}

/// See [`Meter::measure`].
pub(super) struct Measured<F> {
    meter: Arc<Meter>,
    future: Pin<Box<F>>,
}

impl<F: Future> Future for Measured<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let outer = POLL_START.with(|cell| cell.replace(Some(Instant::now())));
        let result = self.future.as_mut().poll(context);
        if let Some(start) = POLL_START.with(|cell| cell.replace(outer)) {
            self.meter.count(start);
        }
        result
    }
}

/// The limiter of one store: what its memories and tables use counts for the container until the store is dropped.
#[derive(Debug)]
pub(super) struct Limiter {
    meter: Arc<Meter>,
    mine: u64,
}

impl Limiter {
    pub(super) fn new(meter: Arc<Meter>) -> Self {
        Self { meter, mine: 0 }
    }

    fn grow(&mut self, current: usize, desired: usize, unit: u64) -> bool {
        let more = u64::try_from(desired.saturating_sub(current)).unwrap_or(u64::MAX).saturating_mul(unit);
        let before = self.meter.memory.fetch_add(more, Ordering::Relaxed);
        if self.meter.memory_limit.is_some_and(|limit| before.saturating_add(more) > limit) {
            self.meter.memory.fetch_sub(more, Ordering::Relaxed);
            self.meter.memory_exceeded.store(true, Ordering::Relaxed);
            return false;
        }
        self.mine += more;
        true
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired, 1))
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(self.grow(current, desired, 8))
    }
}

impl Drop for Limiter {
    fn drop(&mut self) {
        self.meter.memory.fetch_sub(self.mine, Ordering::Relaxed);
    }
}
