//! The table.

use std::time::Duration;

use crate::server::Usage;

/// What a phase did and cost.
pub struct Outcome {
    /// The phase.
    pub name: &'static str,
    /// What is counted: creates, lists, delivered events.
    pub unit: &'static str,
    /// How many of them.
    pub count: usize,
    /// How long it took.
    pub wall: Duration,
    /// The latencies of single requests, in any order; empty where there are none.
    pub latencies: Vec<Duration>,
    /// What the server had used before and after.
    pub usage: (Usage, Usage),
}

fn percentile(sorted: &[Duration], part: f64) -> f64 {
    let at = ((sorted.len() as f64 * part) as usize).min(sorted.len().saturating_sub(1));
    sorted.get(at).map_or(0.0, |latency| latency.as_secs_f64() * 1000.0)
}

/// Prints the heading.
pub fn heading() {
    println!(
        "{:<12} {:>9} {:<10} {:>10} {:>9} {:>9} {:>10} {:>14} {:>9}",
        "phase", "count", "of", "per s", "p50 ms", "p99 ms", "cpu s", "cpu s/1,000", "rss MB"
    );
}

/// Prints a phase.
pub fn line(mut outcome: Outcome) {
    outcome.latencies.sort_unstable();
    let (before, after) = outcome.usage;
    let cpu = after.cpu - before.cpu;
    println!(
        "{:<12} {:>9} {:<10} {:>10.0} {:>9.2} {:>9.2} {:>10.2} {:>14.3} {:>9.0}",
        outcome.name,
        outcome.count,
        outcome.unit,
        outcome.count as f64 / outcome.wall.as_secs_f64(),
        percentile(&outcome.latencies, 0.5),
        percentile(&outcome.latencies, 0.99),
        cpu,
        cpu * 1000.0 / outcome.count.max(1) as f64,
        after.resident as f64 / 1e6,
    );
}
