//! The one order of all revisions: what was acknowledged earlier has a lower one than what was begun later, none is given
//! twice, and the store has exactly what was acknowledged.

use std::collections::BTreeMap;

use crate::history::{Action, Answer, Freshness, History, Moment, Version};
use crate::truth::Truth;

/// A revision that a client was told.
struct Told {
    call: Moment,
    done: Moment,
    revision: u64,
    /// Whether it was given for this (a write), and so is higher than all that anybody was told before.
    given: bool,
    /// Whether it is at least as high as what anybody was told before.
    fresh: bool,
    what: String,
}

fn told(history: &History) -> Vec<Told> {
    let mut all = Vec::new();
    for operation in &history.operations {
        if let (Answer::Is(version), Some(_)) = (&operation.answer, operation.action.write()) {
            let (call, done, revision) = (operation.call, operation.done, version.revision);
            let what = format!("{:?} of {}", operation.action, operation.key);
            all.push(Told { call, done, revision, given: true, fresh: true, what });
        }
    }
    for list in &history.listings {
        let (call, done, revision) = (list.call, list.done, list.revision);
        let fresh = list.freshness == Freshness::Consistent;
        all.push(Told { call, done, revision, given: false, fresh, what: format!("{:?} list", list.freshness) });
    }
    all
}

/// Checks the order of revisions, from what clients were told alone.
pub fn order(history: &History) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut calls = told(history);
    let mut given: BTreeMap<u64, &Told> = BTreeMap::new();
    for one in calls.iter().filter(|one| one.given) {
        if let Some(other) = given.insert(one.revision, one) {
            wrong.push(format!("revision {} was given twice: {} and {}", one.revision, other.what, one.what));
        }
    }
    let mut answers: Vec<(Moment, u64)> = calls.iter().map(|one| (one.done, one.revision)).collect();
    answers.sort_unstable();
    calls.sort_by_key(|one| one.call);
    let (mut next, mut newest) = (0, 0);
    for one in &calls {
        while next < answers.len() && answers[next].0 < one.call {
            newest = newest.max(answers[next].1);
            next += 1;
        }
        if one.given && one.revision <= newest {
            wrong.push(format!("{} got revision {}, and {newest} was told before", one.what, one.revision));
        } else if one.fresh && one.revision < newest {
            wrong.push(format!("{} is of revision {}, and {newest} was told before", one.what, one.revision));
        }
    }
    wrong
}

/// Checks that the store has what was acknowledged, and nothing that was refused or that nobody wrote.
pub fn stored(history: &History, truth: &Truth) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut writes: BTreeMap<u64, bool> = BTreeMap::new();
    let mut look = |version: &Version, key: &str, what: &str| {
        let stored = truth.at(version.revision);
        let same = stored.is_some_and(|change| *change.key == *key && change.after.as_ref() == Some(version));
        if !same {
            wrong.push(format!("{what} of {key} told of {version:?}, the store has {stored:?}"));
        }
    };
    for operation in &history.operations {
        if let Answer::Is(version) = &operation.answer {
            look(version, &operation.key, &format!("{:?}", operation.action));
        }
        if let Some(w) = operation.action.write() {
            writes.insert(w, matches!(operation.answer, Answer::Is(_) | Answer::Unknown));
        }
    }
    for (key, version) in &history.glimpses {
        look(version, key, "a read of anything");
    }
    let (stored, deletions) = (truth.writes(), truth.deletions());
    for (w, revision) in &stored {
        match writes.get(w) {
            None => wrong.push(format!("the store has write {w} at {revision}, which nobody made")),
            Some(false) => wrong.push(format!("the store has write {w} at {revision}, which was refused")),
            Some(true) => {}
        }
    }
    for operation in &history.operations {
        if let (Action::Delete { .. }, Answer::Deleted(Some(uid))) = (&operation.action, &operation.answer)
            && !deletions.contains_key(uid)
        {
            wrong.push(format!("{} {uid} was said to be deleted, and is not", operation.key));
        }
    }
    wrong
}

/// Checks that every list is the state at its revision.
pub fn listings(history: &History, truth: &Truth) -> Vec<String> {
    let mut wrong = Vec::new();
    for list in &history.listings {
        if let Freshness::At(revision) = list.freshness
            && revision != list.revision
        {
            wrong.push(format!("a list at {revision} says that it is of {}", list.revision));
        }
        let state = truth.state(list.revision);
        if state != list.objects {
            let (revision, freshness) = (list.revision, list.freshness);
            let differs =
                |(key, version): &&(_, Version)| !state.contains(&(std::sync::Arc::clone(key), version.clone()));
            let odd: Vec<_> = list.objects.iter().filter(differs).collect();
            let missing: Vec<_> = state.iter().filter(|one| !list.objects.contains(one)).collect();
            wrong.push(format!(
                "a list ({freshness:?}) of revision {revision} is not the state then: it has {odd:?}, and lacks {missing:?}"
            ));
        }
    }
    wrong
}
