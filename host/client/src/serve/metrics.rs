//! Counters and gauges in the Prometheus text format.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use parking_lot::Mutex;

/// A component's numbers. Names and labels are fixed strings of the component; label values come from it as well.
#[derive(Default)]
pub struct Metrics {
    families: Mutex<BTreeMap<&'static str, Family>>,
}

struct Family {
    kind: &'static str,
    help: &'static str,
    values: BTreeMap<String, f64>,
}

fn labels_text(labels: &[(&str, &str)]) -> String {
    if labels.is_empty() {
        return String::new();
    }
    let mut text = String::from("{");
    for (at, (name, value)) in labels.iter().enumerate() {
        let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(text, "{comma}{name}=\"{value}\"");
    }
    text.push('}');
    text
}

impl Metrics {
    fn change(
        &self,
        kind: &'static str,
        name: &'static str,
        help: &'static str,
        labels: &[(&str, &str)],
        change: impl FnOnce(&mut f64),
    ) {
        let mut families = self.families.lock();
        let family = families.entry(name).or_insert_with(|| Family { kind, help, values: BTreeMap::new() });
        change(family.values.entry(labels_text(labels)).or_insert(0.0));
    }

    /// Adds to a counter.
    pub fn count(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)], add: f64) {
        self.change("counter", name, help, labels, |value| *value += add);
    }

    /// Sets a gauge.
    pub fn gauge(&self, name: &'static str, help: &'static str, labels: &[(&str, &str)], to: f64) {
        self.change("gauge", name, help, labels, |value| *value = to);
    }

    /// All of them, in the text format.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for (name, family) in self.families.lock().iter() {
            let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {}", family.help, family.kind);
            for (labels, value) in &family.values {
                let _ = writeln!(text, "{name}{labels} {value}");
            }
        }
        text
    }
}
