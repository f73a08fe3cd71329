//! The checkers. Each gives a text for everything that is wrong.

pub mod linear;
pub mod revisions;
#[cfg(test)]
mod tests;
pub mod watches;

use crate::history::History;
use crate::truth::Truth;
use watches::Watch;

/// Checks everything.
pub fn check(history: &History, watches: &[Watch], truth: &Truth) -> Vec<String> {
    let mut wrong = revisions::order(history);
    wrong.extend(revisions::stored(history, truth));
    wrong.extend(revisions::listings(history, truth));
    wrong.extend(watches::check(watches, truth));
    wrong.extend(linear::check(history, truth));
    wrong
}
