//! The API server: TLS and HTTP, authentication, authorization, admission, and one generic engine for all resources.

#![forbid(unsafe_code)]

pub mod admission;
pub mod context;
pub mod request_info;
