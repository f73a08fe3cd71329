//! Histories that are right, and the same with something wrong in them, which the checkers have to find.

use std::sync::Arc;

use super::watches::{Kind, Seen, Selection, Start, Watch};
use super::{check, linear, revisions, watches};
use crate::history::{Action, Answer, Freshness, History, Listing, NEVER, Operation, Version};
use crate::truth::Truth;

const KEY: &str = "k";

fn version(revision: u64, w: u64, a: u64, b: u64) -> Version {
    Version { uid: "u1".into(), revision, w, a, b }
}

fn operation(action: Action, call: u64, done: u64, answer: Answer) -> Operation {
    Operation { key: KEY.into(), action, call, done, answer }
}

/// Made at 2, updated at 3, patched at 4, deleted at 5, made anew at 6; the versions by their revisions.
fn versions() -> [Option<Version>; 7] {
    let anew = Version { uid: "u2".into(), ..version(6, 5, 5, 5) };
    let made = Some(version(2, 1, 1, 1));
    [None, None, made, Some(version(3, 2, 2, 1)), Some(version(4, 3, 2, 3)), None, Some(anew)]
}

fn at(revision: usize) -> Version {
    versions()[revision].clone().unwrap()
}

fn truth() -> Truth {
    let mut truth = Truth::default();
    for (revision, version) in (2..).zip(versions().into_iter().skip(2)) {
        truth.push(revision, KEY, version).unwrap();
    }
    truth
}

/// One client after another, and reads in between.
fn operations() -> Vec<Operation> {
    let get = |call, done, revision| operation(Action::Get, call, done, Answer::Is(at(revision)));
    vec![
        operation(Action::Get, 0, 5, Answer::Absent),
        operation(Action::Create { w: 1 }, 10, 20, Answer::Is(at(2))),
        operation(Action::Create { w: 7 }, 21, 25, Answer::Exists),
        get(30, 40, 2),
        operation(Action::Update { w: 2, b: 1, revision: 2 }, 50, 60, Answer::Is(at(3))),
        operation(Action::Update { w: 8, b: 1, revision: 2 }, 61, 65, Answer::Conflict),
        operation(Action::Patch { w: 3 }, 70, 80, Answer::Is(at(4))),
        get(75, 85, 3),
        get(86, 90, 4),
        operation(
            Action::Delete { uid: Some("u1".into()), revision: Some(4) },
            100,
            110,
            Answer::Deleted(Some("u1".into())),
        ),
        operation(Action::Get, 111, 119, Answer::Absent),
        operation(Action::Create { w: 5 }, 120, 130, Answer::Is(at(6))),
        operation(Action::Delete { uid: Some("u1".into()), revision: None }, 140, 150, Answer::Conflict),
    ]
}

fn history(operations: Vec<Operation>) -> History {
    History { operations, ..History::default() }
}

/// Whether a history is linearizable, with the store's word for what happened and without it.
fn linearizable(what: &str, operations: &[Operation], truth: &Truth, expected: bool) {
    for truth in [truth, &Truth::default()] {
        let found = linear::check(&history(operations.to_vec()), truth);
        assert_eq!(found.is_empty(), expected, "{what}: {found:?}");
    }
}

/// The history with one operation changed.
fn with(index: usize, change: impl FnOnce(&mut Operation)) -> Vec<Operation> {
    let mut operations = operations();
    change(&mut operations[index]);
    operations
}

#[test]
fn what_is_right_passes() {
    let watch = |selection, start, seen| Watch { selection, start, seen };
    let watches = [
        watch(Selection::All, Start::After(1), events()),
        watch(Selection::Named(KEY.into()), Start::After(3), events()[2..].to_vec()),
    ];
    let listing = |revision: usize, freshness| {
        let objects = versions()[revision].clone().map(|version| (KEY.into(), version)).into_iter().collect();
        Listing { freshness, revision: revision as u64, objects, call: 200, done: 210 }
    };
    let mut history = history(operations());
    history.listings =
        vec![listing(6, Freshness::Consistent), listing(5, Freshness::Any), listing(3, Freshness::At(3))];
    history.glimpses = vec![(KEY.into(), at(3))];
    assert_eq!(check(&history, &watches, &truth()), Vec::<String>::new());
}

