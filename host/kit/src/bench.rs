//! `plugin bench`: what a call costs, warm and in a fresh instance.

use std::time::{Duration, Instant};

use portcullis_policy::{CallError, Policy};

use crate::KitError;
use crate::call::Prepared;
use crate::case::Case;
use crate::runner::Bench;

/// Times of many calls.
#[derive(Clone, Debug)]
pub struct Times(Vec<Duration>);

impl Times {
    /// The time within which this share of the calls (0 to 1) came back.
    pub fn quantile(&self, share: f64) -> Duration {
        let last = self.0.len().saturating_sub(1);
        let at = (share.clamp(0.0, 1.0) * last as f64).ceil() as usize;
        self.0.get(at.min(last)).copied().unwrap_or_default()
    }

    /// How many calls were made.
    pub fn calls(&self) -> usize {
        self.0.len()
    }
}

/// What the calls of one case cost.
#[derive(Clone, Debug)]
pub struct Figures {
    /// The case.
    pub title: String,
    /// In instances that serve one call after another.
    pub warm: Times,
    /// With an instance for each call, which is made and configured for it.
    pub fresh: Times,
    /// The most memory that an instance had, in bytes.
    pub memory: u64,
}

/// How long each of the two is measured, and how many calls at most.
const WHILE: Duration = Duration::from_secs(1);
const WARM_CALLS: usize = 50_000;
const FRESH_CALLS: usize = 2_000;
/// Calls before the first that counts.
const BEFORE: usize = 100;

/// Measures the calls of a case; `None` if the policy does not accept the case's configuration, as such a case expects.
///
/// # Errors
/// If a call gives no answer.
pub async fn measure(bench: &Bench, case: &Case) -> Result<Option<Figures>, KitError> {
    if case.expect.get("configRefused").is_some() || case.expect.get("fails").is_some() {
        return Ok(None);
    }
    bench.show(case);
    let failed = |error: CallError| KitError::Call { what: case.title.clone(), error };
    let policy = bench.load(case.config.as_ref(), false).await?;
    let prepared = Prepared::new(&policy, &case.question).map_err(failed)?;
    let warm = times(&policy, &prepared, BEFORE, WARM_CALLS).map_err(failed)?;
    let memory = policy.stats().memory_bytes;
    let policy = bench.load(case.config.as_ref(), true).await?;
    let fresh = times(&policy, &prepared, 1, FRESH_CALLS).map_err(failed)?;
    let memory = memory.max(policy.stats().memory_bytes);
    Ok(Some(Figures { title: case.title.clone(), warm, fresh, memory }))
}

fn times(policy: &Policy, prepared: &Prepared, before: usize, most: usize) -> Result<Times, CallError> {
    for _ in 0..before {
        prepared.ask(policy)?;
    }
    let end = Instant::now() + WHILE;
    let mut times = Vec::with_capacity(most);
    while times.len() < most {
        let start = Instant::now();
        let answer = prepared.ask(policy)?;
        times.push(start.elapsed());
        drop(answer);
        if start >= end {
            break;
        }
    }
    times.sort_unstable();
    Ok(Times(times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_the_sorted_times() {
        let times = Times((1..=100).map(Duration::from_micros).collect());
        let check = |share: f64, micros: u64| assert_eq!(times.quantile(share), Duration::from_micros(micros));
        check(0.0, 1);
        check(0.5, 51);
        check(0.99, 100);
        check(1.0, 100);
        assert_eq!(Times(Vec::new()).quantile(0.5), Duration::ZERO);
    }
}
