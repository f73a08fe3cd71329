//! Counters of a policy.

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