#[test]
fn histories_that_no_order_explains() {
    let check = |what: &str, operations: &[Operation]| linearizable(what, operations, &truth(), false);
    linearizable("nothing wrong", &operations(), &truth(), true);
    check("a stale read", &with(8, |read| read.answer = Answer::Is(at(3))));
    check("a read from the future", &with(3, |read| read.answer = Answer::Is(at(3))));
    check("a read of what is gone", &with(10, |read| read.answer = Answer::Is(at(4))));
    check("a read that misses what is there", &with(8, |read| read.answer = Answer::Absent));
    check("a create over what is there", &with(2, |create| create.answer = Answer::Is(version(3, 7, 7, 7))));
    check("a name that is said to be taken", &with(11, |create| create.answer = Answer::Exists));
    check("a conflict for no reason", &with(4, |update| update.answer = Answer::Conflict));
    check("an update of another revision", &with(5, |update| update.answer = Answer::Is(version(4, 8, 8, 1))));
    check("a patch that lost what an update wrote", &with(6, |patch| patch.answer = Answer::Is(version(4, 3, 1, 3))));
    check("a deletion of another object", &with(12, |delete| delete.answer = Answer::Deleted(Some("u1".into()))));
    check("a deletion that found nothing", &with(9, |delete| delete.answer = Answer::Absent));
    check(
        "a revision that goes back",
        &with(11, |create| {
            create.answer = Answer::Is(Version { uid: "u2".into(), ..version(1, 5, 5, 5) });
        }),
    );
    let lost =
        |w, done| operation(Action::Update { w, b: 1, revision: 2 }, 50, done, Answer::Is(version(w + 1, w, w, 1)));
    check("two updates of one revision", &[operations()[1].clone(), lost(2, 60), lost(3, 70)]);
}

#[test]
fn what_nobody_was_told_may_have_happened_or_not() {
    let create = operation(Action::Create { w: 1 }, 10, NEVER, Answer::Unknown);
    let get = |call, answer| operation(Action::Get, call, call + 5, answer);
    let (is, absent) = (Answer::Is(at(2)), Answer::Absent);
    let nothing = Truth::default();
    linearizable("never", &[create.clone(), get(20, absent.clone())], &nothing, true);
    linearizable("late", &[create.clone(), get(20, absent.clone()), get(30, is.clone())], &nothing, true);
    linearizable("and back", &[create.clone(), get(20, is.clone()), get(30, absent.clone())], &nothing, false);
    linearizable("before its call", &[get(0, is.clone()), create.clone()], &nothing, false);
    let patch = operation(Action::Patch { w: 9 }, 12, NEVER, Answer::Unknown);
    let update = operation(Action::Update { w: 2, b: 1, revision: 2 }, 30, 40, Answer::Conflict);
    let made = operation(Action::Create { w: 1 }, 0, 5, is.clone());
    linearizable("it explains a conflict", &[made.clone(), patch.clone(), update.clone()], &nothing, true);
    linearizable("nothing else would", &[made.clone(), update.clone()], &nothing, false);
    let seen_then_not = [made.clone(), patch, get(20, Answer::Is(version(3, 9, 1, 9))), get(30, is.clone())];
    linearizable("once seen it stays", &seen_then_not, &nothing, false);
    let delete = operation(Action::Delete { uid: None, revision: None }, 10, NEVER, Answer::Unknown);
    linearizable("deleted", &[made.clone(), delete.clone(), get(20, absent.clone())], &nothing, true);
    linearizable(
        "and there again",
        &[made.clone(), delete, get(20, absent.clone()), get(30, is.clone())],
        &nothing,
        false,
    );
    let sweep = operation(Action::Sweep, 10, 18, Answer::Deleted(None));
    linearizable("swept", &[made.clone(), sweep.clone(), get(20, absent)], &nothing, true);
    linearizable("swept, and there", &[made, sweep, get(20, is)], &nothing, false);
}

