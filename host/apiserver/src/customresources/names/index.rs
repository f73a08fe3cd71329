//! Which definition has which name, so that one definition more is not compared with all others of its group.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use portcullis_machinery::{Value, object};

use super::Taken;

/// The owners of names.
type Owners = HashMap<String, BTreeSet<Arc<str>>>;

#[derive(Default)]
struct Group {
    resources: Owners,
    kinds: Owners,
    /// Definitions that did not get all names that they ask for.
    waiting: BTreeSet<Arc<str>>,
}

/// The names of all definitions, by their groups.
#[derive(Default)]
pub struct Names {
    groups: HashMap<String, Group>,
}

fn group(crd: &Value) -> &str {
    object::str_at(crd, &["spec", "group"]).unwrap_or_default()
}

/// Names at a place in a definition: those of resources, and those of kinds.
fn names<'a>(crd: &'a Value, at: [&str; 2]) -> (Vec<&'a str>, Vec<&'a str>) {
    let one = |field: &str| object::str_at(crd, &[at[0], at[1], field]).filter(|name| !name.is_empty());
    let short = object::list_at(crd, &[at[0], at[1], "shortNames"]).iter().filter_map(Value::as_str);
    let resources = [one("plural"), one("singular")].into_iter().flatten().chain(short).collect();
    (resources, [one("kind"), one("listKind")].into_iter().flatten().collect())
}

impl Names {
    /// Takes in a definition, or the new version of one, or (with `new` as `None`) forgets it.
    pub fn set(&mut self, name: &Arc<str>, old: Option<&Value>, new: Option<&Value>) {
        if let Some(old) = old
            && let Some(group) = self.groups.get_mut(group(old))
        {
            let (resources, kinds) = names(old, ["status", "acceptedNames"]);
            for (owners, names) in [(&mut group.resources, resources), (&mut group.kinds, kinds)] {
                for given in names {
                    if let Some(those) = owners.get_mut(given) {
                        those.remove(name);
                        if those.is_empty() {
                            owners.remove(given);
                        }
                    }
                }
            }
            group.waiting.remove(name);
        }
        let Some(new) = new else { return };
        let group = self.groups.entry(group(new).to_owned()).or_default();
        let (resources, kinds) = names(new, ["status", "acceptedNames"]);
        for (owners, names) in [(&mut group.resources, resources), (&mut group.kinds, kinds)] {
            for given in names {
                owners.entry(given.to_owned()).or_default().insert(Arc::clone(name));
            }
        }
        if !portcullis_machinery::definition::custom::has_condition(new, "NamesAccepted") {
            group.waiting.insert(Arc::clone(name));
        }
    }

    /// Which of the names that a definition asks for others have.
    pub fn taken(&self, crd: &Value) -> Taken {
        let Some(group) = self.groups.get(group(crd)) else { return Taken::default() };
        let me = object::name(crd);
        let of_others = |owners: &Owners, asked: Vec<&str>| {
            let others = |name: &&str| owners.get(*name).is_some_and(|those| those.iter().any(|other| **other != *me));
            asked.into_iter().filter(others).map(str::to_owned).collect()
        };
        let (resources, kinds) = names(crd, ["spec", "names"]);
        Taken { resources: of_others(&group.resources, resources), kinds: of_others(&group.kinds, kinds) }
    }

    /// The definitions of a group that wait for names which others have.
    pub fn waiting(&self, group: &str) -> impl Iterator<Item = &Arc<str>> {
        self.groups.get(group).into_iter().flat_map(|group| &group.waiting)
    }
}
