//! The languages that projects can be in.

use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// A language of policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Language {
    /// Rust, by cargo.
    Rust,
    /// JavaScript, by componentize-js.
    JavaScript,
    /// Python, by componentize-py.
    Python,
    /// Go, by its own compiler.
    Go,
    /// C, by clang or zig.
    C,
}

impl Language {
    /// All of them.
    pub const ALL: [Language; 5] = [Language::Rust, Language::JavaScript, Language::Python, Language::Go, Language::C];

    /// The name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Language::Rust => "rust",
            Language::JavaScript => "javascript",
            Language::Python => "python",
            Language::Go => "go",
            Language::C => "c",
        }
    }

    /// What the policy's source file is called in a project.
    pub fn source(self) -> &'static str {
        match self {
            Language::Rust => "src/lib.rs",
            Language::JavaScript => "policy.js",
            Language::Python => "policy.py",
            Language::Go => "policy.go",
            Language::C => "policy.c",
        }
    }

    /// The language of a project, by the file that every project in it has.
    pub fn of(folder: &Path) -> Option<Language> {
        Language::ALL.into_iter().find(|language| {
            let file = match language {
                Language::Rust => "Cargo.toml",
                Language::JavaScript => "package.json",
                Language::Python => "policy.py",
                Language::Go => "go.mod",
                Language::C => "policy.c",
            };
            folder.join(file).is_file()
        })
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Language::ALL.into_iter().find(|language| language.as_str() == text);
        found.ok_or_else(|| "use rust, javascript, python, go or c".to_owned())
    }
}
