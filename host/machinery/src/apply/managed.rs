//! `metadata.managedFields`: who owns what.

use super::Writer;
use super::set::Set;
use crate::object;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A manager: entries with the same four parts are one. An applier is the same in every version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Manager {
    pub name: String,
    pub applies: bool,
    pub subresource: String,
    /// The version of the entry; empty for appliers.
    pub version: String,
}

/// What a manager owns.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub set: Set,
    pub api_version: String,
    pub time: Option<String>,
}

/// All managers of an object.
#[derive(Clone, Debug, Default)]
pub(super) struct Managed(pub BTreeMap<Manager, Entry>);

/// How many managers that update an object are told apart; the oldest beyond it become one.
const MAX_UPDATERS: usize = 10;
/// The name of the manager that the oldest become.
const ANCIENT: &str = "ancient-changes";

impl Manager {
    pub fn of(writer: &Writer<'_>, applies: bool) -> Self {
        Self {
            name: writer.manager.to_owned(),
            applies,
            subresource: writer.subresource.to_owned(),
            version: if applies { String::new() } else { writer.api_version.to_owned() },
        }
    }
}

impl Managed {
    /// Reads the entries; `None` if there are none, or if one of them is malformed.
    pub fn decode(object: &Value) -> Option<Self> {
        let list = object::meta(object)?.get("managedFields")?.as_array()?;
        let mut managed = Self::default();
        for entry in list {
            let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
            let applies = match text("operation").as_str() {
                "Apply" => true,
                "Update" => false,
                _ => return None,
            };
            let (api_version, fields) = (text("apiVersion"), text("fieldsType"));
            if fields != "FieldsV1" || api_version.is_empty() {
                return None;
            }
            let manager = Manager {
                name: text("manager"),
                applies,
                subresource: text("subresource"),
                version: if applies { String::new() } else { api_version.clone() },
            };
            let set = entry.get("fieldsV1").map(Set::from_json).unwrap_or_default();
            let time = entry.get("time").and_then(Value::as_str).map(str::to_owned);
            managed.0.insert(manager, Entry { set, api_version, time });
        }
        if managed.0.is_empty() { None } else { Some(managed) }
    }

    /// Whether the client asks to forget all owners: an empty list, or one empty entry.
    pub fn is_reset(object: &Value) -> bool {
        let list = object::meta(object).and_then(|meta| meta.get("managedFields")).and_then(Value::as_array);
        list.is_some_and(|list| match list.as_slice() {
            [] => true,
            [only] => only.as_object().is_some_and(Map::is_empty),
            _ => false,
        })
    }

    /// Writes the entries into an object: appliers first, then by time and name.
    pub fn encode(mut self, object: &mut Value) {
        self.0.retain(|_, entry| !entry.set.is_empty());
        self.cap();
        let meta = object::meta_mut(object);
        if self.0.is_empty() {
            meta.remove("managedFields");
            return;
        }
        let mut entries: Vec<(Manager, Entry)> = self.0.into_iter().collect();
        entries.sort_by(|(a, x), (b, y)| {
            let order = |manager: &Manager, entry: &Entry| {
                (
                    !manager.applies,
                    entry.time.clone(),
                    manager.name.clone(),
                    entry.api_version.clone(),
                    manager.subresource.clone(),
                )
            };
            order(a, x).cmp(&order(b, y))
        });
        let entry = |(manager, entry): (Manager, Entry)| {
            let mut members = Map::new();
            let mut put = |field: &str, value: Value| members.insert(field.to_owned(), value);
            put("manager", manager.name.into());
            put("operation", if manager.applies { "Apply" } else { "Update" }.into());
            put("apiVersion", entry.api_version.into());
            if let Some(time) = entry.time {
                put("time", time.into());
            }
            put("fieldsType", "FieldsV1".into());
            put("fieldsV1", entry.set.to_json());
            if !manager.subresource.is_empty() {
                put("subresource", manager.subresource.into());
            }
            Value::Object(members)
        };
        let list: Vec<Value> = entries.into_iter().map(entry).collect();
        meta.insert("managedFields".to_owned(), Value::Array(list));
    }

    /// Merges the oldest updaters into one where there are too many, so that objects do not grow without bound.
    fn cap(&mut self) {
        let mut updaters: Vec<(Option<String>, Manager)> = (self.0.iter())
            .filter(|(manager, _)| !manager.applies && manager.name != ANCIENT)
            .map(|(manager, entry)| (entry.time.clone(), manager.clone()))
            .collect();
        updaters.sort();
        let surplus = updaters.len().saturating_sub(MAX_UPDATERS);
        if surplus == 0 {
            return;
        }
        // One more goes, since the one that they become counts too.
        for (_, manager) in updaters.into_iter().take(surplus + 1) {
            let Some(entry) = self.0.remove(&manager) else { continue };
            let ancient = Manager { name: ANCIENT.to_owned(), subresource: String::new(), ..manager };
            let blank = Entry { set: Set::default(), api_version: entry.api_version, time: entry.time.clone() };
            let all = self.0.entry(ancient).or_insert(blank);
            all.set.unite(entry.set);
            all.time = all.time.clone().max(entry.time);
        }
    }
}

/// The manager as conflicts name it.
pub(super) fn describe(manager: &Manager, entry: &Entry) -> String {
    let mut text = format!("{:?}", manager.name);
    if !manager.subresource.is_empty() {
        text.push_str(&format!(" with subresource {:?}", manager.subresource));
    }
    if !manager.applies {
        text.push_str(&format!(" using {}", entry.api_version));
    }
    text
}
