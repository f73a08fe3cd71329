//! What the API promises of its watches: events are ordered, unique and complete, a watch can be resumed where it was cut,
//! after a bookmark nothing older comes, and a deletion carries the object as it was last.
//!
//! Every watch is compared with what the store says has happened. That it was resumed makes no difference: it begins where
//! the one before it was cut, and has to have everything from there on.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::history::{Version, parity};
use crate::truth::{Change, Truth};

/// What a watch selects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Everything.
    All,
    /// One object, by its name.
    Named(Arc<str>),
    /// Objects by their label.
    Labelled(&'static str),
}

impl Selection {
    fn wants(&self, key: &str, version: &Version) -> bool {
        match self {
            Self::All => true,
            Self::Named(name) => **name == *key,
            Self::Labelled(label) => parity(version.w) == *label,
        }
    }
}

/// Where a watch begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// After a revision.
    After(u64),
    /// With the present state and a bookmark that ends it.
    Initial,
    /// With some state, which nothing ends.
    Any,
}

/// What came on a watch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// ADDED.
    Added,
    /// MODIFIED.
    Modified,
    /// DELETED.
    Deleted,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A change, and the object that came with it.
    Change(Kind, Arc<str>, Version),
    /// A bookmark.
    Bookmark(u64),
    /// The bookmark that ends the initial state.
    Synced(u64),
}

/// A watch from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// What it selects.
    pub selection: Selection,
    /// Where it begins.
    pub start: Start,
    /// What came.
    pub seen: Vec<Seen>,
}

impl Watch {
    /// Where the watch is: what resumes it begins after this. `None` if it has not come to a place that can be resumed.
    pub fn position(&self) -> Option<u64> {
        let synced = self.seen.iter().rposition(|seen| matches!(seen, Seen::Synced(_)));
        let from = match (self.start, synced) {
            (Start::Initial, None) => return None,
            (_, synced) => synced.unwrap_or(0),
        };
        let last = self.seen[from..].last().map(|seen| match seen {
            Seen::Change(_, _, version) => version.revision,
            Seen::Bookmark(revision) | Seen::Synced(revision) => *revision,
        });
        match self.start {
            Start::After(revision) => Some(last.unwrap_or(revision)),
            Start::Initial => last,
            // The initial state has no end that one could tell.
            Start::Any => None,
        }
    }
}

/// What a change is to who selects.
fn expected(selection: &Selection, revision: u64, change: &Change) -> Option<Seen> {
    let wanted = |version: &&Version| selection.wants(&change.key, version);
    let (before, after) = (change.before.as_ref().filter(wanted), change.after.as_ref().filter(wanted));
    let (kind, version) = match (before, after) {
        (None, None) => return None,
        (None, Some(after)) => (Kind::Added, after.clone()),
        (Some(_), Some(after)) => (Kind::Modified, after.clone()),
        // As it was last, with the revision of the change.
        (Some(before), None) => (Kind::Deleted, Version { revision, ..before.clone() }),
    };
    Some(Seen::Change(kind, Arc::clone(&change.key), version))
}

/// Follows events from a revision on.
fn follow(watch: &Watch, from: u64, seen: &[Seen], truth: &Truth) -> Result<(), String> {
    let mut last = from;
    let events = truth.after(from).filter_map(|(at, change)| Some((at, expected(&watch.selection, at, change)?)));
    let mut events = events.peekable();
    for one in seen {
        match one {
            Seen::Synced(revision) => return Err(format!("a second initial state ended at {revision}")),
            Seen::Bookmark(revision) => {
                if *revision < last {
                    return Err(format!("a bookmark of {revision} came after {last}"));
                }
                if let Some((missed, event)) = events.peek()
                    && missed <= revision
                {
                    return Err(format!("a bookmark of {revision} came before {event:?}"));
                }
                last = *revision;
            }
            Seen::Change(_, _, version) => {
                let revision = version.revision;
                if revision == last {
                    return Err(format!("{one:?} came after everything up to {last} had come: twice"));
                }
                if revision < last {
                    return Err(format!("{one:?} came after {last}: out of order"));
                }
                match events.next() {
                    Some((_, event)) if event == *one => last = revision,
                    Some((at, event)) if at < revision => return Err(format!("{event:?} is missing before {one:?}")),
                    Some((at, event)) if at == revision => return Err(format!("{one:?} should be {event:?}")),
                    other => return Err(format!("{one:?} never happened (next is {other:?})")),
                }
            }
        }
    }
    Ok(())
}

