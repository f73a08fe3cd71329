//! Semantic versions.

use std::cmp::Ordering;
use std::fmt;

use super::{Outcome, failed};
use crate::value::Val;

/// A version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Semver {
    numbers: [u64; 3],
    before: Vec<String>,
    build: String,
}

impl Semver {
    /// Reads a version. A lenient reader takes a leading `v`, missing numbers and leading zeros.
    fn parse(text: &str, lenient: bool) -> Option<Self> {
        let text = if lenient { text.strip_prefix('v').unwrap_or(text) } else { text };
        let (text, build) = text.split_once('+').unwrap_or((text, ""));
        let (core, before) = match text.split_once('-') {
            Some((core, before)) => (core, before.split('.').map(str::to_owned).collect()),
            None => (text, Vec::new()),
        };
        let parts: Vec<&str> = core.split('.').collect();
        if parts.len() > 3 || (parts.len() != 3 && !lenient) {
            return None;
        }
        let mut numbers = [0; 3];
        for (number, part) in numbers.iter_mut().zip(&parts) {
            let zeros = part.len() > 1 && part.starts_with('0') && !lenient;
            if zeros || !part.chars().all(|c| c.is_ascii_digit()) {
                return None;
            }
            *number = part.parse().ok()?;
        }
        let word = |word: &str| !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let fits = before.iter().all(|part: &String| word(part)) && (build.is_empty() || build.split('.').all(word));
        fits.then(|| Self { numbers, before, build: build.to_owned() })
    }
}

impl fmt::Display for Semver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.numbers;
        write!(f, "{major}.{minor}.{patch}")?;
        if !self.before.is_empty() {
            write!(f, "-{}", self.before.join("."))?;
        }
        if !self.build.is_empty() {
            write!(f, "+{}", self.build)?;
        }
        Ok(())
    }
}

impl Ord for Semver {
    fn cmp(&self, other: &Self) -> Ordering {
        let parts = || {
            let pairs = self.before.iter().zip(&other.before);
            let one = |(a, b): (&String, &String)| match (a.parse::<u64>(), b.parse::<u64>()) {
                (Ok(a), Ok(b)) => a.cmp(&b),
                (Ok(_), Err(_)) => Ordering::Less,
                (Err(_), Ok(_)) => Ordering::Greater,
                _ => a.cmp(b),
            };
            pairs.map(one).find(|order| order.is_ne()).unwrap_or_else(|| self.before.len().cmp(&other.before.len()))
        };
        // A version comes after all that lead up to it.
        let stage = || match (self.before.is_empty(), other.before.is_empty()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Greater,
            (false, true) => Ordering::Less,
            (false, false) => parts(),
        };
        self.numbers.cmp(&other.numbers).then_with(stage)
    }
}

impl PartialOrd for Semver {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

pub(super) fn call<'a>(name: &str, args: &[Val<'a>]) -> Option<Outcome<'a>> {
    let lenient = |rest: &[Val<'a>]| matches!(rest, [Val::Bool(true)]);
    let yes = |value: bool| Some(Ok(Val::Bool(value)));
    let int = |value: u64| Some(Ok(Val::Int(value as i64)));
    match (name, args) {
        ("semver", [Val::String(text), rest @ ..]) => Some(match Semver::parse(text, lenient(rest)) {
            Some(version) => Ok(Val::Semver(version.into())),
            None => failed("No Major.Minor.Patch elements found"),
        }),
        ("isSemver", [Val::String(text), rest @ ..]) => yes(Semver::parse(text, lenient(rest)).is_some()),
        ("major", [Val::Semver(version)]) => int(version.numbers[0]),
        ("minor", [Val::Semver(version)]) => int(version.numbers[1]),
        ("patch", [Val::Semver(version)]) => int(version.numbers[2]),
        ("isLessThan", [Val::Semver(a), Val::Semver(b)]) => yes(a < b),
        ("isGreaterThan", [Val::Semver(a), Val::Semver(b)]) => yes(a > b),
        ("compareTo", [Val::Semver(a), Val::Semver(b)]) => Some(Ok(Val::Int(match a.cmp(b) {
            Ordering::Less => -1,
            Ordering::Equal => 0,
            Ordering::Greater => 1,
        }))),
        _ => None,
    }
}
