//! The difference of two texts, as messages about forbidden changes show it: a unified diff with three lines of context.
//!
//! Matching lines are found as Python's `difflib` finds them (longest common run first, then left and right of it, very
//! frequent lines last), because that is what the reference's messages look like.

use std::collections::HashMap;
use std::fmt::Write;

const CONTEXT: usize = 3;
/// From this many lines on, those that make up more than a hundredth are left out of the search.
const MANY: usize = 200;

struct Matcher<'a> {
    one: Vec<&'a str>,
    two: Vec<&'a str>,
    places: HashMap<&'a str, Vec<usize>>,
}

/// A run of equal lines: where it begins in either text, and how long it is.
type Run = (usize, usize, usize);

impl<'a> Matcher<'a> {
    fn new(one: &'a str, two: &'a str) -> Self {
        let (one, two): (Vec<_>, Vec<_>) = (one.lines().collect(), two.lines().collect());
        let mut places: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, line) in two.iter().enumerate() {
            places.entry(line).or_default().push(index);
        }
        if two.len() >= MANY {
            let most = two.len() / 100 + 1;
            places.retain(|_, at| at.len() <= most);
        }
        Self { one, two, places }
    }

    /// The longest run inside these bounds, the earliest of several.
    fn longest(&self, (low, high): (usize, usize), (from, to): (usize, usize)) -> Run {
        let mut best = (low, from, 0);
        let mut lengths: HashMap<usize, usize> = HashMap::new();
        for i in low..high {
            let mut next = HashMap::new();
            for &j in self.places.get(self.one[i]).into_iter().flatten() {
                if j < from {
                    continue;
                }
                if j >= to {
                    break;
                }
                let length = if j > 0 { lengths.get(&(j - 1)).copied().unwrap_or(0) } else { 0 } + 1;
                next.insert(j, length);
                if length > best.2 {
                    best = (i + 1 - length, j + 1 - length, length);
                }
            }
            lengths = next;
        }
        while best.0 > low && best.1 > from && self.one[best.0 - 1] == self.two[best.1 - 1] {
            best = (best.0 - 1, best.1 - 1, best.2 + 1);
        }
        while best.0 + best.2 < high && best.1 + best.2 < to && self.one[best.0 + best.2] == self.two[best.1 + best.2] {
            best.2 += 1;
        }
        best
    }

    fn runs(&self) -> Vec<Run> {
        let mut queue = vec![((0, self.one.len()), (0, self.two.len()))];
        let mut runs = Vec::new();
        while let Some((left, right)) = queue.pop() {
            let run @ (i, j, length) = self.longest(left, right);
            if length > 0 {
                runs.push(run);
                if left.0 < i && right.0 < j {
                    queue.push(((left.0, i), (right.0, j)));
                }
                if i + length < left.1 && j + length < right.1 {
                    queue.push(((i + length, left.1), (j + length, right.1)));
                }
            }
        }
        runs.sort_unstable();
        let mut joined: Vec<Run> = Vec::new();
        for run in runs {
            match joined.last_mut() {
                Some(last) if last.0 + last.2 == run.0 && last.1 + last.2 == run.1 => last.2 += run.2,
                _ => joined.push(run),
            }
        }
        joined.push((self.one.len(), self.two.len(), 0));
        joined
    }
}

/// A stretch of lines: whether they are equal, and the bounds in either text.
type Stretch = (bool, usize, usize, usize, usize);

fn hunks(matcher: &Matcher) -> Vec<Vec<Stretch>> {
    let (mut i, mut j) = (0, 0);
    let mut stretches: Vec<Stretch> = Vec::new();
    for (a, b, length) in matcher.runs() {
        if i < a || j < b {
            stretches.push((false, i, a, j, b));
        }
        if length > 0 {
            stretches.push((true, a, a + length, b, b + length));
        }
        (i, j) = (a + length, b + length);
    }
    if let Some((true, a, b, c, d)) = stretches.first_mut() {
        (*a, *c) = ((*a).max(b.saturating_sub(CONTEXT)), (*c).max(d.saturating_sub(CONTEXT)));
    }
    if let Some((true, a, b, c, d)) = stretches.last_mut() {
        (*b, *d) = ((*b).min(*a + CONTEXT), (*d).min(*c + CONTEXT));
    }
    let (mut all, mut group) = (Vec::new(), Vec::new());
    for (equal, mut a, b, mut c, d) in stretches {
        if equal && b - a > 2 * CONTEXT {
            group.push((true, a, b.min(a + CONTEXT), c, d.min(c + CONTEXT)));
            all.push(std::mem::take(&mut group));
            (a, c) = (a.max(b - CONTEXT), c.max(d - CONTEXT));
        }
        group.push((equal, a, b, c, d));
    }
    all.push(group);
    all.retain(|group: &Vec<Stretch>| group.iter().any(|stretch| !stretch.0));
    all
}

fn range(start: usize, end: usize) -> String {
    match end - start {
        1 => format!("{}", start + 1),
        0 => format!("{start},0"),
        length => format!("{},{length}", start + 1),
    }
}

/// The difference of two texts; empty if there is none.
pub fn lines(one: &str, two: &str) -> String {
    let matcher = Matcher::new(one, two);
    let mut out = String::new();
    for hunk in hunks(&matcher) {
        let (Some(first), Some(last)) = (hunk.first(), hunk.last()) else { continue };
        let _ = writeln!(out, "@@ -{} +{} @@", range(first.1, last.2), range(first.3, last.4));
        for (equal, a, b, c, d) in hunk {
            if equal {
                matcher.one[a..b].iter().for_each(|line| out.extend([" ", line, "\n"]));
            } else {
                matcher.one[a..b].iter().for_each(|line| out.extend(["-", line, "\n"]));
                matcher.two[c..d].iter().for_each(|line| out.extend(["+", line, "\n"]));
            }
        }
    }
    out
}
