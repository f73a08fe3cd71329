//! What is counted about requests, and the process's own figures, as Prometheus text (exposition format 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::context::RequestInfo;

/// Upper bounds of the duration histogram in seconds.
const BUCKETS: [f64; 16] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0];

/// What requests are counted by, beside the code of their answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    group: String,
    version: String,
    resource: String,
    subresource: String,
    scope: &'static str,
    verb: String,
}

impl Key {
    fn of(info: &RequestInfo, code: u16) -> Self {
        let verb = match info.verb.as_str() {
            "create" => "POST",
            "update" => "PUT",
            verb @ ("get" | "list" | "watch" | "patch" | "delete" | "deletecollection" | "post" | "put") => verb,
            _ => "other",
        };
        let verb = if verb == "other" { verb.to_owned() } else { verb.to_ascii_uppercase() };
        // Resources that the server does not know are counted together, so that no client can make series without end.
        if !info.is_resource_request || matches!(code, 403 | 404) {
            let nothing = String::new;
            let (group, version, resource, subresource) = (nothing(), nothing(), nothing(), nothing());
            return Self { group, version, resource, subresource, scope: "", verb };
        }
        Self {
            group: info.api_group.clone(),
            version: info.api_version.clone(),
            resource: info.resource.clone(),
            subresource: info.subresource.clone(),
            scope: match (info.name.is_empty() && info.verb != "create", info.namespace.is_empty()) {
                (false, _) => "resource",
                (true, false) => "namespace",
                (true, true) => "cluster",
            },
            verb,
        }
    }

    /// The labels, with that of the answer's code if there is one.
    fn labels(&self, code: Option<u16>) -> String {
        let Self { group, version, resource, subresource, scope, verb } = self;
        let code = code.map(|code| format!("code=\"{code}\",")).unwrap_or_default();
        format!(
            "{code}component=\"apiserver\",dry_run=\"\",group=\"{group}\",resource=\"{resource}\",scope=\"{scope}\",\
             subresource=\"{subresource}\",verb=\"{verb}\",version=\"{version}\""
        )
    }
}

#[derive(Debug, Default)]
struct Series {
    codes: BTreeMap<u16, u64>,
    seconds: f64,
    buckets: [u64; BUCKETS.len()],
}

