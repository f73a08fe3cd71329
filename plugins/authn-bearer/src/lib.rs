//! Bearer tokens: static ones from the configuration, and ServiceAccount tokens (KEP-1205, bound service account tokens).
//!
//! A token never has to be known here: static tokens are configured as SHA-256 sums, and signatures are checked by the
//! host, whose keys this component does not see.

mod jwt;
mod static_token;

use portcullis_sdk::{Input, Outcome};
use serde::Deserialize;

pub use jwt::{Cluster, HostCluster, Lookup};
pub use static_token::StaticToken;

/// What is configured.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Tokens that stand for a fixed user.
    pub static_tokens: Vec<StaticToken>,
    /// Issuers whose ServiceAccount tokens are accepted.
    pub issuers: Vec<String>,
    /// The server's own audiences: a token must be for one of them. Empty stands for the issuers.
    pub audiences: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        let issuers = vec!["https://kubernetes.default.svc".to_owned()];
        Config { static_tokens: Vec::new(), issuers, audiences: Vec::new() }
    }
}

/// What is read of the document.
pub const PATHS: [&str; 3] = ["/authorization/scheme", "/authorization/token", "/authorization/audiences"];

/// Who holds the token.
pub fn authenticate(config: &Config, input: &Input, cluster: &impl Cluster) -> Outcome {
    let token = input.str(1);
    if !input.str(0).eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Outcome::NoOpinion;
    }
    if let Some(found) = static_token::find(&config.static_tokens, token) {
        return Outcome::Authenticated(found);
    }
    let wanted: Vec<&str> = input.all(2).filter_map(|audience| audience.as_str()).collect();
    jwt::authenticate(config, token, &wanted, cluster)
}

portcullis_sdk::authenticator!(Config, PATHS, |config: &Config, input: &Input| authenticate(
    config,
    input,
    &HostCluster
));

#[cfg(test)]
mod tests;
