//! Flow control, as the API's FlowSchemas and PriorityLevelConfigurations say: a request belongs to the first schema that
//! matches it, and that to a priority level, which has so many seats. Who finds none waits a while, or is refused.
//!
//! The seats of all levels together are `--max-requests-inflight` and `--max-mutating-requests-inflight`. Every request
//! takes one, until its answer is made: a watch until it has begun. Connections to containers take none. The watches that
//! one user has open may be bounded besides (`watches.rs`).

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::{HeaderMap, HeaderName, HeaderValue};
use parking_lot::Mutex;
use portcullis_machinery::status::StatusDetails;
use portcullis_machinery::{Status, Value, object};

use crate::context::{RequestInfo, UserInfo};
use crate::server_config::ServerConfig;

mod levels;
mod schemas;
#[cfg(test)]
mod tests;
mod watches;

pub use watches::WatchPlace;

use levels::{Levels, Limits, Seat};
use schemas::FlowSchema;
use watches::Watches;

const SCHEMA_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-flowschema-uid");
const LEVEL_UID: HeaderName = HeaderName::from_static("x-kubernetes-pf-prioritylevel-uid");
/// What part of its time a request may wait.
const WAIT: u32 = 4;

/// Whether a request may last for long: watches and connections to containers (the reference's long-running requests).
pub fn is_long_running(info: &RequestInfo) -> bool {
    info.verb == "watch" || is_connection(info)
}

fn is_connection(info: &RequestInfo) -> bool {
    info.verb == "proxy"
        || (info.is_resource_request
            && matches!(info.subresource.as_str(), "attach" | "exec" | "proxy" | "log" | "portforward"))
}

fn too_many(message: impl Into<String>) -> Status {
    Status::failure(429, "TooManyRequests", message)
        .with_details(StatusDetails { retry_after_seconds: 1, ..StatusDetails::default() })
}

/// How often requests of a schema were let in, and refused with each reason.
#[derive(Debug, Default)]
struct Counts {
    dispatched: u64,
    refused: HashMap<&'static str, u64>,
}

/// What requests are classified and bounded by.
#[derive(Debug)]
pub struct FlowControl {
    schemas: ArcSwap<Vec<FlowSchema>>,
    levels: Mutex<Levels<Place>>,
    counts: Mutex<HashMap<String, Counts>>,
    /// The seats of all levels together; `None` for no bound.
    seats: Option<usize>,
    wait: Duration,
    watches: Option<Watches>,
}

/// A seat, which is given back when this is dropped.
#[derive(Debug)]
pub struct Place {
    /// `None` once there is nothing to give back.
    of: Option<(Arc<FlowControl>, usize)>,
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some((flow, level)) = self.of.take() {
            flow.change(|levels, made| levels.leave(level, made));
        }
    }
}

/// A request that was let in.
#[derive(Debug, Default)]
pub struct Entry {
    /// Its seat, if it takes one; to be kept until the answer is made.
    pub place: Option<Place>,
    uids: Option<[HeaderValue; 2]>,
}

impl Entry {
    /// Says in an answer what the request was classified as.
    pub fn say(&self, headers: &mut HeaderMap) {
        if let Some([schema, level]) = &self.uids {
            headers.insert(SCHEMA_UID, schema.clone());
            headers.insert(LEVEL_UID, level.clone());
        }
    }
}

impl FlowControl {
    /// Flow control with the configuration that every cluster begins with.
    pub fn new(config: &ServerConfig) -> Arc<Self> {
        let (reads, writes) = (config.max_requests_inflight, config.max_mutating_requests_inflight);
        let flow = Self {
            schemas: ArcSwap::default(),
            levels: Mutex::default(),
            counts: Mutex::default(),
            seats: (reads > 0 && writes > 0).then_some(reads + writes),
            wait: config.request_timeout / WAIT,
            watches: Watches::new(config.max_watches_per_user),
        };
        let flow = Arc::new(flow);
        flow.configure(&[], &[]);
        flow
    }

    /// Takes over the stored schemas and levels. Those that must be there are, and a schema without its level is not.
    pub fn configure(self: &Arc<Self>, schemas: &[Value], levels: &[Value]) {
        let (mut schemas, mut levels) = (schemas.to_vec(), levels.to_vec());
        for made in crate::system_objects::flow_control() {
            let list = if object::kind(&made) == "FlowSchema" { &mut schemas } else { &mut levels };
            let mandatory = matches!(object::name(&made), "exempt" | "catch-all");
            if mandatory && list.iter().all(|known| object::name(known) != object::name(&made)) {
                list.push(made);
            }
        }
        let seats = self.seats.unwrap_or_default();
        let limits = Limits::of(&levels, seats);
        let named = levels.iter().map(|level| object::name(level).to_owned()).zip(limits).collect();
        let mut places = HashMap::new();
        self.change(|state, made| {
            places = state.configure(named, seats);
            state.hand_out(made)
        });
        let by_name: HashMap<&str, &Value> = levels.iter().map(|level| (object::name(level), level)).collect();
        let read = |schema: &Value| {
            let name = object::str_at(schema, &["spec", "priorityLevelConfiguration", "name"])?;
            Some(FlowSchema::read(schema, *places.get(name)?, by_name.get(name)?))
        };
        let mut read: Vec<FlowSchema> = schemas.iter().filter_map(read).collect();
        read.sort_by(|a, b| a.order().cmp(&b.order()));
        self.counts.lock().retain(|name, _| read.iter().any(|schema| schema.name == *name));
        self.schemas.store(Arc::new(read));
    }

