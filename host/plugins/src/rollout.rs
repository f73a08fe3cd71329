//! How a new version of a plugin takes over: at once, by a canary, or never (a shadow).
//!
//! [`spec`] is `spec.rollout` as data. [`share`] says which requests a canary decides, by a hash of the object's name, so
//! that all servers agree and an object always meets the same version. [`trial`] is a candidate that runs beside the
//! version that serves, with its counts. [`revision`] names versions. [`state`] is `status.rollout`, which all servers
//! write together, and [`plan`] what a server loads for a Plugin with that status. All decisions here are functions of
//! data: whoever watches Plugins makes them happen.

pub mod plan;
pub mod revision;
pub mod share;
pub mod spec;
pub mod state;
pub mod trial;
