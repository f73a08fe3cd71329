//! Static tokens.

use std::collections::BTreeMap;

use portcullis_sdk::UserInfo;
use serde::Deserialize;
use sha2::{Digest, Sha256};

/// A token and the user that it stands for.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticToken {
    /// The SHA-256 sum of the token, as 64 hexadecimal digits.
    pub sha256: String,
    /// The user's name.
    #[serde(alias = "username")]
    pub user: String,
    /// The user's uid; may be empty.
    #[serde(default)]
    pub uid: String,
    /// The user's groups.
    #[serde(default)]
    pub groups: Vec<String>,
    /// Further attributes.
    #[serde(default)]
    pub extra: BTreeMap<String, Vec<String>>,
}

/// The user that `token` stands for. Comparing sums leaks nothing that helps to guess a token.
pub(crate) fn find(tokens: &[StaticToken], token: &str) -> Option<UserInfo> {
    if tokens.is_empty() {
        return None;
    }
    let sum: String = Sha256::digest(token).iter().map(|byte| format!("{byte:02x}")).collect();
    let found = tokens.iter().find(|candidate| candidate.sha256.eq_ignore_ascii_case(&sum))?;
    Some(UserInfo {
        username: found.user.clone(),
        uid: found.uid.clone(),
        groups: found.groups.clone(),
        extra: found.extra.clone().into_iter().collect(),
    })
}
