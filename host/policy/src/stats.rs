//! Counters of a policy.

use crate::{CallError, pool::Queue};
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
    /// The same by [reason](CallError::reason), every reason there is.
    pub errors_by_reason: Vec<(&'static str, u64)>,
    /// Instances made.
    pub instances: u64,
    /// The most memory that an instance had after a call, in bytes.
    pub memory_bytes: u64,
    /// Half of the calls took no longer, in microseconds.
    pub p50_micros: f64,
    /// 99 of 100 calls took no longer, in microseconds.
    pub p99_micros: f64,
    /// The mean, in microseconds.
    pub mean_micros: f64,
    /// How many calls took no longer than each of these times, in seconds.
    pub histogram: Vec<(f64, u64)>,
    /// The time that all calls took together, in seconds.
    pub seconds: f64,
    /// How busy its instances are.
    pub queue: Queue,
}

impl PolicyStats {
    /// How many calls failed for a reason.
    pub fn errors_of(&self, reason: &str) -> u64 {
        self.errors_by_reason.iter().find(|(name, _)| *name == reason).map_or(0, |(_, count)| *count)
    }
}

/// The words of [`CallError::reason`].
const REASONS: [&str; 10] = [
    "Saturated",
    "DeadlineExceeded",
    "MemoryExceeded",
    "Trap",
    "HostPanic",
    "BadOutput",
    "BadInput",
    "Inconsistent",
    "WrongStage",
    "NotLoaded",
];

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
    by_reason: [AtomicU64; REASONS.len()],
    instances: AtomicU64,
    memory: AtomicU64,
    nanos: AtomicU64,
    buckets: [AtomicU64; STEPS * DOUBLINGS],
}

impl Default for Counters {
    fn default() -> Counters {
        let zero = || AtomicU64::new(0);
        Counters {
            calls: zero(),
            errors: zero(),
            by_reason: [const { AtomicU64::new(0) }; REASONS.len()],
            instances: zero(),
            memory: zero(),
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

    /// Takes note of how much memory an instance had after a call. The most changes rarely: it is read before it is
    /// written, so that calls on several processors do not fight for it.
    pub(crate) fn memory(&self, bytes: u64) {
        if bytes > self.memory.load(Relaxed) {
            self.memory.fetch_max(bytes, Relaxed);
        }
    }

    /// Counts a call and what came of it.
    pub(crate) fn call(&self, took: Duration, error: Option<&CallError>) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.calls.fetch_add(1, Relaxed);
        self.nanos.fetch_add(nanos, Relaxed);
        self.buckets[bucket(nanos)].fetch_add(1, Relaxed);
        if let Some(error) = error {
            self.failed_late(error);
        }
    }

    /// Counts an error of a call that was counted as one that answered.
    pub(crate) fn failed_late(&self, error: &CallError) {
        self.errors.fetch_add(1, Relaxed);
        let reason = error.reason();
        if let Some(at) = REASONS.iter().position(|name| *name == reason) {
            self.by_reason[at].fetch_add(1, Relaxed);
        }
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
            errors_by_reason: REASONS
                .iter()
                .zip(&self.by_reason)
                .map(|(name, count)| (*name, count.load(Relaxed)))
                .collect(),
            instances: self.instances.load(Relaxed),
            memory_bytes: self.memory.load(Relaxed),
            p50_micros: quantile(0.5),
            p99_micros: quantile(0.99),
            histogram: (2..DOUBLINGS)
                .step_by(2)
                .map(|doubling| {
                    let seconds = (1u64 << (FIRST as usize + doubling)) as f64 / 1e9;
                    (seconds, counts[..doubling * STEPS].iter().sum())
                })
                .collect(),
            seconds: self.nanos.load(Relaxed) as f64 / 1e9,
            mean_micros: if total == 0 { 0.0 } else { self.nanos.load(Relaxed) as f64 / total as f64 / 1000.0 },
            queue: Queue::default(),
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
        let none = Counters::default().read();
        assert_eq!((none.calls, none.errors, none.p99_micros), (0, 0, 0.0));
    }

    #[test]
    fn errors_are_counted_by_reason_and_calls_by_time() {
        let counters = Counters::default();
        counters.call(Duration::from_micros(3), Some(&CallError::Trap("x".into())));
        counters.call(Duration::from_millis(3), Some(&CallError::NotLoaded));
        counters.call(Duration::from_nanos(1), None);
        let stats = counters.read();
        assert_eq!((stats.errors, stats.errors_of("Trap"), stats.errors_of("NotLoaded")), (2, 1, 1));
        let within = |seconds: f64| stats.histogram.iter().find(|(bound, _)| *bound >= seconds).unwrap().1;
        assert_eq!((within(2e-7), within(4e-6), within(4e-3)), (1, 2, 3), "{:?}", stats.histogram);
    }
}
