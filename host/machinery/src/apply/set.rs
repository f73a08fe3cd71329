//! Sets of field paths, in the form of `fieldsV1` (API reference, `FieldsV1`).

use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// A set of paths: a tree whose steps are in the notation of `fieldsV1` (`f:name`, `k:{"name":"a"}`, `v:"x"`, `i:0`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Set {
    /// Whether the path to here is a member itself.
    pub here: bool,
    /// What is below.
    pub below: BTreeMap<String, Set>,
}

impl Set {
    /// Reads `fieldsV1`. A step with nothing below is a member; one with something below is a member if `.` is there.
    pub fn from_json(value: &Value) -> Self {
        let mut set = Self::default();
        for (step, below) in value.as_object().into_iter().flatten() {
            if step == "." {
                set.here = true;
                continue;
            }
            let mut child = Self::from_json(below);
            if child.below.is_empty() {
                child.here = true;
            }
            set.below.insert(step.clone(), child);
        }
        set
    }

    /// Writes `fieldsV1`.
    pub fn to_json(&self) -> Value {
        let mut members = Map::new();
        if self.here && !self.below.is_empty() {
            members.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (step, below) in &self.below {
            members.insert(step.clone(), below.to_json());
        }
        Value::Object(members)
    }

    /// Whether there are no members.
    pub fn is_empty(&self) -> bool {
        !self.here && self.below.values().all(Self::is_empty)
    }

    /// Makes the path from here by these steps a member.
    pub fn insert(&mut self, path: &[String]) {
        match path.split_first() {
            None => self.here = true,
            Some((step, rest)) => self.below.entry(step.clone()).or_default().insert(rest),
        }
    }

    /// Adds all members of another set.
    pub fn unite(&mut self, other: Self) {
        self.here |= other.here;
        if self.below.is_empty() {
            self.below = other.below;
            return;
        }
        for (step, below) in other.below {
            self.below.entry(step).or_default().unite(below);
        }
    }

    /// The members that are in both.
    pub fn intersection(&self, other: &Self) -> Self {
        let mut set = Self { here: self.here && other.here, below: BTreeMap::new() };
        for (step, below) in &self.below {
            if let Some(other) = other.below.get(step) {
                let both = below.intersection(other);
                if !both.is_empty() {
                    set.below.insert(step.clone(), both);
                }
            }
        }
        set
    }

    /// Takes the members of another set out.
    pub fn subtract(&mut self, other: &Self) {
        self.here &= !other.here;
        for (step, below) in &other.below {
            if let Some(mine) = self.below.get_mut(step) {
                mine.subtract(below);
                if mine.is_empty() {
                    self.below.remove(step);
                }
            }
        }
    }

    /// Takes a path of object keys and all that is below it out.
    pub fn subtract_below(&mut self, path: &[&str]) {
        let Some((first, rest)) = path.split_first() else {
            *self = Self::default();
            return;
        };
        let step = format!("f:{first}");
        if let Some(child) = self.below.get_mut(&step) {
            child.subtract_below(rest);
            if child.is_empty() {
                self.below.remove(&step);
            }
        }
    }

    /// The members as people read them: `.spec.containers[name="a"].image`.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect(&mut String::new(), &mut paths);
        paths
    }

    fn collect(&self, at: &mut String, paths: &mut Vec<String>) {
        if self.here {
            paths.push(at.clone());
        }
        for (step, below) in &self.below {
            let length = at.len();
            at.push_str(&step_text(step));
            below.collect(at, paths);
            at.truncate(length);
        }
    }
}

/// One step as people read it.
pub(super) fn step_text(step: &str) -> String {
    match step.split_once(':') {
        Some(("f", name)) => format!(".{name}"),
        Some(("v", value)) => format!("[={value}]"),
        Some(("k", keys)) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("[{}]", keys.join(","))
        }
        Some((_, index)) => format!("[{index}]"),
        None => step.to_owned(),
    }
}
