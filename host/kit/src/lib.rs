//! What people who write policies work with: `portcullis plugin new`, `build`, `test`, `bench`, `inspect` and `apply`.
//!
//! A [`Project`] is a folder with one policy in one of five languages, its Plugin object (`plugin.yaml`) and cases. What
//! a project needs of ours (the SDK of its language, the interfaces) is [embedded](embedded) here and written into its
//! `sdk/` folder, so that nothing but the language's own package manager is asked for anything.
//!
//! - [`scaffold`] makes a project, [`build`] its component.
//! - [`case`](mod@case) reads what a policy is asked and what it should answer, [`call`] asks it in the runtime that the
//!   server has, under the limits and grants of its Plugin, [`expect`] compares; [`runner`] does that for all cases.
//! - [`bench`](mod@bench) measures the same calls, [`inspect`] says what a component is, [`apply`] brings it to a cluster.
//!
//! All but [`cli`] return text and data, and [`cli`] shows them. The one exception is the output of compilers and package
//! managers, which goes to the standard error.

#![forbid(unsafe_code)]

pub mod apply;
pub mod bench;
pub mod build;
pub mod call;
pub mod case;
pub mod cli;
pub mod cluster;
mod component;
pub mod embedded;
pub mod error;
pub mod expect;
pub mod explain;
pub mod history;
pub mod inspect;
pub mod language;
pub mod project;
pub mod replay;
pub mod runner;
pub mod scaffold;
pub mod served;
mod tools;

pub use error::KitError;
pub use language::Language;
pub use project::Project;
