//! Custom resources: what the reference's extension server does inside kube-apiserver.
//!
//! [`controller`] follows the definitions: it decides on their names ([`names`]), adds what they serve to the registry
//! at once, and ends the instances of a definition that is deleted ([`finalize`]). Everything else a custom resource is
//! served by the same handlers as any other; the modules here are the hooks that those handlers have for it: [`routes`]
//! (which answers what is not there), [`codec`] (stored objects in the present definition's form),
//! [`conversion`] (between versions), [`validate`] (step 5) with
//! [`rules`], and [`scale`].

pub mod codec;
pub mod controller;
pub mod conversion;
mod defaults;
mod finalize;
pub(crate) mod internal;
mod names;
pub mod routes;
pub mod rules;
pub mod scale;
pub mod validate;

pub use finalize::begin as begin_deletion;
