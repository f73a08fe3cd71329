//! Which events are written, and as what: the limits are those of the reference's client.

use std::collections::{HashMap, HashSet};

use portcullis_machinery::Value;

use crate::object::ObjectExt;

#[cfg(test)]
mod tests;

/// So many objects and events are remembered; then the ones not touched for longest are forgotten.
const MEMORY: usize = 4096;
/// More events than these that differ only in their message become one ...
const SIMILAR: usize = 10;
/// ... if none of them is older than this, in seconds.
const SIMILAR_WINDOW: f64 = 600.0;
/// A source may send so many events about one object at once ...
const BURST: f64 = 25.0;
/// ... and then one in so many seconds.
const REFILL_SECONDS: f64 = 300.0;

/// What is to be done about an event.
#[derive(Debug, PartialEq)]
pub(super) enum Outcome {
    /// Nothing: its source has said too much about that object.
    Drop,
    /// It is new.
    Create { key: String, event: Value },
    /// It is the event `name` again: only count, time and message change.
    Count { key: String, name: String, event: Value },
}

#[derive(Default)]
pub(super) struct Correlator {
    similar: HashMap<String, Similar>,
    written: HashMap<String, Written>,
    allowance: HashMap<String, Allowance>,
}

struct Similar {
    messages: HashSet<String>,
    last: f64,
}

struct Written {
    name: String,
    count: i64,
    first: Value,
    last: f64,
}

struct Allowance {
    tokens: f64,
    last: f64,
}

/// Forgets the older half where there is too much, so that the cost of looking is rare.
fn bound<T>(map: &mut HashMap<String, T>, last: impl Fn(&T) -> f64) {
    if map.len() <= MEMORY {
        return;
    }
    let mut times: Vec<f64> = map.values().map(&last).collect();
    times.sort_by(f64::total_cmp);
    let middle = times[times.len() / 2];
    map.retain(|_, value| last(value) > middle);
}

fn key_of(event: &Value, with: &[&[&str]]) -> String {
    let fixed: [&[&str]; 7] = [
        &["source", "component"],
        &["source", "host"],
        &["involvedObject", "kind"],
        &["involvedObject", "namespace"],
        &["involvedObject", "name"],
        &["involvedObject", "uid"],
        &["type"],
    ];
    let parts: Vec<&str> = fixed.iter().chain(with).map(|path| event.str_at(path)).collect();
    parts.join("\n")
}

impl Correlator {
    /// Decides about one event at `now`, in seconds.
    pub(super) fn correlate(&mut self, mut event: Value, now: f64) -> Outcome {
        let similar_key = key_of(&event, &[&["reason"]]);
        let message = event.str_at(&["message"]).to_owned();
        let similar =
            self.similar.entry(similar_key.clone()).or_insert(Similar { messages: HashSet::new(), last: now });
        if now - similar.last > SIMILAR_WINDOW {
            similar.messages.clear();
        }
        similar.last = now;
        similar.messages.insert(message.clone());
        let key = if similar.messages.len() >= SIMILAR {
            // One stays in the set, so that the next new message finds it full again.
            if let Some(any) = similar.messages.iter().next().cloned() {
                similar.messages.remove(&any);
            }
            event["message"] = format!("(combined from similar events): {message}").into();
            similar_key
        } else {
            key_of(&event, &[&["reason"], &["message"], &["involvedObject", "fieldPath"]])
        };
        let outcome = match self.written.get_mut(&key).filter(|written| !written.name.is_empty()) {
            Some(written) => {
                written.count += 1;
                written.last = now;
                event["count"] = written.count.into();
                event["firstTimestamp"] = written.first.clone();
                Outcome::Count { key, name: written.name.clone(), event: event.clone() }
            }
            None => {
                let first = event["firstTimestamp"].clone();
                self.written.insert(key.clone(), Written { name: String::new(), count: 1, first, last: now });
                Outcome::Create { key, event: event.clone() }
            }
        };
        bound(&mut self.similar, |similar| similar.last);
        bound(&mut self.written, |written| written.last);
        if self.allow(&event, now) { outcome } else { Outcome::Drop }
    }

    fn allow(&mut self, event: &Value, now: f64) -> bool {
        let allowance = self.allowance.entry(key_of(event, &[])).or_insert(Allowance { tokens: BURST, last: now });
        allowance.tokens = (allowance.tokens + (now - allowance.last) / REFILL_SECONDS).min(BURST);
        allowance.last = now;
        let allowed = allowance.tokens >= 1.0;
        if allowed {
            allowance.tokens -= 1.0;
        }
        bound(&mut self.allowance, |allowance| allowance.last);
        allowed
    }

    /// Remembers the name under which an event was written.
    pub(super) fn created(&mut self, key: &str, name: &str) {
        if let Some(written) = self.written.get_mut(key) {
            written.name = name.to_owned();
        }
    }
}
