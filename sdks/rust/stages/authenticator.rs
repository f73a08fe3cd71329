//! A proxy in front of the cluster has authenticated the caller, and says so in headers. They count only on a connection
//! with the proxy's client certificate.

use portcullis_sdk::{Input, Outcome, UserInfo};

/// What `spec.config` of the Plugin holds.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The common name of the proxy's certificate.
    pub proxy: String,
}

/// What is read of the request; entry `i` of the input belongs to path `i`.
pub const PATHS: [&str; 3] = [
    "/tls/peerCertificates/0/subject/commonName",
    "/request/headers/x-remote-user/0",
    "/request/headers/x-remote-group",
];

/// Believes the proxy.
pub fn authenticate(config: &Config, input: &Input) -> Outcome {
    let (proxy, username) = (input.str(0), input.str(1));
    if config.proxy.is_empty() || proxy != config.proxy || username.is_empty() {
        return Outcome::NoOpinion;
    }
    let groups: Vec<String> = input.all(2).filter_map(|group| group.as_str()).map(str::to_owned).collect();
    if let Some(own) = groups.iter().find(|group| group.starts_with("system:")) {
        return Outcome::Rejected(format!("{proxy} may not say that {username} is in {own}"));
    }
    Outcome::Authenticated(UserInfo { username: username.to_owned(), uid: String::new(), groups, extra: Vec::new() })
}

portcullis_sdk::authenticator!(Config, PATHS, authenticate);
