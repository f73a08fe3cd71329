//! The seats of the priority levels, and who waits for one.
//!
//! Each limited level has its share of the server's seats. What a level does not use it lends, as far as its
//! configuration says, and what others do not use it may borrow. One number stands for all of that: a level holds the
//! seats in use, or, if these are fewer, those that it does not lend; and what all levels hold together is bounded.
//!
//! Requests that find no seat wait in one of the level's queues. The flow of a request is dealt a hand of queues, of which
//! it takes the shortest: a flow that fills its hand leaves other flows others. Queues are served in turn.

use std::collections::{BTreeMap, HashMap, VecDeque};

use portcullis_machinery::{Value, object};
use tokio::sync::oneshot;

/// What a level may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Limits {
    /// No limits at all.
    pub(super) exempt: bool,
    /// The level's own seats.
    pub(super) nominal: usize,
    /// Those that it lends.
    pub(super) lendable: usize,
    /// How many seats it may use with what it borrows.
    pub(super) most: usize,
    /// How many queues there are; without queues, requests are refused.
    pub(super) queues: usize,
    /// How many of these a flow is dealt.
    pub(super) hand: usize,
    /// How many may wait in each.
    pub(super) queue_length: usize,
}

impl Limits {
    /// The limits of priority levels, of which the server's seats are shared out.
    pub(super) fn of(levels: &[Value], seats: usize) -> Vec<Self> {
        let number = |level: &Value, path: &[&str]| {
            object::get_at(level, path).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok())
        };
        let kind = |level: &Value| if is_exempt(level) { "exempt" } else { "limited" };
        let shares = |level: &Value| {
            let default = if is_exempt(level) { 0 } else { 30 };
            number(level, &["spec", kind(level), "nominalConcurrencyShares"]).unwrap_or(default)
        };
        let sum = levels.iter().map(shares).sum::<usize>().max(1);
        let percent = |of: usize, percent: usize| (of * percent + 50) / 100;
        let read = |level: &Value| {
            let nominal = (seats * shares(level)).div_ceil(sum);
            let lendable = number(level, &["spec", kind(level), "lendablePercent"]).unwrap_or(0).min(100);
            let borrowed = number(level, &["spec", "limited", "borrowingLimitPercent"]);
            let queuing = |field: &str, default: usize| {
                number(level, &["spec", "limited", "limitResponse", "queuing", field]).unwrap_or(default).max(1)
            };
            let queued = object::str_at(level, &["spec", "limited", "limitResponse", "type"]) == Some("Queue");
            Self {
                exempt: is_exempt(level),
                nominal,
                lendable: percent(nominal, lendable),
                most: borrowed.map_or(usize::MAX, |borrowed| nominal + percent(nominal, borrowed)),
                queues: if queued { queuing("queues", 64) } else { 0 },
                hand: queuing("handSize", 8),
                queue_length: queuing("queueLengthLimit", 50),
            }
        };
        levels.iter().map(read).collect()
    }
}

fn is_exempt(level: &Value) -> bool {
    object::str_at(level, &["spec", "type"]) == Some("Exempt")
}

/// A request that waits: it is sent word when it has a seat.
type Waiter<T> = oneshot::Sender<T>;

#[derive(Debug)]
struct Level<T> {
    name: String,
    /// Whether it is configured at present.
    there: bool,
    limits: Limits,
    in_use: usize,
    queues: Vec<VecDeque<Waiter<T>>>,
    /// The queue whose turn it is.
    turn: usize,
}

impl<T> Level<T> {
    /// The seats that nobody else may use.
    fn held(&self) -> usize {
        match self.limits.exempt {
            true => 0,
            false => self.in_use.max(self.limits.nominal - self.limits.lendable),
        }
    }

    fn waiting(&self) -> usize {
        self.queues.iter().map(VecDeque::len).sum()
    }

    /// The one that waits next, from the queue whose turn it is.
    fn next(&mut self) -> Option<Waiter<T>> {
        for _ in 0..self.queues.len() {
            let at = self.turn % self.queues.len();
            self.turn = at + 1;
            while let Some(waiter) = self.queues[at].pop_front() {
                if !waiter.is_closed() {
                    return Some(waiter);
                }
            }
        }
        None
    }
}

