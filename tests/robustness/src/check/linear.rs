//! Whether an object's history is linearizable: whether there is an order of its operations, each at one moment between its
//! call and its answer, in which every answer is what the object was at that moment.
//!
//! The search is that of Wing and Gong, with the states that were reached remembered as Lowe does it. What makes it fast:
//!
//! * An operation that changes nothing and fits the present state is taken at once: whatever follows can follow it, too.
//! * Revisions say in which order writes took effect, so hardly ever is there a choice between two.
//! * An operation without an answer is certain to have happened once somebody has seen what it wrote; then it has that
//!   revision. One that nobody has seen may be put anywhere after its call, or left out, and is tried last. Its number does
//!   not matter then, so that one such patch is like another, and only one of them has to be tried.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use crate::history::{Action, Answer, History, NEVER, Operation, Version};
use crate::truth::Truth;

/// How many states are looked at before the search gives up on an object.
const BUDGET: usize = 2_000_000;

/// An operation with what is known of it beyond its answer.
#[derive(Clone, Debug)]
struct Step {
    operation: Operation,
    /// The version that it left, if it has an answer or somebody has seen what it wrote.
    left: Option<Version>,
    /// The revision at which it took effect.
    revision: Option<u64>,
    /// Whether it has taken effect for certain, or was answered.
    certain: bool,
}

/// An object as the operations so far have left it. What nobody was told is not known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Object {
    uid: Option<Arc<str>>,
    revision: Option<u64>,
    w: u64,
    a: u64,
    b: u64,
}

impl Object {
    fn is(&self, version: &Version) -> bool {
        self.uid.as_ref().is_none_or(|uid| *uid == version.uid)
            && self.revision == Some(version.revision)
            && (self.w, self.a, self.b) == (version.w, version.a, version.b)
    }
}

impl From<&Version> for Object {
    fn from(version: &Version) -> Self {
        let Version { uid, revision, w, a, b } = version;
        Self { uid: Some(Arc::clone(uid)), revision: Some(*revision), w: *w, a: *a, b: *b }
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct State {
    /// The last revision at which the object is known to have changed.
    last: u64,
    object: Option<Object>,
}

impl State {
    fn with(&self, object: Option<Object>, revision: Option<u64>) -> Option<Self> {
        let follows = revision.is_none_or(|revision| revision > self.last);
        follows.then(|| Self { last: revision.unwrap_or(self.last), object })
    }

    /// The state after a step; `None` if the step cannot be here.
    fn after(&self, step: &Step) -> Option<Self> {
        let there = self.object.as_ref();
        let fits = |holds: bool| holds.then(|| self.clone());
        match (&step.operation.action, &step.operation.answer) {
            (_, Answer::Refused) => Some(self.clone()),
            (Action::Sweep, Answer::Deleted(_) | Answer::Unknown) => self.with(None, None),
            (Action::Sweep, _) => None,
            (_, Answer::Absent) => fits(there.is_none()),
            (Action::Create { .. }, Answer::Exists) => fits(there.is_some()),
            (Action::Get, Answer::Is(version)) => fits(there.is_some_and(|object| object.is(version))),
            (Action::Get, _) => None,
            (Action::Update { revision, .. }, Answer::Conflict) => {
                fits(there.is_some_and(|object| object.revision != Some(*revision)))
            }
            (Action::Delete { uid, revision }, Answer::Conflict) => {
                let other = |object: &Object| {
                    uid.is_some() && object.uid != *uid || revision.is_some() && object.revision != *revision
                };
                // Without preconditions the server has given up: others were always faster.
                fits(there.is_some_and(other) || (uid.is_none() && revision.is_none()))
            }
            (Action::Patch { .. }, Answer::Conflict) => Some(self.clone()),
            (Action::Delete { uid, revision }, answer) => {
                let object = there?;
                let named = match answer {
                    Answer::Deleted(named) => named.clone(),
                    Answer::Unknown => None,
                    _ => return None,
                };
                let same = |uid: &Option<Arc<str>>| uid.is_none() || object.uid.is_none() || *uid == object.uid;
                let holds = same(uid) && same(&named) && (revision.is_none() || object.revision == *revision);
                if holds { self.with(None, step.revision) } else { None }
            }
            (action, Answer::Is(_) | Answer::Unknown) => self.written(action, step),
            _ => None,
        }
    }

    /// The state after a write.
    fn written(&self, action: &Action, step: &Step) -> Option<Self> {
        let there = self.object.as_ref();
        let fresh = |w, a, b| Object { uid: there.and_then(|object| object.uid.clone()), revision: None, w, a, b };
        let made = match action {
            Action::Create { w } if there.is_none() => fresh(*w, *w, *w),
            Action::Update { w, b, revision } if there?.revision == Some(*revision) && there?.b == *b => {
                fresh(*w, *w, *b)
            }
            Action::Patch { w } => fresh(*w, there?.a, *w),
            _ => return None,
        };
        let Some(left) = &step.left else { return self.with(Some(made), None) };
        let same = (made.w, made.a, made.b) == (left.w, left.a, left.b)
            && made.uid.as_ref().is_none_or(|uid| *uid == left.uid);
        if same { self.with(Some(left.into()), Some(left.revision)) } else { None }
    }
}

/// Which steps are in the order already.
type Taken = Vec<u64>;

fn has(taken: &Taken, at: usize) -> bool {
    taken[at / 64] & (1 << (at % 64)) != 0
}

fn take(taken: &mut Taken, at: usize) {
    taken[at / 64] |= 1 << (at % 64);
}

/// A place in the search: what is in the order, the state that it leaves, and what could come next.
struct Place {
    taken: Taken,
    low: usize,
    /// How many of the ordered steps have been taken.
    ranked: usize,
    state: State,
    options: Vec<usize>,
}

struct Search<'a> {
    steps: &'a [Step],
    /// Which of them have happened for certain, and which may have.
    certain: Taken,
    unseen: Vec<usize>,
    /// Those whose revision is known, in its order: in which they have to be taken.
    ordered: Vec<usize>,
}

/// What has been tried: the certain steps that are in an order and the state that it leaves, and for each of these the
/// others that are in it. A try with more of those is no better than one with fewer: it has less left to choose from.
type Tried = HashMap<(Taken, State), Vec<Taken>>;

impl<'a> Search<'a> {
    fn new(steps: &'a [Step]) -> Self {
        let mut certain = vec![0; steps.len() / 64 + 1];
        let mut unseen = Vec::new();
        for (at, step) in steps.iter().enumerate() {
            if step.certain {
                take(&mut certain, at);
            } else {
                unseen.push(at);
            }
        }
        let mut ordered: Vec<usize> = (0..steps.len()).filter(|at| steps[*at].revision.is_some()).collect();
        ordered.sort_by_key(|at| steps[*at].revision);
        Self { steps, certain, unseen, ordered }
    }