/// Many clients at once: found in good time, however the operations overlap.
#[test]
fn a_long_history_is_decided_fast() {
    let mut operations = vec![operation(Action::Create { w: 1 }, 0, 1, Answer::Is(at(2)))];
    for step in 1..3000 {
        let left = version(2 + step, 1 + step, 1, 1 + step);
        operations.push(operation(Action::Patch { w: 1 + step }, step * 10, step * 10 + 95, Answer::Is(left.clone())));
        operations.push(operation(Action::Get, step * 10, step * 10 + 95, Answer::Is(left)));
        if step % 100 == 0 {
            operations.push(operation(Action::Patch { w: 100_000 + step }, step * 10, NEVER, Answer::Unknown));
        }
    }
    let began = std::time::Instant::now();
    assert_eq!(linear::check(&history(operations.clone()), &Truth::default()), Vec::<String>::new());
    // A stale read near the end.
    operations.push(operation(Action::Get, 29_000, 29_001, Answer::Is(version(502, 501, 1, 501))));
    assert_eq!(linear::check(&history(operations), &Truth::default()).len(), 1);
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn revisions_are_in_one_order() {
    let check = |what: &str, operations: Vec<Operation>, text: &str| {
        let found = revisions::order(&history(operations)).join("\n");
        assert!(found.contains(text) && found.is_empty() == text.is_empty(), "{what}: {found}");
    };
    check("nothing wrong", operations(), "");
    check("reused", with(6, |patch| patch.answer = Answer::Is(version(3, 3, 2, 3))), "revision 3 was given twice");
    let back = with(11, |create| create.answer = Answer::Is(version(1, 5, 5, 5)));
    check("going back", back, "got revision 1, and 4 was told before");
    let listing = |revision, freshness| Listing { freshness, revision, objects: Vec::new(), call: 200, done: 210 };
    let mut stale = history(operations());
    stale.listings.push(listing(5, Freshness::Any));
    assert!(revisions::order(&stale).is_empty(), "whatever there is may be old");
    stale.listings.push(listing(5, Freshness::Consistent));
    assert_eq!(revisions::order(&stale).len(), 1, "a consistent list may not");
}

#[test]
fn the_store_has_what_was_acknowledged() {
    let check = |what: &str, operations: Vec<Operation>, text: &str| {
        let found = revisions::stored(&history(operations), &truth()).join("\n");
        assert!(found.contains(text) && found.is_empty() == text.is_empty(), "{what}: {found}");
    };
    check("nothing wrong", operations(), "");
    check("lost", with(11, |create| create.answer = Answer::Is(version(9, 5, 5, 5))), "the store has None");
    check("another content", with(6, |patch| patch.answer = Answer::Is(version(4, 3, 3, 3))), "told of");
    check("refused", with(6, |patch| patch.answer = Answer::Absent), "write 3 at 4, which was refused");
    check("nobody's", operations().into_iter().filter(|one| one.action.write() != Some(3)).collect(), "nobody made");
    let deleted = |uid: &str| Answer::Deleted(Some(uid.into()));
    check("not deleted", with(9, |delete| delete.answer = deleted("u2")), "was said to be deleted, and is not");
}

#[test]
fn lists_are_the_state_of_their_revision() {
    let check = |freshness, revision, objects: Vec<Version>, expected: usize| {
        let objects = objects.into_iter().map(|version| (Arc::from(KEY), version)).collect();
        let listing = Listing { freshness, revision, objects, call: 0, done: 1 };
        let history = History { listings: vec![listing.clone()], ..History::default() };
        assert_eq!(revisions::listings(&history, &truth()).len(), expected, "{listing:?}");
    };
    check(Freshness::Any, 4, vec![at(4)], 0);
    check(Freshness::Any, 5, vec![], 0);
    check(Freshness::Any, 4, vec![at(3)], 1);
    check(Freshness::Any, 4, vec![], 1);
    check(Freshness::Any, 5, vec![at(4)], 1);
    check(Freshness::At(3), 4, vec![at(4)], 1);
}

fn change(kind: Kind, version: Version) -> Seen {
    Seen::Change(kind, KEY.into(), version)
}

/// What a watch of everything from the beginning sees.
fn events() -> Vec<Seen> {
    vec![
        change(Kind::Added, at(2)),
        change(Kind::Modified, at(3)),
        change(Kind::Modified, at(4)),
        change(Kind::Deleted, Version { revision: 5, ..at(4) }),
        change(Kind::Added, at(6)),
    ]
}

#[test]
fn watches_have_every_event_once_and_in_order() {
    let check = |what: &str, selection: Selection, start: Start, seen: Vec<Seen>, text: &str| {
        let watch = Watch { selection, start, seen };
        let found = watches::check(&[watch], &truth()).join("\n");
        assert!(found.contains(text) && found.is_empty() == text.is_empty(), "{what}: {found}");
    };
    let all =
        |what: &str, from, seen: Vec<Seen>, text: &str| check(what, Selection::All, Start::After(from), seen, text);
    all("all", 1, events(), "");
    all("cut", 1, events()[..3].to_vec(), "");
    all("resumed", 4, events()[3..].to_vec(), "");
    all("resumed with a gap", 3, events()[3..].to_vec(), "is missing before");
    all("missed in the middle", 1, [&events()[..2], &events()[3..]].concat(), "is missing before");
    all("twice", 1, [&events()[..2], &events()[1..]].concat(), "twice");
    all("again what was before", 3, events()[1..].to_vec(), "twice");
    all("out of order", 1, [&events()[..1], &events()[2..3], &events()[1..2]].concat(), "is missing before");
    all("going back", 3, [&events()[2..3], &events()[1..2]].concat(), "out of order");
    let other = |kind, version| [&events()[..3], &[change(kind, version)]].concat();
    all("deleted as it was before that", 1, other(Kind::Deleted, Version { revision: 5, ..at(3) }), "should be");
    all("deleted with its own revision", 1, other(Kind::Deleted, at(4)), "twice");
    all("another kind", 1, other(Kind::Modified, Version { revision: 5, ..at(4) }), "should be");
    all("invented", 5, vec![events()[4].clone(), change(Kind::Modified, version(7, 9, 9, 9))], "never happened");
    let bookmarked = |revision| [&events()[..2], &[Seen::Bookmark(revision)], &events()[2..]].concat();
    all("a bookmark", 1, bookmarked(3), "");
    all("a bookmark of what is to come", 1, bookmarked(4), "a bookmark of 4 came before");
    all("a bookmark of the past", 1, bookmarked(2), "a bookmark of 2 came after 3");
    all("a bookmark at the end hides nothing", 1, [&events()[..4], &[Seen::Bookmark(9)]].concat(), "came before");

    let odd = vec![
        change(Kind::Added, at(2)),
        change(Kind::Deleted, Version { revision: 3, ..at(2) }),
        change(Kind::Added, at(4)),
        change(Kind::Deleted, Version { revision: 5, ..at(4) }),
        change(Kind::Added, at(6)),
    ];
    let labelled = |what: &str, seen: Vec<Seen>, text: &str| {
        check(what, Selection::Labelled("odd"), Start::After(1), seen, text);
    };
    labelled("comes and goes", odd.clone(), "");
    let with_new = [&odd[..1], &[change(Kind::Deleted, at(3))]].concat();
    labelled("goes as what it became", with_new, "should be");
    labelled("never goes", [&odd[..1], &odd[2..]].concat(), "is missing before");

    let started = |what: &str, start, seen: Vec<Seen>, text: &str| check(what, Selection::All, start, seen, text);
    let begin = |revision: usize, synced| vec![change(Kind::Added, at(revision)), Seen::Synced(synced)];
    started("the state", Start::Initial, [begin(3, 3), events()[2..].to_vec()].concat(), "");
    started("an older state", Start::Initial, begin(3, 4), "its initial state at 4");
    started("no state", Start::Initial, vec![Seen::Synced(4)], "its initial state at 4");
    started("none to be had", Start::Initial, vec![Seen::Synced(5), events()[4].clone()], "");
    started("an event too early", Start::Initial, events()[..2].to_vec(), "before the initial state had ended");
    started("any state", Start::Any, [&[change(Kind::Added, at(3))], &events()[2..]].concat(), "");
    started(
        "a gap after any state",
        Start::Any,
        [&[change(Kind::Added, at(3))], &events()[3..]].concat(),
        "explains it",
    );
    started("the state of the first bookmark", Start::Any, vec![Seen::Bookmark(5), events()[4].clone()], "");
    started("a bookmark too late", Start::Any, vec![Seen::Bookmark(6)], "explains it");
    started("no such state", Start::Any, vec![change(Kind::Added, version(3, 2, 2, 2))], "explains it");
}

#[test]
fn a_watch_is_resumed_where_it_was_cut() {
    let check = |start, seen: Vec<Seen>, expected| {
        assert_eq!(Watch { selection: Selection::All, start, seen: seen.clone() }.position(), expected, "{seen:?}");
    };
    check(Start::After(7), vec![], Some(7));
    check(Start::After(1), events()[..2].to_vec(), Some(3));
    check(Start::After(1), vec![Seen::Bookmark(9)], Some(9));
    check(Start::Initial, vec![change(Kind::Added, at(3))], None);
    check(Start::Initial, vec![change(Kind::Added, at(3)), Seen::Synced(4)], Some(4));
    check(Start::Any, events(), None);
}
