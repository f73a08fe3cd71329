//! The node's and the pods' numbers: `/stats/summary` for people and autoscalers, `/metrics/resource` for the metrics
//! server, `/metrics` of the kubelet itself.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use portcullis_client::ObjectExt as _;
use portcullis_client::time::rfc3339;
use portcullis_machinery::Value;
use serde_json::json;

use super::{PodUsage, Shared};

mod node;

/// Rates are taken over at least this long, as a shorter time says little.
const MIN_RATE: Duration = Duration::from_secs(1);

/// What was seen before, so that there are rates.
pub(super) struct Stats {
    started: Timestamp,
    seen: Mutex<HashMap<String, Seen>>,
}

struct Seen {
    at: Instant,
    cpu_nanos: u64,
    rate: Option<u64>,
}

impl Stats {
    pub(super) fn new() -> Self {
        Self { started: Timestamp::now(), seen: Mutex::new(HashMap::new()) }
    }

    /// Thousand-millionths of a core in use, since this was asked before; `None` the first time.
    fn rate(&self, key: &str, cpu_nanos: u64, now: Instant) -> Option<u64> {
        let mut seen = self.seen.lock();
        let Some(before) = seen.get_mut(key) else {
            seen.insert(key.to_owned(), Seen { at: now, cpu_nanos, rate: None });
            return None;
        };
        let elapsed = now.duration_since(before.at);
        if elapsed >= MIN_RATE {
            let used = u128::from(cpu_nanos.saturating_sub(before.cpu_nanos));
            let rate = u64::try_from(used * 1_000_000_000 / elapsed.as_nanos().max(1)).unwrap_or(u64::MAX);
            *before = Seen { at: now, cpu_nanos, rate: Some(rate) };
        }
        before.rate
    }

    /// Forgets what is not there any more.
    fn keep(&self, keys: &[String]) {
        self.seen.lock().retain(|key, _| keys.contains(key));
    }

    fn cpu(&self, key: &str, cpu_nanos: u64, time: &str) -> Value {
        let mut cpu = json!({"time": time, "usageCoreNanoSeconds": cpu_nanos});
        if let Some(rate) = self.rate(key, cpu_nanos, Instant::now()) {
            cpu["usageNanoCores"] = rate.into();
        }
        cpu
    }
}

fn memory(bytes: u64, time: &str) -> Value {
    // A Wasm memory has no page cache in it: all of it is in use and resident.
    json!({"time": time, "usageBytes": bytes, "workingSetBytes": bytes, "rssBytes": bytes})
}

fn total(pod: &PodUsage) -> (u64, u64) {
    let of = |sum: (u64, u64), one: &super::ContainerUsage| {
        (sum.0.saturating_add(one.stats.cpu_nanos), sum.1.saturating_add(one.stats.memory_bytes))
    };
    pod.containers.iter().fold((0, 0), of)
}

/// The Summary API's document.
pub(super) async fn summary(shared: &Shared) -> Value {
    let pods = shared.api.stats().await;
    let time = rfc3339(Timestamp::now());
    let mut keys = vec!["node".to_owned()];
    let mut list = Vec::new();
    for pod in &pods {
        let mut containers = Vec::new();
        for container in &pod.containers {
            let key = format!("{}/{}", pod.uid, container.name);
            containers.push(json!({
                "name": container.name,
                "startTime": rfc3339(container.started_at),
                "cpu": shared.stats.cpu(&key, container.stats.cpu_nanos, &time),
                "memory": memory(container.stats.memory_bytes, &time),
            }));
            keys.push(key);
        }
        let (cpu, bytes) = total(pod);
        list.push(json!({
            "podRef": {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid},
            "startTime": rfc3339(pod.started_at),
            "containers": containers,
            "cpu": shared.stats.cpu(&pod.uid, cpu, &time),
            "memory": memory(bytes, &time),
        }));
        keys.push(pod.uid.clone());
    }
    let mut of_node = json!({"nodeName": shared.node_name, "startTime": rfc3339(shared.stats.started)});
    match node::usage() {
        Ok(usage) => {
            of_node["startTime"] = rfc3339(usage.booted_at).into();
            of_node["cpu"] = shared.stats.cpu("node", usage.cpu_nanos, &time);
            of_node["memory"] = json!({
                "time": time,
                "availableBytes": usage.memory_available,
                "usageBytes": usage.memory_used,
                "workingSetBytes": usage.memory_working_set,
            });
        }
        Err(error) => tracing::warn!(%error, "the node's own numbers cannot be read"),
    }
    shared.stats.keep(&keys);
    json!({"node": of_node, "pods": list})
}

/// A document in the Prometheus text format that is being written.
#[derive(Default)]
struct Text(String);

