//! The descriptions of Kubernetes' types and fields, for `kubectl explain` and OpenAPI documents.
//!
//! They come from the crate `k8s-openapi` at build time and are embedded compressed, so that the binary carries the text
//! but not that crate's code.

#![forbid(unsafe_code)]

/// What is known of the built-in types.
#[derive(Debug)]
pub struct Descriptions {}

impl Descriptions {
    /// A type's description, by its published name (`io.k8s.api.core.v1.Pod`).
    pub fn of_type(&self, type_name: &str) -> Option<&str> {
        let _ = type_name;
        unimplemented!()
    }

    /// A field's description.
    pub fn of_field(&self, type_name: &str, field: &str) -> Option<&str> {
        let _ = (type_name, field);
        unimplemented!()
    }
}

/// The descriptions, decompressed on first use.
pub fn descriptions() -> &'static Descriptions {
    unimplemented!()
}
