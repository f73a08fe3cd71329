//! Client certificates: the subject's common name is the user, its organizations are the groups, as Kubernetes has it
//! (API reference, "Authenticating", X509 client certificates).
//!
//! The host has verified the chain against its client CA before any of this is seen. Configuration: none.

use portcullis_sdk::{Input, Outcome, UserInfo};
use serde::Deserialize;

/// This component has nothing to configure; anything in the configuration is a mistake.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// The user that a certificate stands for.
pub fn authenticate(_: &Config, input: &Input) -> Outcome {
    let Some(leaf) = input.all(0).next() else { return Outcome::NoOpinion };
    let subject = leaf.get("subject");
    let username = subject.get("commonName").str_or_empty();
    if username.is_empty() {
        // The reference finds no user in such a certificate and asks its next authenticator.
        return Outcome::NoOpinion;
    }
    let groups = subject.get("organization").iter().filter_map(|group| group.as_str()).map(str::to_owned).collect();
    // The reference names the certificate that was used, so that an audit log can tell two of one user apart.
    let credential = leaf.get("fingerprint").as_str().map(|fingerprint| format!("X509SHA256={fingerprint}"));
    let extra = credential.map(|id| ("authentication.kubernetes.io/credential-id".to_owned(), vec![id]));
    Outcome::Authenticated(UserInfo {
        username: username.to_owned(),
        uid: String::new(),
        groups,
        extra: extra.into_iter().collect(),
    })
}

portcullis_sdk::authenticator!(Config, ["/tls/peerCertificates"], authenticate);

#[cfg(test)]
mod tests;