impl Text {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64, time: Option<Timestamp>) {
        self.0.push_str(name);
        for (index, (label, value)) in labels.iter().enumerate() {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _ = write!(self.0, "{}{label}=\"{value}\"", if index == 0 { '{' } else { ',' });
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = write!(self.0, " {value}");
        if let Some(time) = time {
            let _ = write!(self.0, " {}", time.as_millisecond());
        }
        self.0.push('\n');
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// What the metrics server scrapes.
pub(super) async fn resource_metrics(shared: &Shared) -> String {
    let pods = shared.api.stats().await;
    let now = Some(Timestamp::now());
    let mut text = Text::default();
    let mut of_containers = |name: &str, kind, help, value: &dyn Fn(&super::ContainerUsage) -> f64, time| {
        text.family(name, kind, help);
        for pod in &pods {
            for container in &pod.containers {
                let labels = [("container", &*container.name), ("namespace", &*pod.namespace), ("pod", &*pod.name)];
                text.sample(name, &labels, value(container), time);
            }
        }
    };
    let help = "[STABLE] Seconds of CPU time that the container has used";
    let cpu = |container: &super::ContainerUsage| seconds(container.stats.cpu_nanos);
    of_containers("container_cpu_usage_seconds_total", "counter", help, &cpu, now);
    let help = "[STABLE] Bytes of memory that the container uses now";
    let bytes = |container: &super::ContainerUsage| container.stats.memory_bytes as f64;
    of_containers("container_memory_working_set_bytes", "gauge", help, &bytes, now);
    let help = "[STABLE] When the container started, in seconds since 1970";
    let start = |container: &super::ContainerUsage| container.started_at.as_microsecond() as f64 / 1e6;
    of_containers("container_start_time_seconds", "gauge", help, &start, None);
    let node = node::usage();
    if let Ok(usage) = &node {
        let name = "node_cpu_usage_seconds_total";
        text.family(name, "counter", "[STABLE] Seconds of CPU time that the node has used");
        text.sample(name, &[], seconds(usage.cpu_nanos), now);
        let name = "node_memory_working_set_bytes";
        text.family(name, "gauge", "[STABLE] Bytes of memory that the node uses now");
        text.sample(name, &[], usage.memory_working_set as f64, now);
    }
    let names = [
        ("pod_cpu_usage_seconds_total", "counter", "[STABLE] Seconds of CPU time that the pod's containers have used"),
        ("pod_memory_working_set_bytes", "gauge", "[STABLE] Bytes of memory that the pod's containers use now"),
    ];
    for (index, (name, kind, help)) in names.into_iter().enumerate() {
        text.family(name, kind, help);
        for pod in &pods {
            let (cpu, bytes) = total(pod);
            let value = if index == 0 { seconds(cpu) } else { bytes as f64 };
            text.sample(name, &[("namespace", &pod.namespace), ("pod", &pod.name)], value, now);
        }
    }
    text.family("resource_scrape_error", "gauge", "[STABLE] 1 if some of these numbers could not be had, 0 otherwise");
    text.sample("resource_scrape_error", &[], if node.is_ok() { 0.0 } else { 1.0 }, None);
    text.0
}

/// The kubelet's own numbers.
pub(super) fn kubelet_metrics(shared: &Shared) -> String {
    let mut text = Text::default();
    text.family("kubelet_node_name", "gauge", "The node's name; the value is always 1");
    text.sample("kubelet_node_name", &[("node", &shared.node_name)], 1.0, None);
    let pods = shared.api.pods();
    let phase = |pod: &Value| pod.str_at(&["status", "phase"]) == "Running";
    text.family("kubelet_running_pods", "gauge", "Pods whose containers run");
    text.sample("kubelet_running_pods", &[], pods.iter().filter(|pod| phase(pod)).count() as f64, None);
    let statuses = pods.iter().flat_map(|pod| pod.list_at(&["status", "containerStatuses"]));
    let mut states: HashMap<&str, u64> = HashMap::from([("running", 0), ("exited", 0), ("created", 0)]);
    for status in statuses {
        let state = if status.at(&["state", "running"]).is_some() {
            "running"
        } else if status.at(&["state", "terminated"]).is_some() {
            "exited"
        } else {
            "created"
        };
        *states.entry(state).or_default() += 1;
    }
    text.family("kubelet_running_containers", "gauge", "Containers by their state");
    for state in ["created", "exited", "running"] {
        text.sample("kubelet_running_containers", &[("container_state", state)], states[state] as f64, None);
    }
    text.family("process_start_time_seconds", "gauge", "When the kubelet started, in seconds since 1970");
    text.sample("process_start_time_seconds", &[], shared.stats.started.as_microsecond() as f64 / 1e6, None);
    text.0 + &shared.api.metrics()
}

#[cfg(test)]
mod tests;