    /// Whether a place is worth going on from; it is tried then.
    fn is_new(&self, tried: &mut Tried, place: &Place) -> bool {
        let certain: Taken = place.taken.iter().zip(&self.certain).map(|(taken, certain)| taken & certain).collect();
        let others: Taken = place.taken.iter().zip(&self.certain).map(|(taken, certain)| taken & !certain).collect();
        let before = tried.entry((certain, place.state.clone())).or_default();
        let fewer = |had: &Taken| had.iter().zip(&others).all(|(had, now)| had & !now == 0);
        if before.iter().any(fewer) {
            return false;
        }
        before.push(others);
        true
    }

    /// The moment by which the next step has to be: the first answer that is not in the order yet. `None` if all are.
    fn bound(&self, taken: &Taken, low: usize) -> Option<u64> {
        let mut bound = None;
        for (at, step) in self.steps.iter().enumerate().skip(low) {
            if bound.is_some_and(|bound| step.operation.call > bound) {
                break;
            }
            if step.certain && !has(taken, at) {
                bound = Some(bound.unwrap_or(NEVER).min(step.operation.done));
            }
        }
        bound
    }

    /// Takes all that changes nothing, and finds what could come next; `Err` if nothing is left.
    fn place(&self, mut taken: Taken, (mut low, mut ranked): (usize, usize), state: State) -> Result<Place, ()> {
        while self.ordered.get(ranked).is_some_and(|at| has(&taken, *at)) {
            ranked += 1;
        }
        loop {
            while low < self.steps.len() && (has(&taken, low) || !self.steps[low].certain) {
                low += 1;
            }
            let bound = self.bound(&taken, low).ok_or(())?;
            let reach = self.steps.partition_point(|step| step.operation.call <= bound);
            let open = |at: &usize| !has(&taken, *at);
            let quiet = |at: &usize| {
                let step = &self.steps[*at];
                let sweep = step.operation.action == Action::Sweep;
                step.certain && !sweep && state.after(step).as_ref() == Some(&state)
            };
            let found: Vec<usize> = (low..reach).filter(open).filter(quiet).collect();
            if !found.is_empty() {
                found.into_iter().for_each(|at| take(&mut taken, at));
                continue;
            }
            let turn = |at: &usize| self.steps[*at].revision.is_none() || self.ordered.get(ranked) == Some(at);
            let fits = |at: &usize| turn(at) && state.after(&self.steps[*at]).is_some();
            let mut certain: Vec<usize> =
                (low..reach).filter(open).filter(|at| self.steps[*at].certain).filter(fits).collect();
            certain.sort_by_key(|at| (self.steps[*at].revision.unwrap_or(u64::MAX), self.steps[*at].operation.done));
            let changes = |at: &usize| state.after(&self.steps[*at]).is_some_and(|after| after != state);
            let unseen = self.unseen.iter().copied().take_while(|at| *at < reach).filter(open).filter(changes);
            // Of two that would do the same the one is as good as the other.
            let mut kinds: Vec<&Action> = Vec::new();
            let first = |at: &usize| {
                let action = &self.steps[*at].operation.action;
                let first = !kinds.contains(&action);
                kinds.extend(first.then_some(action));
                first
            };
            let options: Vec<usize> = certain.into_iter().chain(unseen.filter(first)).collect();
            return Ok(Place { taken, low, ranked, state, options });
        }
    }

