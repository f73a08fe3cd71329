//! The owners of a `Scale`, which has no owners of its own: those of the object that it scales, as far as they own the
//! number of replicas.

use serde_json::{Value, json};

use super::managed::{Entry, Managed, Manager};
use super::set::Set;
use crate::object;

/// The version of the `Scale`.
pub const API_VERSION: &str = "autoscaling/v1";

fn replicas() -> Set {
    let mut set = Set::default();
    set.insert(&["f:spec".to_owned(), "f:replicas".to_owned()]);
    set
}

fn of(object: &Value) -> Managed {
    Managed::decode(object).unwrap_or_default()
}

fn owns(entry: &Entry) -> bool {
    !entry.set.intersection(&replicas()).is_empty()
}

/// `metadata.managedFields` of the Scale of an object; `None` if nobody owns its replicas.
pub fn to_scale(owner: &Value) -> Option<Value> {
    let mut scale = Managed::default();
    for (manager, entry) in of(owner).0.into_iter().filter(|(_, entry)| owns(entry)) {
        let version = if manager.applies { String::new() } else { API_VERSION.to_owned() };
        let entry = Entry { set: replicas(), api_version: API_VERSION.to_owned(), time: entry.time };
        scale.0.insert(Manager { version, ..manager }, entry);
    }
    fields_of(scale)
}

/// `metadata.managedFields` of the object after its Scale was written: who owned the replicas and does not any more
/// loses them, and who owns them now gets an entry. `api_version` is the object's.
pub fn to_owner(owner: &Value, scale: &Value, api_version: &str) -> Option<Value> {
    let version_of = |manager: &Manager| if manager.applies { String::new() } else { api_version.to_owned() };
    let mut writers: Vec<Manager> =
        (of(scale).0.into_iter()).map(|(manager, _)| Manager { version: version_of(&manager), ..manager }).collect();
    let mut managed = Managed::default();
    for (manager, mut entry) in of(owner).0 {
        if owns(&entry) {
            match writers.iter().position(|writer| *writer == manager) {
                Some(at) => drop(writers.swap_remove(at)),
                None => entry.set.subtract(&replicas()),
            }
        }
        managed.0.insert(manager, entry);
    }
    for manager in writers {
        // The reference gives these entries no time.
        managed.0.insert(manager, Entry { set: replicas(), api_version: api_version.to_owned(), time: None });
    }
    fields_of(managed)
}

fn fields_of(managed: Managed) -> Option<Value> {
    let mut carrier = json!({});
    managed.encode(&mut carrier);
    object::remove_at(&mut carrier, &["metadata", "managedFields"])
}
