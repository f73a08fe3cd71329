//! What a plugin's decisions do: everything, warn, be noted, or nothing at all.

use portcullis_policy::Stage;
use serde::{Deserialize, Serialize};

/// What becomes of a plugin's decisions (`spec.mode`).
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub enum Mode {
    /// They are effective.
    #[default]
    Enforce,
    /// A refusal becomes a Warning header, and the request goes on; nothing is changed.
    Warn,
    /// A refusal, or a change, becomes an audit annotation and a count, and the request goes on as it came.
    Audit,
    /// It runs beside the version that serves, is compared with it, and nobody hears of its decisions.
    Shadow,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 4] = [Self::Enforce, Self::Warn, Self::Audit, Self::Shadow];

    /// The word in a Plugin.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enforce => "Enforce",
            Self::Warn => "Warn",
            Self::Audit => "Audit",
            Self::Shadow => "Shadow",
        }
    }

    /// Whether plugins of a stage can be in this mode. Who somebody is, what they may do and how an object looks in
    /// another version cannot be answered in part: only admission goes on without an answer.
    pub fn is_for(self, stage: Stage) -> bool {
        self == Self::Enforce || is_admission(stage)
    }
}

/// Whether the stage is one of admission: those have modes other than Enforce, and canaries.
pub fn is_admission(stage: Stage) -> bool {
    matches!(stage, Stage::Mutator | Stage::Validator | Stage::ObjectValidator)
}