    /// Looks for an order. Those that need the fewest steps that nobody has seen are tried first.
    fn run(&self) -> Result<(), String> {
        let taken = vec![0; self.steps.len() / 64 + 1];
        let Ok(first) = self.place(taken, (0, 0), State::default()) else { return Ok(()) };
        let (mut tried, mut places) = (Tried::new(), VecDeque::from([first]));
        let (mut deepest, mut depth, mut count) = (String::new(), None, 0);
        while let Some(place) = places.pop_front() {
            let taken: u32 = place.taken.iter().map(|word| word.count_ones()).sum();
            if depth.is_none_or(|depth| taken > depth) {
                (deepest, depth) = (self.describe(&place), Some(taken));
            }
            count += 1;
            if count > BUDGET {
                return Err(format!("undecided after {BUDGET} states; {deepest}"));
            }
            for at in place.options.iter().rev().copied() {
                let Some(state) = place.state.after(&self.steps[at]) else { continue };
                let mut taken = place.taken.clone();
                take(&mut taken, at);
                let Ok(next) = self.place(taken, (place.low, place.ranked), state) else { return Ok(()) };
                if self.is_new(&mut tried, &next) {
                    if self.steps[at].certain {
                        places.push_front(next);
                    } else {
                        places.push_back(next);
                    }
                }
            }
        }
        Err(format!("no order explains it; {deepest}"))
    }

    /// How far an order came, and what does not fit then.
    fn describe(&self, place: &Place) -> String {
        let bound = self.bound(&place.taken, place.low).unwrap_or(NEVER);
        let open = self.steps.iter().enumerate().filter(|(at, step)| !has(&place.taken, *at) && step.certain);
        let open = open.filter(|(_, step)| step.operation.call <= bound).take(12);
        let lines: Vec<String> = open.map(|(_, step)| format!("\n    {:?}", step.operation)).collect();
        format!("the longest ends at {:?}, and none of these can follow:{}", place.state, lines.concat())
    }
}

/// The steps of each object.
fn steps(history: &History, truth: &Truth) -> BTreeMap<Arc<str>, Vec<Step>> {
    let (mut writes, deletions) = (truth.writes(), truth.deletions());
    let mut versions: BTreeMap<u64, Version> = BTreeMap::new();
    let seen = history.operations.iter().filter_map(|operation| match &operation.answer {
        Answer::Is(version) => Some(version),
        _ => None,
    });
    for version in seen.chain(history.listings.iter().flat_map(|list| list.objects.iter().map(|(_, version)| version)))
    {
        writes.entry(version.w).or_insert(version.revision);
        versions.entry(version.revision).or_insert_with(|| version.clone());
    }
    let seen: HashSet<u64> = truth
        .after(0)
        .filter_map(|(_, change)| change.after.as_ref())
        .chain(versions.values())
        .flat_map(|version| [version.w, version.a, version.b])
        .collect();
    let mut steps: BTreeMap<Arc<str>, Vec<Step>> = BTreeMap::new();
    for operation in history.operations.iter().filter(|operation| operation.answer != Answer::Refused) {
        let mut step = Step { operation: operation.clone(), left: None, revision: None, certain: true };
        match &operation.answer {
            Answer::Is(version) => step.left = Some(version.clone()),
            Answer::Deleted(Some(uid)) => step.revision = deletions.get(uid).copied(),
            Answer::Unknown => {
                let revision = operation.action.write().and_then(|w| writes.get(&w));
                let known = |revision: &u64| truth.at(*revision).and_then(|change| change.after.as_ref());
                step.left = revision.and_then(|revision| known(revision).or(versions.get(revision))).cloned();
                step.certain = step.left.is_some();
                step.operation.done = NEVER;
                if let Action::Create { w } | Action::Update { w, .. } | Action::Patch { w } =
                    &mut step.operation.action
                    && !seen.contains(w)
                {
                    *w = 0;
                }
            }
            _ => {}
        }
        if operation.action.write().is_some() {
            step.revision = step.left.as_ref().map(|version| version.revision);
        }
        steps.entry(Arc::clone(&operation.key)).or_default().push(step);
    }
    steps
}

/// Checks every object.
pub fn check(history: &History, truth: &Truth) -> Vec<String> {
    let mut wrong = Vec::new();
    for (key, mut steps) in steps(history, truth) {
        // A read that nobody was answered tells nothing.
        steps.retain(|step| step.certain || step.operation.action != Action::Get);
        steps.sort_by_key(|step| step.operation.call);
        if let Err(why) = Search::new(&steps).run() {
            wrong.push(format!("{key} is not linearizable: {why}"));
        }
    }
    wrong
}
