//! Counters of a policy.

use crate::CallError;
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// What a policy did since it was loaded.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PolicyStats {
    /// Calls, whatever came of them.
    pub calls: u64,
    /// Calls that gave no answer, for any of the reasons below or another.
    pub errors: u64,
    /// Traps.
    pub traps: u64,
    /// Calls that passed their deadline.
    pub deadline_exceeded: u64,
    /// Calls that passed the memory limit.
    pub memory_exceeded: u64,
    /// Calls that found no free instance in time.
    pub saturated: u64,
    /// Host panics.
    pub host_panics: u64,
    /// Answers that could not be used.
    pub bad_outputs: u64,
    /// Instances made.
    pub instances: u64,
    /// Half of the calls took no longer, in microseconds.
    pub p50_micros: f64,
    /// 99 of 100 calls took no longer, in microseconds.
    pub p99_micros: f64,
    /// The mean, in microseconds.
    pub mean_micros: f64,
}

/// Buckets to each doubling: a quantile is off by an eighth at most.
const STEPS: usize = 8;
/// Doublings from 64 ns to over a minute; what is outside goes into the first or the last bucket.
const DOUBLINGS: usize = 30;
/// The exponent of the first bucket.
const FIRST: u32 = 6;

/// The live counters. Each is its own atomic: a reader may see a call counted whose latency is not, and nothing waits.
pub(crate) struct Counters {
    calls: AtomicU64,
    errors: AtomicU64,
    traps: AtomicU64,
    deadline_exceeded: AtomicU64,
    memory_exceeded: AtomicU64,
    saturated: AtomicU64,
    host_panics: AtomicU64,
    bad_outputs: AtomicU64,
    instances: AtomicU64,
    nanos: AtomicU64,
    buckets: [AtomicU64; STEPS * DOUBLINGS],
}

impl Default for Counters {
    fn default() -> Counters {
        let zero = || AtomicU64::new(0);
        Counters {
            calls: zero(),
            errors: zero(),
            traps: zero(),
            deadline_exceeded: zero(),
            memory_exceeded: zero(),
            saturated: zero(),
            host_panics: zero(),
            bad_outputs: zero(),
            instances: zero(),
            nanos: zero(),
            buckets: [const { AtomicU64::new(0) }; STEPS * DOUBLINGS],
        }
    }
}

fn bucket(nanos: u64) -> usize {
    let nanos = nanos.max(1 << FIRST);
    let exponent = nanos.ilog2();
    let step = (nanos >> (exponent - 3)) as usize & (STEPS - 1);
    ((exponent - FIRST) as usize * STEPS + step).min(STEPS * DOUBLINGS - 1)
}

/// The middle of a bucket, in microseconds.
fn middle(bucket: usize) -> f64 {
    let base = f64::from(1u32 << FIRST) * 2f64.powi((bucket / STEPS) as i32);
    base * (1.0 + ((bucket % STEPS) as f64 + 0.5) / STEPS as f64) / 1000.0
}

impl Counters {
    /// Counts an instance that was made.
    pub(crate) fn instance(&self) {
        self.instances.fetch_add(1, Relaxed);
    }

    /// Counts a call and what came of it.
    pub(crate) fn call(&self, took: Duration, error: Option<&CallError>) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.calls.fetch_add(1, Relaxed);
        self.nanos.fetch_add(nanos, Relaxed);
        self.buckets[bucket(nanos)].fetch_add(1, Relaxed);
        let Some(error) = error else { return };
        self.errors.fetch_add(1, Relaxed);
        let counter = match error {
            CallError::Trap(_) => &self.traps,
            CallError::DeadlineExceeded(_) => &self.deadline_exceeded,
            CallError::MemoryExceeded(_) => &self.memory_exceeded,
            CallError::Saturated(_) => &self.saturated,
            CallError::HostPanic(_) => &self.host_panics,
            CallError::BadOutput(_) => &self.bad_outputs,
            _ => return,
        };
        counter.fetch_add(1, Relaxed);
    }

    /// The counters as they are now.
    pub(crate) fn read(&self) -> PolicyStats {
        let counts: Vec<u64> = self.buckets.iter().map(|bucket| bucket.load(Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let quantile = |part: f64| {
            let rank = (total as f64 * part).ceil().max(1.0) as u64;
            let mut seen = 0;
            let found = counts.iter().position(|count| {
                seen += count;
                seen >= rank
            });
            found.map_or(0.0, middle)
        };
        PolicyStats {
            calls: self.calls.load(Relaxed),
            errors: self.errors.load(Relaxed),
            traps: self.traps.load(Relaxed),
            deadline_exceeded: self.deadline_exceeded.load(Relaxed),
            memory_exceeded: self.memory_exceeded.load(Relaxed),
            saturated: self.saturated.load(Relaxed),
            host_panics: self.host_panics.load(Relaxed),
            bad_outputs: self.bad_outputs.load(Relaxed),
            instances: self.instances.load(Relaxed),
            p50_micros: quantile(0.5),
            p99_micros: quantile(0.99),
            mean_micros: if total == 0 { 0.0 } else { self.nanos.load(Relaxed) as f64 / total as f64 / 1000.0 },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_an_eighth() {
        let counters = Counters::default();
        for micros in 1..=1000u64 {
            counters.call(Duration::from_micros(micros), None);
        }
        let stats = counters.read();
        assert_eq!(stats.calls, 1000);
        for (found, exact) in [(stats.p50_micros, 500.0), (stats.p99_micros, 990.0)] {
            assert!((found / exact - 1.0f64).abs() < 0.125, "{found} should be about {exact}");
        }
        assert!((stats.mean_micros - 500.5).abs() < 0.01);
    }

    #[test]
    fn extremes_have_a_bucket() {
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(64), 0);
        assert_eq!(bucket(72), 1);
        assert_eq!(bucket(u64::MAX), STEPS * DOUBLINGS - 1);
        assert_eq!(Counters::default().read(), PolicyStats::default());
    }
}
