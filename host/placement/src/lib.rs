//! Where pods may be, as the scheduler and the controllers both have to know it.
//!
//! The scheduler chooses a node, and a DaemonSet's controller has to foresee what it will find; the controller of volumes
//! binds claims by the same rules by which the scheduler binds those that wait for a pod. What both go by is here, as
//! functions of objects: nothing asks the API, and nothing is kept.

#![forbid(unsafe_code)]

pub mod node_selector;
pub mod volumes;
