//! The generic handlers: one path for all resources. What differs between kinds is data in the definition, or a hook
//! in [`crate::strategy`].

pub mod attempt;
pub mod body;
pub mod carried;
pub mod component_status;
pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod names;
pub mod options;
pub mod patch;
pub mod scale;
pub mod scope;
pub mod stored;
pub mod subresources;
pub mod transform;
pub mod update;
pub mod watch;
pub mod write;

pub use crate::dispatch::dispatch;
pub use scope::Scope;
