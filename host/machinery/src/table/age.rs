//! Ages as `kubectl` prints them.

use jiff::Timestamp;

/// A duration in at most two units: `5s`, `3m20s`, `47h`, `3d4h`, `400d`, `2y35d`.
pub fn human_duration(seconds: i64) -> String {
    let _ = seconds;
    todo!()
}

/// The time since a `metav1.Time`, or `<unknown>`.
pub fn age(since: Option<&str>, now: Timestamp) -> String {
    let _ = (since, now);
    todo!()
}
