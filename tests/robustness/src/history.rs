//! What clients did and saw.
//!
//! The objects are ConfigMaps of one namespace, few, so that clients meet. Every write has a number of its own, and leaves
//! it in the object: `w` is the number of the last write, `a` that of the last write that set all of the object (a create
//! or an update), `b` that of the last patch (or the create). So every version tells which write made it, and whether the
//! one that made it knew of those before it.

use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};

/// Nanoseconds since the run began, on the one clock of all clients.
pub type Moment = u64;

/// The end of all time: when an operation ends that nobody was told of.
pub const NEVER: Moment = Moment::MAX;

/// The clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The present moment.
    pub fn now(self) -> Moment {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(NEVER)
    }
}

/// A version of an object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Version {
    /// The object's uid: another one each time that it is made anew.
    pub uid: Arc<str>,
    /// Its resourceVersion.
    pub revision: u64,
    /// The write that made this version.
    pub w: u64,
    /// The last write that set everything.
    pub a: u64,
    /// The last patch.
    pub b: u64,
}

impl Version {
    /// Reads an object of the API. `None` if it is none that a write of ours can have left.
    pub fn of(object: &Value) -> Option<Self> {
        let meta = &object["metadata"];
        let revision = meta["resourceVersion"].as_str()?.parse().ok()?;
        Self::stored(object, revision)
    }

    /// Reads an object as it is stored, without its revision.
    pub fn stored(object: &Value, revision: u64) -> Option<Self> {
        let meta = &object["metadata"];
        let number = |name: &str| object["data"][name].as_str()?.parse::<u64>().ok();
        let version =
            Self { uid: meta["uid"].as_str()?.into(), revision, w: number("w")?, a: number("a")?, b: number("b")? };
        // A label that belongs to another write would be half of one and half of the other.
        (meta["labels"]["parity"].as_str()? == parity(version.w)).then_some(version)
    }
}

/// The label that a write sets.
pub fn parity(write: u64) -> &'static str {
    if write % 2 == 0 { "even" } else { "odd" }
}

/// The body of a create or an update: what it leaves is this and nothing else.
pub fn body(key: &str, w: u64, a: u64, b: u64, revision: Option<u64>) -> Value {
    let mut metadata = json!({"name": key, "labels": {"parity": parity(w)}});
    if let Some(revision) = revision {
        metadata["resourceVersion"] = revision.to_string().into();
    }
    let data = json!({"w": w.to_string(), "a": a.to_string(), "b": b.to_string(), "padding": "x".repeat(300)});
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})
}

/// The body of a merge patch.
pub fn patch(w: u64) -> Value {
    json!({"metadata": {"labels": {"parity": parity(w)}}, "data": {"w": w.to_string(), "b": w.to_string()}})
}

/// What a client asked for, of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// POST.
    Create {
        /// The number of the write.
        w: u64,
    },
    /// GET, or being there or not in a consistent LIST.
    Get,
    /// PUT with a resourceVersion.
    Update {
        /// The number of the write.
        w: u64,
        /// What the client read before.
        b: u64,
        /// The resourceVersion that it read.
        revision: u64,
    },
    /// A merge PATCH, whatever the object is.
    Patch {
        /// The number of the write.
        w: u64,
    },
    /// DELETE, with preconditions or without.
    Delete {
        /// The uid that it must have.
        uid: Option<Arc<str>>,
        /// The resourceVersion that it must have.
        revision: Option<u64>,
    },
    /// DELETE of the collection: at some moment in between the object is not there.
    Sweep,
}

impl Action {
    /// The number of the write.
    pub fn write(&self) -> Option<u64> {
        match self {
            Self::Create { w } | Self::Update { w, .. } | Self::Patch { w } => Some(*w),
            Self::Get | Self::Delete { .. } | Self::Sweep => None,
        }
    }
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The object as it is after the operation.
    Is(Version),
    /// The object was deleted; its uid, as the server named it.
    Deleted(Option<Arc<str>>),
    /// 404.
    Absent,
    /// 409 of a create: it is there already.
    Exists,
    /// 409: it is not as the client required.
    Conflict,
    /// The server has certainly done nothing.
    Refused,
    /// No answer, or one that says that it is not known. It may take effect at any later time, or never.
    Unknown,
}

/// An operation on one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// The object's name.
    pub key: Arc<str>,
    /// What was asked for.
    pub action: Action,
    /// When it was asked for.
    pub call: Moment,
    /// When the answer was there; [`NEVER`] if none was.
    pub done: Moment,
    /// The answer.
    pub answer: Answer,
}

/// How fresh a list has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// As of now.
    Consistent,
    /// Whatever the server has.
    Any,
    /// Exactly as it was at this revision.
    At(u64),
}

/// A list that was read, all its pages together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// What was asked for.
    pub freshness: Freshness,
    /// Its resourceVersion.
    pub revision: u64,
    /// The objects.
    pub objects: Vec<(Arc<str>, Version)>,
    /// When it was asked for.
    pub call: Moment,
    /// When all of it was there.
    pub done: Moment,
}

/// All that was recorded of the clients.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Operations on single objects.
    pub operations: Vec<Operation>,
    /// Lists.
    pub listings: Vec<Listing>,
    /// Objects as a server happened to have them.
    pub glimpses: Vec<(Arc<str>, Version)>,
}

impl History {
    /// Takes in what another client did.
    pub fn extend(&mut self, other: Self) {
        self.operations.extend(other.operations);
        self.listings.extend(other.listings);
        self.glimpses.extend(other.glimpses);
    }
}