/// The part of the state that a watch selects, as the events that its initial state consists of.
fn initial(watch: &Watch, truth: &Truth, revision: u64) -> Vec<Seen> {
    let state = truth.state(revision).into_iter();
    let wanted = state.filter(|(key, version)| watch.selection.wants(key, version));
    wanted.map(|(key, version)| Seen::Change(Kind::Added, key, version)).collect()
}

/// A watch that begins with the state at a revision that it does not tell: tries all that it can be.
fn from_any(watch: &Watch, truth: &Truth) -> Result<(), String> {
    let mut why: Option<String> = None;
    let added = watch.seen.iter().take_while(|seen| matches!(seen, Seen::Change(Kind::Added, _, _))).count();
    let revision = |seen: &Seen| match seen {
        Seen::Change(_, _, version) => version.revision,
        Seen::Bookmark(revision) | Seen::Synced(revision) => *revision,
    };
    // The most that can be the initial state first, so that the reason given is the likeliest one.
    for count in 0..=added {
        let (state, rest) = watch.seen.split_at(count);
        let least = state.iter().map(revision).max().unwrap_or(0);
        let most = match rest.first() {
            None => truth.last(),
            // The state has no more than what came before this change.
            Some(Seen::Change(_, _, version)) => version.revision.saturating_sub(1),
            // The state may have been exactly this one.
            Some(Seen::Bookmark(revision) | Seen::Synced(revision)) => *revision,
        };
        let mut candidates: BTreeSet<u64> = truth.revisions(least, most).into_iter().collect();
        candidates.extend([least, most].into_iter().filter(|at| (least..=most).contains(at)));
        for at in candidates {
            let whole = initial(watch, truth, at);
            // A watch that was cut before all of its initial state had come.
            if rest.is_empty() && whole.starts_with(state) {
                return Ok(());
            }
            if whole == state {
                match follow(watch, at, rest, truth) {
                    Ok(()) => return Ok(()),
                    Err(error) => why = why.or(Some(format!("with the state at {at}: {error}"))),
                }
            }
        }
    }
    let begins = &watch.seen[..watch.seen.len().min(added + 1)];
    let why = why.unwrap_or_else(|| "nothing fits".to_owned());
    let least = begins.iter().map(revision).min().unwrap_or(0);
    let most = begins.iter().map(revision).max().unwrap_or(0);
    let happened: Vec<_> = truth
        .after(least.saturating_sub(60))
        .take_while(|(at, _)| *at <= most)
        .filter_map(|(at, change)| expected(&watch.selection, at, change))
        .collect();
    Err(format!(
        "no state that it can have begun with explains it: {why}; it begins with {begins:?}; what happened then: \
         {happened:?}"
    ))
}

fn check_one(watch: &Watch, truth: &Truth) -> Result<(), String> {
    match watch.start {
        Start::After(revision) => follow(watch, revision, &watch.seen, truth),
        Start::Any => from_any(watch, truth),
        Start::Initial => {
            let synced = watch.seen.iter().position(|seen| matches!(seen, Seen::Synced(_)));
            let Some(end) = synced else {
                let added = |seen: &Seen| matches!(seen, Seen::Change(Kind::Added, _, _));
                let all = watch.seen.iter().all(added);
                return if all { Ok(()) } else { Err("something came before the initial state had ended".to_owned()) };
            };
            let Seen::Synced(revision) = watch.seen[end] else { return Ok(()) };
            let (got, wanted) = (&watch.seen[..end], initial(watch, truth, revision));
            if got != wanted {
                return Err(format!("its initial state at {revision} is {got:?}, which should be {wanted:?}"));
            }
            follow(watch, revision, &watch.seen[end + 1..], truth)
        }
    }
}

/// Checks watches.
pub fn check(watches: &[Watch], truth: &Truth) -> Vec<String> {
    let wrong = |watch: &Watch| {
        let why = check_one(watch, truth).err()?;
        Some(format!("a watch of {:?} from {:?}: {why}", watch.selection, watch.start))
    };
    watches.iter().filter_map(wrong).collect()
}
