//! The watch cache: the present state in memory, and everything that is read from it.
//!
//! One watch of the store feeds a [`CacheHub`]. For every resource that the API server knows there is a
//! [`ResourceCache`]: an immutable ordered map of the present objects, so that taking a consistent [`Snapshot`] is one
//! reference count, and a bounded window of past events, from which every [`Watcher`] reads at its own position.
//!
//! * An object's wire bytes ([`CachedObject::wire`]) are the stored ones, shared with the engine that holds them in memory
//!   and by every GET, LIST and watcher; only its resourceVersion is put in between while they are sent.
//! * Watchers have no buffers of their own. One that falls behind the window is cut ([`WatchItem::Lagged`]).
//! * A watch for one value of an indexed field reads from a lane that holds only the events of that value, so events of
//!   other values neither wake it nor are looked at by it.
//! * A read is consistent when the hub has reached the store's revision. The embedded engine hands every commit to the
//!   hub before it acknowledges the writers, so there it is a comparison of two numbers.

mod forms;
mod hub;
mod json;
mod lane;
mod object;
mod resource;
mod splice;
mod state;
mod watcher;

pub use forms::{Claim, FormKey, FormMaking, FormWait};
pub use hub::{CacheHub, HubOptions};
pub use json::{JsonCodec, SelectableField};
pub use object::{CachedObject, ObjectCodec};
pub use resource::{ResourceCache, Snapshot};
pub use splice::Wire;
pub use state::Unreadable;
pub use watcher::{CacheEvent, EventKind, Filter, WatchItem, WatchRequest, WatchStart, Watcher};
