//! What is counted about calls of webhooks, under the names that dashboards have for it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use parking_lot::Mutex;

use super::call::Step;
use super::hook::Hook;

/// The bounds of the histogram, in seconds.
const BUCKETS: [f64; 8] = [0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10.0, 25.0];
/// Codes above this are counted as this one, so that there are not too many series.
const MAX_CODE: u16 = 600;

/// Why a request was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorType {
    /// The webhook said so.
    None,
    /// It could not be asked.
    Calling,
    /// The server failed on the answer.
    Server,
}

impl ErrorType {
    fn as_str(self) -> &'static str {
        match self {
            Self::None => "no_error",
            Self::Calling => "calling_webhook_error",
            Self::Server => "apiserver_internal_error",
        }
    }
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [u64; BUCKETS.len()],
    seconds: f64,
    count: u64,
}

/// Series by their labels, as they are written.
#[derive(Debug, Default)]
struct Series {
    durations: BTreeMap<String, Histogram>,
    requests: BTreeMap<String, u64>,
    rejections: BTreeMap<String, u64>,
    failed_open: BTreeMap<String, u64>,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct WebhookMetrics(Mutex<Series>);

impl WebhookMetrics {
    /// A call has ended.
    pub fn observe(&self, hook: &Hook, step: Step, operation: &str, took: Duration, rejected: bool, code: u16) {
        let (name, step, code) = (&hook.name, step.as_str(), code.min(MAX_CODE));
        let mut series = self.0.lock();
        let labels = format!(
            "code=\"{code}\",name=\"{name}\",operation=\"{operation}\",rejected=\"{rejected}\",type=\"{step}\""
        );
        *series.requests.entry(labels).or_default() += 1;
        let labels = format!("name=\"{name}\",operation=\"{operation}\",rejected=\"{rejected}\",type=\"{step}\"");
        let histogram = series.durations.entry(labels).or_default();
        let seconds = took.as_secs_f64();
        for (count, bound) in histogram.buckets.iter_mut().zip(BUCKETS) {
            *count += u64::from(seconds <= bound);
        }
        histogram.seconds += seconds;
        histogram.count += 1;
    }

    /// A request was rejected.
    pub fn rejected(&self, hook: &Hook, step: Step, operation: &str, error: ErrorType, code: u16) {
        let (name, step, error, code) = (&hook.name, step.as_str(), error.as_str(), code.min(MAX_CODE));
        let labels = format!(
            "error_type=\"{error}\",name=\"{name}\",operation=\"{operation}\",rejection_code=\"{code}\",type=\"{step}\""
        );
        *self.0.lock().rejections.entry(labels).or_default() += 1;
    }

    /// A webhook that could not be asked was passed over.
    pub fn failed_open(&self, hook: &Hook, step: Step) {
        let labels = format!("name=\"{}\",type=\"{}\"", hook.name, step.as_str());
        *self.0.lock().failed_open.entry(labels).or_default() += 1;
    }

    /// All of it as Prometheus text.
    pub fn text(&self) -> String {
        let series = self.0.lock();
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write(&series, &mut text);
        text
    }
}

fn write(series: &Series, text: &mut String) -> std::fmt::Result {
    const PREFIX: &str = "apiserver_admission_webhook";
    for (name, counts) in [
        ("request_total", &series.requests),
        ("rejection_count", &series.rejections),
        ("fail_open_count", &series.failed_open),
    ] {
        writeln!(text, "# TYPE {PREFIX}_{name} counter")?;
        for (labels, count) in counts {
            writeln!(text, "{PREFIX}_{name}{{{labels}}} {count}")?;
        }
    }
    let name = format!("{PREFIX}_admission_duration_seconds");
    writeln!(text, "# TYPE {name} histogram")?;
    for (labels, histogram) in &series.durations {
        for (count, bound) in histogram.buckets.iter().zip(BUCKETS) {
            writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}")?;
        }
        writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", histogram.count)?;
        writeln!(text, "{name}_sum{{{labels}}} {}", histogram.seconds)?;
        writeln!(text, "{name}_count{{{labels}}} {}", histogram.count)?;
    }
    Ok(())
}