/// What a request is told that asks for a seat.
#[derive(Debug)]
pub(super) enum Seat<T> {
    Taken,
    Wait(oneshot::Receiver<T>),
    /// Why there is none.
    Refused(&'static str),
}

/// All levels. `T` is what those that waited are handed.
#[derive(Debug)]
pub(super) struct Levels<T> {
    levels: Vec<Level<T>>,
    by_name: HashMap<String, usize>,
    /// How many seats all levels may hold together.
    seats: usize,
}

impl<T> Default for Levels<T> {
    fn default() -> Self {
        Self { levels: Vec::new(), by_name: HashMap::new(), seats: 0 }
    }
}

impl<T> Levels<T> {
    /// Takes over other limits; says where each level is. A level that is gone keeps its place for the requests that it
    /// has yet, and holds no more than those.
    pub(super) fn configure(&mut self, limits: Vec<(String, Limits)>, seats: usize) -> HashMap<String, usize> {
        for level in &mut self.levels {
            level.there = false;
            level.limits = Limits { most: usize::MAX, ..Limits::default() };
        }
        // Shares are rounded up.
        self.seats = limits.iter().map(|(_, limits)| limits.nominal).sum::<usize>().max(seats);
        let mut places = HashMap::new();
        for (name, limits) in limits {
            let at = *self.by_name.entry(name.clone()).or_insert_with(|| {
                let (limits, queues) = (Limits::default(), Vec::new());
                self.levels.push(Level { name: name.clone(), there: true, limits, in_use: 0, queues, turn: 0 });
                self.levels.len() - 1
            });
            let level = &mut self.levels[at];
            // Queues that are too many go once nobody waits there.
            while level.queues.len() > limits.queues && level.queues.last().is_some_and(VecDeque::is_empty) {
                level.queues.pop();
            }
            while level.queues.len() < limits.queues {
                level.queues.push(VecDeque::new());
            }
            (level.there, level.limits) = (true, limits);
            places.insert(name, at);
        }
        places
    }

    /// Whether the level may use one more seat now; if so, it does.
    fn take(&mut self, at: usize) -> bool {
        let others: usize =
            self.levels.iter().enumerate().filter(|(index, _)| *index != at).map(|(_, level)| level.held()).sum();
        let Some(level) = self.levels.get_mut(at) else { return true };
        let fits = level.limits.exempt || (level.in_use < level.limits.most && others + level.in_use < self.seats);
        level.in_use += usize::from(fits);
        fits
    }

    /// Asks for a seat for a request of a flow.
    pub(super) fn enter(&mut self, at: usize, flow: u64) -> Seat<T> {
        let waited_for = self.levels.get(at).is_some_and(|level| level.waiting() > 0);
        if !waited_for && self.take(at) {
            return Seat::Taken;
        }
        let Some(level) = self.levels.get_mut(at) else { return Seat::Taken };
        let queues = level.limits.queues.min(level.queues.len());
        if queues == 0 {
            return Seat::Refused("concurrency-limit");
        }
        let length = |queue: &mut VecDeque<Waiter<T>>| {
            queue.retain(|waiter| !waiter.is_closed());
            queue.len()
        };
        let hand = deal(flow, queues, level.limits.hand);
        let shortest = hand.into_iter().map(|index| (length(&mut level.queues[index]), index)).min();
        match shortest {
            Some((length, index)) if length < level.limits.queue_length => {
                let (sender, receiver) = oneshot::channel();
                level.queues[index].push_back(sender);
                Seat::Wait(receiver)
            }
            _ => Seat::Refused("queue-full"),
        }
    }

    /// Gives a seat back, and hands out what is free now. `made` makes what is handed to one of a level; what nobody
    /// takes comes back, and must not be dropped before the levels can be changed again.
    pub(super) fn leave(&mut self, at: usize, made: impl Fn(usize) -> T) -> Vec<T> {
        if let Some(level) = self.levels.get_mut(at) {
            level.in_use = level.in_use.saturating_sub(1);
        }
        self.hand_out(made)
    }

    /// Hands out what is free.
    pub(super) fn hand_out(&mut self, made: impl Fn(usize) -> T) -> Vec<T> {
        let mut untaken = Vec::new();
        for at in 0..self.levels.len() {
            while self.levels[at].waiting() > 0 && self.take(at) {
                let sent = match self.levels[at].next() {
                    Some(waiter) => waiter.send(made(at)),
                    None => {
                        self.levels[at].in_use -= 1;
                        break;
                    }
                };
                if let Err(back) = sent {
                    self.levels[at].in_use -= 1;
                    untaken.push(back);
                }
            }
        }
        untaken
    }

    /// The name of the level at a place.
    pub(super) fn name(&self, at: usize) -> Option<&str> {
        self.levels.get(at).map(|level| level.name.as_str())
    }

    /// The levels by name: their limits, how many seats are in use and how many requests wait.
    pub(super) fn figures(&self) -> BTreeMap<&str, (&Limits, usize, usize)> {
        let levels = self.levels.iter().filter(|level| level.there);
        levels.map(|level| (level.name.as_str(), (&level.limits, level.in_use, level.waiting()))).collect()
    }
}

/// The hand of a flow: `size` different ones of `queues`.
fn deal(flow: u64, queues: usize, size: usize) -> Vec<usize> {
    let mut deck: Vec<usize> = (0..queues).collect();
    let mut rest = flow;
    let mut hand = Vec::with_capacity(size.min(queues));
    while hand.len() < size && !deck.is_empty() {
        let left = deck.len() as u64;
        let card = usize::try_from(rest % left).unwrap_or_default();
        rest /= left;
        hand.push(deck.swap_remove(card));
    }
    hand
}
