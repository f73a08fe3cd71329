use std::time::Duration;

use tokio::time::{Instant, advance};

use super::Backoff;
use crate::config::BackoffPolicy;

/// Delays before each of the tries of something that runs for `runs[i]` before it fails again.
async fn check(runs: &[u64], delays: &[u64]) {
    let mut backoff = Backoff::new(BackoffPolicy::CONTAINERS);
    let mut seen = Vec::new();
    for seconds in runs {
        advance(Duration::from_secs(*seconds)).await;
        let failed = Instant::now();
        let wait = backoff.waits_until("key", failed);
        if let Some((until, delay)) = wait {
            assert_eq!(until.duration_since(failed), delay);
            advance(delay).await;
            assert_eq!(backoff.waits_until("key", failed), None, "the delay is over");
        }
        seen.push(wait.map_or(0, |(_, delay)| delay.as_secs()));
        backoff.tried("key", failed);
    }
    assert_eq!(seen, delays, "{runs:?}");
}

#[tokio::test(start_paused = true)]
async fn delays() {
    // The first restart is at once, then the delay doubles up to five minutes.
    check(&[1; 9], &[0, 10, 20, 40, 80, 160, 300, 300, 300]).await;
    // A container that ran for ten minutes starts from nothing; one that ran for five does not.
    check(&[1, 1, 1, 700, 1], &[0, 10, 20, 0, 10]).await;
    check(&[1, 1, 1, 300, 1], &[0, 10, 20, 40, 80]).await;
}
