//! What components log: which lines are written, and of which request they are.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use crate::LogLevel;

/// The target of lines that a plugin's own level let through: whoever sets up the process's log lets all of it through.
pub const CHOSEN: &str = "portcullis::plugin::chosen";

tokio::task_local! {
    /// The request that the task works on.
    static REQUEST: Arc<str>;
}

/// Runs a request's work, so that lines which components log on the way carry its id.
pub async fn in_request<F: Future>(id: &str, work: F) -> F::Output {
    REQUEST.scope(Arc::from(id), work).await
}

/// The id of the request that this task works on.
pub(crate) fn request() -> Option<Arc<str>> {
    REQUEST.try_with(Arc::clone).ok()
}

/// One line of a plugin's log.
#[derive(Clone, Copy, Debug)]
pub struct LogLine<'a> {
    /// The plugin's user.
    pub identity: &'a str,
    /// The id of the request, if the call was for one.
    pub request: Option<&'a str>,
    /// How much it matters.
    pub level: LogLevel,
    /// The text.
    pub message: &'a str,
    /// Whether the plugin's own level let it through, so that no other filter is to be asked.
    pub chosen: bool,
}

/// Which lines of a plugin's log are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFilter {
    /// Those of this level and above.
    From(LogLevel),
    /// None.
    Off,
}

/// A filter that can be changed while calls run.
#[derive(Debug, Default)]
pub(crate) struct LogSwitch(AtomicU8);

/// The rank of a level, from 1.
fn rank(level: LogLevel) -> u8 {
    match level {
        LogLevel::Debug => 1,
        LogLevel::Info => 2,
        LogLevel::Warn => 3,
        LogLevel::Error => 4,
    }
}

/// Above all ranks.
const OFF: u8 = 5;

impl LogSwitch {
    pub(crate) fn set(&self, filter: Option<LogFilter>) {
        let least = match filter {
            None => 0,
            Some(LogFilter::From(level)) => rank(level),
            Some(LogFilter::Off) => OFF,
        };
        self.0.store(least, Relaxed);
    }

    /// Whether a line is written, and then whether a filter of the plugin's own says so.
    pub(crate) fn lets_through(&self, level: LogLevel) -> Option<bool> {
        let least = self.0.load(Relaxed);
        (rank(level) >= least).then_some(least > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_kept_and_changed() {
        let switch = LogSwitch::default();
        let check = |filter: Option<LogFilter>, expected: [Option<bool>; 4]| {
            switch.set(filter);
            let levels = [LogLevel::Debug, LogLevel::Info, LogLevel::Warn, LogLevel::Error];
            assert_eq!(levels.map(|level| switch.lets_through(level)), expected, "{filter:?}");
        };
        let (yes, no) = (Some(true), None);
        check(None, [Some(false); 4]);
        check(Some(LogFilter::From(LogLevel::Debug)), [yes; 4]);
        check(Some(LogFilter::From(LogLevel::Warn)), [no, no, yes, yes]);
        check(Some(LogFilter::Off), [no; 4]);
    }

    #[tokio::test]
    async fn a_request_is_known_while_it_is_worked_on() {
        assert_eq!(request(), None);
        in_request("r-1", async { assert_eq!(request().as_deref(), Some("r-1")) }).await;
        assert_eq!(request(), None);
    }
}
