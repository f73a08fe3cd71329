//! What the store says has happened: every change of our objects, read past the API server.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_storage::Event;
use serde_json::Value;

use crate::history::Version;

/// A change of an object: its new version, or `None` if it was deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The object's name.
    pub key: Arc<str>,
    /// What it became.
    pub after: Option<Version>,
    /// What it was.
    pub before: Option<Version>,
}

/// All changes by their revisions.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    changes: BTreeMap<u64, Change>,
    keys: BTreeMap<Arc<str>, Vec<(u64, Option<Version>)>>,
}

impl Truth {
    /// Takes a change, in the order of revisions.
    ///
    /// # Errors
    /// What is wrong with it: a revision that does not follow the last one, or a deletion of nothing.
    pub fn push(&mut self, revision: u64, key: &str, after: Option<Version>) -> Result<(), String> {
        if let Some((last, _)) = self.changes.last_key_value()
            && *last >= revision
        {
            return Err(format!("the store gave revision {revision} after {last}"));
        }
        let key: Arc<str> = key.into();
        let versions = self.keys.entry(Arc::clone(&key)).or_default();
        let before = versions.last().and_then(|(_, version)| version.clone());
        if before.is_none() && after.is_none() {
            return Err(format!("the store deleted {key}, which was not there, at {revision}"));
        }
        versions.push((revision, after.clone()));
        self.changes.insert(revision, Change { key, after, before });
        Ok(())
    }

    /// Takes an event of the store under `prefix`.
    ///
    /// # Errors
    /// As [`Self::push`]; and for a value that no write of ours can have left.
    pub fn event(&mut self, prefix: &str, event: &Event) -> Result<(), String> {
        let (key, revision) = (event.key().trim_start_matches(prefix).to_owned(), event.revision());
        let after = match event {
            Event::Delete { .. } => None,
            Event::Put { kv, .. } => {
                let object: Value = serde_json::from_slice(&kv.value).map_err(|error| format!("{key}: {error}"))?;
                if object["metadata"]["name"] == "kube-root-ca.crt" {
                    return Ok(());
                }
                let version = Version::stored(&object, revision);
                Some(version.ok_or_else(|| format!("{key} at {revision} is of no write: {object}"))?)
            }
        };
        self.push(revision, &key, after)
    }

    /// The last revision at which something changed.
    pub fn last(&self) -> u64 {
        self.changes.last_key_value().map_or(0, |(revision, _)| *revision)
    }

    /// How many changes there are.
    pub fn len(&self) -> usize {
        self.changes.len()
    }

    /// The change of a revision.
    pub fn at(&self, revision: u64) -> Option<&Change> {
        self.changes.get(&revision)
    }

    /// The changes after a revision.
    pub fn after(&self, revision: u64) -> impl Iterator<Item = (u64, &Change)> {
        self.changes.range(revision + 1..).map(|(revision, change)| (*revision, change))
    }

    /// An object as it was at a revision.
    pub fn object(&self, key: &str, revision: u64) -> Option<&Version> {
        let versions = self.keys.get(key)?;
        let past = versions.partition_point(|(at, _)| *at <= revision);
        versions.get(past.checked_sub(1)?)?.1.as_ref()
    }

    /// Everything as it was at a revision, in the order of names.
    pub fn state(&self, revision: u64) -> Vec<(Arc<str>, Version)> {
        let object = |key: &Arc<str>| Some((Arc::clone(key), self.object(key, revision)?.clone()));
        self.keys.keys().filter_map(object).collect()
    }

    /// The revisions between two, both included, at which something changed.
    pub fn revisions(&self, from: u64, to: u64) -> Vec<u64> {
        if from > to { Vec::new() } else { self.changes.range(from..=to).map(|(revision, _)| *revision).collect() }
    }

    /// Which write got which revision.
    pub fn writes(&self) -> BTreeMap<u64, u64> {
        self.changes.iter().filter_map(|(revision, change)| Some((change.after.as_ref()?.w, *revision))).collect()
    }

    /// At which revision an object with this uid was deleted.
    pub fn deletions(&self) -> BTreeMap<Arc<str>, u64> {
        let deleted = |(revision, change): (&u64, &Change)| match (&change.before, &change.after) {
            (Some(before), None) => Some((Arc::clone(&before.uid), *revision)),
            _ => None,
        };
        self.changes.iter().filter_map(deleted).collect()
    }
}
