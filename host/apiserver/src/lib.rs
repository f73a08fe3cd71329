//! The API server: TLS and HTTP, authentication, authorization, admission, and one generic engine for all resources.

#![forbid(unsafe_code)]

pub mod admission;
pub mod aggregation;
pub mod audit;
pub mod authn;
pub mod authz;
pub mod bootstrap;
pub mod components;
pub mod connect;
pub mod context;
pub mod customresources;
pub mod dispatch;
pub mod documents;
pub mod explain;
mod expressions;
pub mod flow;
mod flow_schemas;
pub mod handlers;
pub mod health;
pub mod lifecycle;
pub mod modules;
pub mod negotiation;
pub mod outbound;
pub mod ownership;
mod peers;
pub mod pki;
pub mod policies;
pub mod replay;
pub mod request_info;
pub mod respond;
pub mod reviews;
pub mod serve;
pub mod server;
pub mod server_config;
pub mod strategy;
pub mod system_objects;
pub mod tenants;
pub mod tokens;
mod warnings;
pub mod webhooks;
pub mod yaml;

pub use axum::body::Body;
pub use context::{Context, RequestContext, RequestInfo, UserInfo};
pub use server::ApiServer;
pub use server_config::ServerConfig;
