//! The form that objects have in the store: one layer between the API server and an engine.
//!
//! Above it, values are what the API server writes: JSON, in plain text. Below it, they are what is stored: encrypted, for
//! the resources for which that is configured ([`Encryption`]), byte for byte as kube-apiserver does it, and, where
//! kube-apiserver wrote them, in protobuf. So the watch cache holds plain text, the engine holds none, and neither of them
//! knows of it. A value that cannot be given back is handed on as such ([`KeyValue::unreadable`]): it fails those who read
//! it, and nobody else.
//!
//! A value's encryption is bound to its key in etcd, whatever the engine ([`Store::etcd_key`]).

#![forbid(unsafe_code)]

mod cipher;
mod config;
pub mod describe;
mod encryption;
mod foreign;
mod kms;
mod layer;
mod providers;
mod resource;
mod secretbox;

pub use config::ConfigError;
pub use describe::describe;
pub use encryption::Encryption;
pub use layer::StoredForm;

/// Several reasons as the reference puts them together: each once, in brackets if there is more than one.
fn aggregate(mut reasons: Vec<String>) -> Option<String> {
    let mut seen = std::collections::HashSet::new();
    reasons.retain(|reason| seen.insert(reason.clone()));
    match reasons.len() {
        0 => None,
        1 => reasons.pop(),
        _ => Some(format!("[{}]", reasons.join(", "))),
    }
}
