//! The first-party components, embedded in the binary so that a cluster boots with nothing but it (design rule 3).
//!
//! A crate of its own, so that a change of a component rebuilds this table and the binary, and nothing else.

#![forbid(unsafe_code)]

/// An embedded component.
#[derive(Clone, Copy, Debug)]
pub struct Component {
    /// The name of its crate, for example `authn-x509`; what a Plugin's `source.embedded` names.
    pub name: &'static str,
    /// The component binary.
    pub bytes: &'static [u8],
}

/// All embedded components.
pub const COMPONENTS: &[Component] = include!(concat!(env!("OUT_DIR"), "/components.rs"));

/// The embedded component of that name.
pub fn find(name: &str) -> Option<&'static Component> {
    COMPONENTS.iter().find(|component| component.name == name)
}
