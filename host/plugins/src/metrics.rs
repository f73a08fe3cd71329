//! What plugins do, as Prometheus text (exposition format 0.0.4).

use std::fmt::Write as _;
use std::sync::Arc;

use portcullis_policy::PolicyStats;

use crate::manager::PluginManager;
use crate::outcomes::Verdict;
use crate::rollout::trial::TrialKind;
use crate::table::LivePlugin;

/// One version that runs, with its labels.
struct Series {
    labels: String,
    live: Arc<LivePlugin>,
    stats: PolicyStats,
}

impl Series {
    fn new(name: &str, live: &Arc<LivePlugin>, candidate: bool) -> Self {
        let mark = if candidate { ",candidate=\"true\"" } else { "" };
        let labels = format!("plugin=\"{name}\",stage=\"{}\"{mark}", live.policy.stage());
        Self { labels, stats: live.policy.stats(), live: Arc::clone(live) }
    }
}

/// A metric with one number for each version.
type Single = (&'static str, &'static str, &'static str, fn(&Series) -> f64);

const SINGLES: [Single; 8] = [
    ("calls_total", "counter", "Calls of a plugin, whatever came of them.", |it| it.stats.calls as f64),
    ("instances_total", "counter", "Instances made of a plugin.", |it| it.stats.instances as f64),
    ("memory_bytes", "gauge", "The most memory that an instance of a plugin had after a call.", |it| {
        it.stats.memory_bytes as f64
    }),
    ("memory_limit_bytes", "gauge", "The most memory that an instance of a plugin may have.", |it| {
        it.live.policy.limits().memory_bytes as f64
    }),
    ("running", "gauge", "Calls of a plugin that run now.", |it| f64::from(it.stats.queue.running)),
    ("queued", "gauge", "Calls of a plugin that wait for an instance now.", |it| f64::from(it.stats.queue.waiting)),
    ("queued_total", "counter", "Calls of a plugin that had to wait for an instance.", |it| {
        it.stats.queue.queued as f64
    }),
    ("queue_seconds_total", "counter", "How long calls of a plugin waited for an instance, all together.", |it| {
        it.stats.queue.queued_for.as_secs_f64()
    }),
];

fn head(text: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(text, "# HELP portcullis_plugin_{name} {help}\n# TYPE portcullis_plugin_{name} {kind}")
}

impl PluginManager {
    /// The counters of all plugins. They begin anew when another component is swapped in, as a counter may. A candidate's
    /// have the label `candidate`.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write_metrics(&mut text);
        text
    }

    fn write_metrics(&self, text: &mut String) -> std::fmt::Result {
        let entries = self.entries.lock();
        let mut all = Vec::new();
        for (name, live) in entries.iter().filter_map(|(name, entry)| Some((name, entry.live.as_ref()?))) {
            all.push(Series::new(name, live, false));
            all.extend(live.trial.as_ref().map(|trial| Series::new(name, &trial.candidate, true)));
        }
        head(text, "info", "gauge", "The version of a plugin that runs.")?;
        for Series { labels, live, .. } in &all {
            writeln!(text, "portcullis_plugin_info{{{labels},digest=\"{}\"}} 1", live.policy.digest())?;
        }
        for (name, kind, help, value) in SINGLES {
            head(text, name, kind, help)?;
            for series in &all {
                writeln!(text, "portcullis_plugin_{name}{{{}}} {}", series.labels, value(series))?;
            }
        }
        head(text, "errors_total", "counter", "Calls of a plugin that gave no answer.")?;
        for Series { labels, stats, .. } in &all {
            for (reason, count) in &stats.errors_by_reason {
                writeln!(text, "portcullis_plugin_errors_total{{{labels},reason=\"{reason}\"}} {count}")?;
            }
        }
        head(text, "verdicts_total", "counter", "What a plugin of admission decided, effective or not by its mode.")?;
        for Series { labels, live, .. } in all.iter().filter(|it| crate::mode::is_admission(it.live.policy.stage())) {
            for verdict in Verdict::ALL {
                let (word, mode, count) = (verdict.as_str(), live.mode.as_str(), live.outcomes.of(verdict));
                let name = "portcullis_plugin_verdicts_total";
                writeln!(text, "{name}{{{labels},mode=\"{mode}\",verdict=\"{word}\"}} {count}")?;
            }
        }
        head(text, "call_duration_seconds", "histogram", "How long a plugin's calls took.")?;
        for Series { labels, stats, .. } in &all {
            let name = "portcullis_plugin_call_duration_seconds";
            for (bound, count) in &stats.histogram {
                writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}")?;
            }
            writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", stats.calls)?;
            writeln!(text, "{name}_sum{{{labels}}} {}\n{name}_count{{{labels}}} {}", stats.seconds, stats.calls)?;
        }
        head(
            text,
            "compared_total",
            "counter",
            "Decisions of a candidate that were compared with those of the version that serves.",
        )?;
        for (name, trial) in
            entries.iter().filter_map(|(name, entry)| Some((name, entry.live.as_ref()?.trial.as_ref()?)))
        {
            let (counts, kind) = (trial.counts(), if trial.kind == TrialKind::Shadow { "shadow" } else { "canary" });
            for (result, count) in [("same", counts.agreements), ("different", counts.disagreements)] {
                let labels = format!("plugin=\"{name}\",kind=\"{kind}\",result=\"{result}\"");
                writeln!(text, "portcullis_plugin_compared_total{{{labels}}} {count}")?;
            }
        }
        head(text, "loaded", "gauge", "Whether the version that a Plugin describes serves.")?;
        for (name, entry) in entries.iter() {
            writeln!(text, "portcullis_plugin_loaded{{plugin=\"{name}\"}} {}", u8::from(entry.is_loaded()))?;
        }
        Ok(())
    }
}
