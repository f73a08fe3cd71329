//! Times as the API writes them.

use jiff::Timestamp;

/// Now, in whole seconds: `2026-01-02T03:04:05Z` (`meta/v1` Time).
pub fn now() -> String {
    rfc3339(Timestamp::now())
}

/// Now, with microseconds: `2026-01-02T03:04:05.000006Z` (`meta/v1` MicroTime).
pub fn now_micro() -> String {
    format!("{:.6}", Timestamp::now())
}

/// A time in whole seconds.
pub fn rfc3339(time: Timestamp) -> String {
    format!("{:.0}", Timestamp::from_second(time.as_second()).unwrap_or(time))
}

/// A Time or MicroTime.
pub fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

/// How many seconds ago a Time was; `None` if the text is none. Negative for one to come.
pub fn seconds_since(text: &str) -> Option<f64> {
    parse(text).map(|time| Timestamp::now().duration_since(time).as_secs_f64())
}
