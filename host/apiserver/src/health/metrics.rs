//! What is counted about requests, and the process's own figures, as Prometheus text (exposition format 0.0.4).

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use parking_lot::Mutex;

use crate::context::RequestInfo;

/// Upper bounds of the duration histogram in seconds.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 60.0];

type Key = (String, String, String, String, u16);

#[derive(Debug, Default)]
struct Series {
    count: u64,
    seconds: f64,
    buckets: [u64; BUCKETS.len()],
}

/// Counters by verb, group, resource, subresource and code.
#[derive(Debug, Default)]
pub struct Metrics {
    series: Mutex<BTreeMap<Key, Series>>,
}

impl Metrics {
    /// Counts one answered request. Verbs and resources that the server does not know are counted together, so that no
    /// client can make series without end.
    pub fn observe(&self, info: &RequestInfo, code: u16, took: Duration) {
        let known_verb = matches!(
            info.verb.as_str(),
            "get" | "list" | "watch" | "create" | "update" | "patch" | "delete" | "deletecollection" | "post" | "put"
        );
        let verb = if known_verb { info.verb.to_ascii_uppercase() } else { "other".to_owned() };
        let (group, resource, subresource) = if info.is_resource_request && code != 404 && code != 403 {
            (info.api_group.clone(), info.resource.clone(), info.subresource.clone())
        } else {
            Default::default()
        };
        let mut series = self.series.lock();
        let series = series.entry((verb, group, resource, subresource, code)).or_default();
        let seconds = took.as_secs_f64();
        series.count += 1;
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

    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "# HELP apiserver_request_total Requests answered.\n# TYPE apiserver_request_total counter")?;
        let series = self.series.lock();
        for ((verb, group, resource, subresource, code), series) in &*series {
            let labels = format!(
                "code=\"{code}\",group=\"{group}\",resource=\"{resource}\",subresource=\"{subresource}\",verb=\"{verb}\""
            );
            writeln!(text, "apiserver_request_total{{{labels}}} {}", series.count)?;
        }
        writeln!(
            text,
            "# HELP apiserver_request_duration_seconds Time until the answer began.\n\
             # TYPE apiserver_request_duration_seconds histogram"
        )?;
        for ((verb, group, resource, subresource, code), series) in &*series {
            let labels = format!(
                "code=\"{code}\",group=\"{group}\",resource=\"{resource}\",subresource=\"{subresource}\",verb=\"{verb}\""
            );
            for (count, bound) in series.buckets.iter().zip(BUCKETS) {
                writeln!(text, "apiserver_request_duration_seconds_bucket{{{labels},le=\"{bound}\"}} {count}")?;
            }
            writeln!(text, "apiserver_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} {}", series.count)?;
            writeln!(text, "apiserver_request_duration_seconds_sum{{{labels}}} {}", series.seconds)?;
            writeln!(text, "apiserver_request_duration_seconds_count{{{labels}}} {}", series.count)?;
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
    let open = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    writeln!(text, "# TYPE process_open_fds gauge\nprocess_open_fds {open}")
}
