//! What a Kubernetes object is: definitions, schema, codecs, defaults, patches, selectors, tables, discovery and
//! OpenAPI documents. No I/O, no async: everything here is a function of its arguments.

#![forbid(unsafe_code)]

pub mod apply;
pub mod codec;
pub mod convert;
pub mod defaults;
pub mod definition;
pub mod discovery;
pub mod log_options;
pub mod object;
pub mod openapi;
pub mod patch;
pub mod path;
pub mod quantity;
pub mod quota;
pub mod schema;
pub mod selector;
pub mod status;
pub mod structural;
pub mod table;
pub mod tape;

pub use serde_json::Value;
pub use status::Status;