    /// Changes the levels. What nobody took any more is dropped when the levels are free again.
    fn change(self: &Arc<Self>, change: impl FnOnce(&mut Levels<Place>, &dyn Fn(usize) -> Place) -> Vec<Place>) {
        let made = |level: usize| Place { of: Some((Arc::clone(self), level)) };
        let untaken = change(&mut self.levels.lock(), &made);
        for mut place in untaken {
            drop(place.of.take());
        }
    }

    /// Lets a request in, at once or after a while.
    ///
    /// # Errors
    /// 429 with Retry-After if there is no seat for it; with what the request was classified as.
    pub async fn enter(self: &Arc<Self>, user: &UserInfo, info: &RequestInfo) -> Result<Entry, (Entry, Status)> {
        if is_connection(info) {
            return Ok(Entry::default());
        }
        let schemas = self.schemas.load();
        let Some(schema) = schemas.iter().find(|schema| schema.matches(user, info)) else {
            return Ok(Entry::default());
        };
        let mut entry = Entry { place: None, uids: Some([schema.uid.clone(), schema.level_uid.clone()]) };
        if self.seats.is_none() {
            return Ok(entry);
        }
        let level = schema.level;
        let asked = self.levels.lock().enter(level, schema.flow(user, info));
        let outcome = match asked {
            Seat::Taken => Ok(Place { of: Some((Arc::clone(self), level)) }),
            Seat::Wait(receiver) => match tokio::time::timeout(self.wait, receiver).await {
                Ok(Ok(place)) => Ok(place),
                Ok(Err(_)) => Err("cancelled"),
                Err(_) => Err("time-out"),
            },
            Seat::Refused(reason) => Err(reason),
        };
        let mut counts = self.counts.lock();
        let counts = match counts.get_mut(&schema.name) {
            Some(counts) => counts,
            None => counts.entry(schema.name.clone()).or_default(),
        };
        match outcome {
            Ok(place) => {
                counts.dispatched += 1;
                entry.place = Some(place);
                Ok(entry)
            }
            Err(reason) => {
                *counts.refused.entry(reason).or_default() += 1;
                Err((entry, too_many("Too many requests, please try again later.")))
            }
        }
    }

    /// What `/metrics` says of it.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let levels = self.levels.lock();
        let figures = levels.figures();
        type Figure = fn(&(&Limits, usize, usize)) -> usize;
        let gauges: [(&str, &str, Figure); 5] = [
            ("nominal_limit_seats", "Seats of a priority level.", |(limits, ..)| limits.nominal),
            ("lower_limit_seats", "Seats that it never lends.", |(limits, ..)| limits.nominal - limits.lendable),
            ("current_executing_seats", "Seats in use.", |(_, in_use, _)| *in_use),
            ("current_executing_requests", "Requests that have a seat.", |(_, in_use, _)| *in_use),
            ("current_inqueue_requests", "Requests that wait for a seat.", |(_, _, waiting)| *waiting),
        ];
        for (name, help, figure) in gauges {
            writeln!(text, "# HELP apiserver_flowcontrol_{name} {help}\n# TYPE apiserver_flowcontrol_{name} gauge")?;
            for (level, figures) in &figures {
                let value = figure(figures);
                writeln!(text, "apiserver_flowcontrol_{name}{{priority_level=\"{level}\"}} {value}")?;
            }
        }
        let schemas = self.schemas.load();
        let of_schema: HashMap<&str, usize> =
            schemas.iter().map(|schema| (schema.name.as_str(), schema.level)).collect();
        let counts = self.counts.lock();
        let mut names: Vec<&String> = counts.keys().collect();
        names.sort();
        let labels = |schema: &str| {
            let level = of_schema.get(schema).and_then(|at| levels.name(*at)).unwrap_or_default();
            format!("flow_schema=\"{schema}\",priority_level=\"{level}\"")
        };
        writeln!(
            text,
            "# HELP apiserver_flowcontrol_dispatched_requests_total Requests that were given a seat.\n\
             # TYPE apiserver_flowcontrol_dispatched_requests_total counter"
        )?;
        for name in &names {
            let (labels, count) = (labels(name), counts[*name].dispatched);
            writeln!(text, "apiserver_flowcontrol_dispatched_requests_total{{{labels}}} {count}")?;
        }
        writeln!(
            text,
            "# HELP apiserver_flowcontrol_rejected_requests_total Requests that were refused.\n\
             # TYPE apiserver_flowcontrol_rejected_requests_total counter"
        )?;
        for name in &names {
            for (reason, count) in &counts[*name].refused {
                let labels = labels(name);
                writeln!(
                    text,
                    "apiserver_flowcontrol_rejected_requests_total{{{labels},reason=\"{reason}\"}} {count}"
                )?;
            }
        }
        Ok(())
    }
}