/// Counters by verb, group, version, resource, subresource, scope and code.
#[derive(Debug, Default)]
pub struct Metrics {
    series: Mutex<BTreeMap<Key, Series>>,
    in_flight: [AtomicI64; 2],
    checks: Mutex<BTreeMap<(String, &'static str), Outcomes>>,
}

/// How a health check went.
#[derive(Clone, Copy, Debug, Default)]
struct Outcomes {
    healthy: bool,
    /// How often it failed, and how often it did not.
    counts: [u64; 2],
}

/// A request that is being answered; dropped with its answer.
pub struct InFlight<'a>(&'a AtomicI64);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Metrics {
    /// Counts a request as being answered for as long as what is returned is kept.
    pub fn begin(&self, info: &RequestInfo) -> InFlight<'_> {
        let reads = matches!(info.verb.as_str(), "get" | "list" | "watch" | "head" | "options");
        let gauge = &self.in_flight[usize::from(!reads)];
        gauge.fetch_add(1, Ordering::Relaxed);
        InFlight(gauge)
    }

    /// How many requests are being answered.
    pub fn in_flight(&self) -> i64 {
        self.in_flight.iter().map(|gauge| gauge.load(Ordering::Relaxed)).sum()
    }

    /// Counts one answered request.
    pub fn observe(&self, info: &RequestInfo, code: u16, took: Duration) {
        let mut series = self.series.lock();
        let series = series.entry(Key::of(info, code)).or_default();
        let seconds = took.as_secs_f64();
        *series.codes.entry(code).or_default() += 1;
        series.seconds += seconds;
        for (bucket, bound) in series.buckets.iter_mut().zip(BUCKETS) {
            *bucket += u64::from(seconds <= bound);
        }
    }

    /// All of it as text.
    pub fn render(&self) -> String {
        let mut text = String::new();
        let _ = self.write(&mut text);
        text
    }

    /// Notes how a health check of a probe went.
    pub fn check(&self, name: &str, probe: &'static str, healthy: bool) {
        let mut checks = self.checks.lock();
        let outcomes = checks.entry((name.to_owned(), probe)).or_default();
        outcomes.healthy = healthy;
        outcomes.counts[usize::from(healthy)] += 1;
    }

    /// How the health checks went, as text.
    pub fn checks(&self) -> String {
        let mut text = String::new();
        let _ = self.write_checks(&mut text);
        text
    }

    fn write_checks(&self, text: &mut String) -> std::fmt::Result {
        let checks = self.checks.lock();
        writeln!(text, "# HELP kubernetes_healthcheck How a check went last.\n# TYPE kubernetes_healthcheck gauge")?;
        for ((name, probe), outcomes) in &*checks {
            let healthy = u8::from(outcomes.healthy);
            writeln!(text, "kubernetes_healthcheck{{name=\"{name}\",type=\"{probe}\"}} {healthy}")?;
        }
        writeln!(
            text,
            "# HELP kubernetes_healthchecks_total How often a check went how.\n\
             # TYPE kubernetes_healthchecks_total counter"
        )?;
        for ((name, probe), outcomes) in &*checks {
            for (status, count) in ["error", "success"].iter().zip(outcomes.counts).filter(|(_, count)| *count > 0) {
                let labels = format!("name=\"{name}\",status=\"{status}\",type=\"{probe}\"");
                writeln!(text, "kubernetes_healthchecks_total{{{labels}}} {count}")?;
            }
        }
        Ok(())
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "# HELP apiserver_request_total Requests answered.\n# TYPE apiserver_request_total counter")?;
        let series = self.series.lock();
        for (key, series) in &*series {
            for (code, count) in &series.codes {
                writeln!(text, "apiserver_request_total{{{}}} {count}", key.labels(Some(*code)))?;
            }
        }
        writeln!(
            text,
            "# HELP apiserver_request_duration_seconds Time until the answer began.\n\
             # TYPE apiserver_request_duration_seconds histogram"
        )?;
        for (key, series) in &*series {
            let labels = key.labels(None);
            let total: u64 = series.codes.values().sum();
            for (count, bound) in series.buckets.iter().zip(BUCKETS) {
                writeln!(text, "apiserver_request_duration_seconds_bucket{{{labels},le=\"{bound}\"}} {count}")?;
            }
            writeln!(text, "apiserver_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} {total}")?;
            writeln!(text, "apiserver_request_duration_seconds_sum{{{labels}}} {}", series.seconds)?;
            writeln!(text, "apiserver_request_duration_seconds_count{{{labels}}} {total}")?;
        }
        writeln!(
            text,
            "# HELP apiserver_current_inflight_requests Requests whose answer has not begun.\n\
             # TYPE apiserver_current_inflight_requests gauge"
        )?;
        for (kind, gauge) in ["readOnly", "mutating"].iter().zip(&self.in_flight) {
            let count = gauge.load(Ordering::Relaxed);
            writeln!(text, "apiserver_current_inflight_requests{{request_kind=\"{kind}\"}} {count}")?;
        }
        process(text)
    }
}

/// Figures of the process from /proc (proc(5)): clock ticks are hundredths of a second and pages 4 KiB on Linux's
/// usual configuration.
fn process(text: &mut String) -> std::fmt::Result {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else { return Ok(()) };
    let fields: Vec<&str> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "a counter of seconds")]
    let cpu = (number(11) + number(12)) as f64 / 100.0;
    writeln!(text, "# TYPE process_cpu_seconds_total counter\nprocess_cpu_seconds_total {cpu}")?;
    writeln!(text, "# TYPE process_resident_memory_bytes gauge\nprocess_resident_memory_bytes {}", number(21) * 4096)?;
    writeln!(text, "# TYPE process_virtual_memory_bytes gauge\nprocess_virtual_memory_bytes {}", number(20))?;
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    writeln!(text, "# TYPE process_open_fds gauge\nprocess_open_fds {open}")
}
