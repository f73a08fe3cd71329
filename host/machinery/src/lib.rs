//! What a Kubernetes object is: definitions, schema, codecs, defaults, patches, selectors, tables, discovery and
//! OpenAPI documents. No I/O, no async: everything here is a function of its arguments.

#![forbid(unsafe_code)]

pub mod codec;
pub mod defaults;
pub mod definition;
pub mod discovery;
pub mod object;
pub mod openapi;
pub mod schema;
pub mod status;

pub use serde_json::Value;
pub use status::Status;
