//! One request explained: who was asked on its way, what they said, and how long it took.

use std::time::Duration;

use parking_lot::Mutex;

/// What an answer was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It counts.
    Decides,
    /// It counts, and is that of a canary.
    Canary,
    /// It is compared with that of a canary.
    Compared,
    /// It is compared with the one that counts, and is that of a shadow.
    Shadow,
}

impl Part {
    /// The word in an explanation.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decides => "decides",
            Self::Canary => "canary",
            Self::Compared => "compared",
            Self::Shadow => "shadow",
        }
    }
}

/// Somebody who was asked.
#[derive(Clone, Debug)]
pub struct Step {
    /// At which stage.
    pub stage: &'static str,
    /// The plugin's name; for what the host decides, the name of that.
    pub plugin: String,
    /// The digest of its component; empty for what the host decides.
    pub digest: String,
    /// The plugin's mode.
    pub mode: &'static str,
    /// What the answer was for.
    pub part: Part,
    /// The answer in a word.
    pub verdict: &'static str,
    /// Why, as far as was said.
    pub reason: String,
    /// How many operations a change has.
    pub operations: usize,
    /// How long it took.
    pub took: Duration,
}

/// What is explained of a request.
#[derive(Debug, Default)]
pub struct Explanation(Mutex<Vec<Step>>);

impl Explanation {
    /// Adds a step.
    pub fn add(&self, step: Step) {
        self.0.lock().push(step);
    }
}
