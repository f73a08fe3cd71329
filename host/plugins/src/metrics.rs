//! What plugins do, as Prometheus text (exposition format 0.0.4).

use std::fmt::Write as _;

use crate::manager::PluginManager;

impl PluginManager {
    /// The counters of all plugins. They begin anew when a version is swapped, as a counter may.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = self.write_metrics(&mut text);
        text
    }

    fn write_metrics(&self, text: &mut String) -> std::fmt::Result {
        let entries = self.entries.lock();
        let all: Vec<_> = entries
            .iter()
            .filter_map(|(name, entry)| Some((name, entry.live.as_ref()?)))
            .map(|(name, live)| {
                let labels = format!("plugin=\"{name}\",stage=\"{}\"", live.policy.stage());
                (labels, live, live.policy.stats())
            })
            .collect();
        let head = |text: &mut String, name: &str, kind: &str, help: &str| {
            writeln!(text, "# HELP portcullis_plugin_{name} {help}\n# TYPE portcullis_plugin_{name} {kind}")
        };
        head(text, "info", "gauge", "The version of a plugin that serves.")?;
        for (labels, live, _) in &all {
            writeln!(text, "portcullis_plugin_info{{{labels},digest=\"{}\"}} 1", live.policy.digest())?;
        }
        head(text, "calls_total", "counter", "Calls of a plugin, whatever came of them.")?;
        for (labels, _, stats) in &all {
            writeln!(text, "portcullis_plugin_calls_total{{{labels}}} {}", stats.calls)?;
        }
        head(text, "errors_total", "counter", "Calls of a plugin that gave no answer.")?;
        for (labels, _, stats) in &all {
            for (reason, count) in &stats.errors_by_reason {
                writeln!(text, "portcullis_plugin_errors_total{{{labels},reason=\"{reason}\"}} {count}")?;
            }
        }
        head(text, "instances_total", "counter", "Instances made of a plugin.")?;
        for (labels, _, stats) in &all {
            writeln!(text, "portcullis_plugin_instances_total{{{labels}}} {}", stats.instances)?;
        }
        head(text, "call_duration_seconds", "histogram", "How long a plugin's calls took.")?;
        for (labels, _, stats) in &all {
            let name = "portcullis_plugin_call_duration_seconds";
            for (bound, count) in &stats.histogram {
                writeln!(text, "{name}_bucket{{{labels},le=\"{bound}\"}} {count}")?;
            }
            writeln!(text, "{name}_bucket{{{labels},le=\"+Inf\"}} {}", stats.calls)?;
            writeln!(text, "{name}_sum{{{labels}}} {}\n{name}_count{{{labels}}} {}", stats.seconds, stats.calls)?;
        }
        head(text, "loaded", "gauge", "Whether the version that a Plugin describes serves.")?;
        for (name, entry) in entries.iter() {
            writeln!(text, "portcullis_plugin_loaded{{plugin=\"{name}\"}} {}", u8::from(entry.is_loaded()))?;
        }
        Ok(())
    }
}
