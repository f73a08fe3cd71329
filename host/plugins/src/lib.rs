//! The `Plugin` resource (`plugins.portcullis.dev/v1alpha1`): which component decides what, in which order, and how a
//! new version takes over from the one that serves.
//!
//! [`spec`] is the resource as data, [`matching`] decides which requests a plugin sees, [`table`] is the immutable
//! per-stage list that requests read without a lock, and [`manager`] turns changed Plugin objects into new tables:
//! compiled and checked first, swapped atomically after. [`mode`] says what a plugin's decisions do, [`rollout`] how a new
//! version takes over. [`first_party`] lists the plugins that a cluster starts with.

#![forbid(unsafe_code)]

pub mod first_party;
pub mod manager;
pub mod matching;
mod metrics;
pub mod mode;
pub mod outcomes;
pub mod rollout;
pub mod spec;
mod status;
pub mod table;

#[cfg(test)]
mod tests;
