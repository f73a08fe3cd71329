//! What a certificate chain makes of the caller.

use portcullis_sdk::testing::project;
use serde_json::{Value, json};

use super::*;

fn check(chain: Value, expected: Option<(&str, &[&str])>) {
    let packed = project(&json!({"tls": {"peerCertificates": chain}}), &["/tls/peerCertificates"]);
    match (authenticate(&Config {}, &Input::new(&packed)), expected) {
        (Outcome::Authenticated(user), Some((name, groups))) => {
            assert_eq!(user.username, name);
            assert_eq!(user.groups, groups);
        }
        (Outcome::NoOpinion, None) => {}
        (found, expected) => panic!("{found:?} instead of {expected:?}"),
    }
}

#[test]
fn the_leaf_names_user_and_groups() {
    let leaf = json!({"subject": {"commonName": "admin", "organization": ["system:masters", "ops"]}});
    let issuer = json!({"subject": {"commonName": "ca", "organization": ["not-a-group"]}});
    check(json!([leaf, issuer]), Some(("admin", &["system:masters", "ops"])));
    check(json!([{"subject": {"commonName": "kubelet"}}]), Some(("kubelet", &[])));
    check(json!([{"subject": {"organization": ["system:masters"]}}]), None);
    check(json!([{"subject": {"commonName": "", "organization": ["system:masters"]}}]), None);
    check(json!([]), None);
    check(Value::Null, None);
}

#[test]
fn the_fingerprint_becomes_the_credential_id() {
    let document = json!({"tls": {"peerCertificates": [{"subject": {"commonName": "a"}, "fingerprint": "0af1"}]}});
    let packed = project(&document, &["/tls/peerCertificates"]);
    let Outcome::Authenticated(user) = authenticate(&Config {}, &Input::new(&packed)) else { panic!("not accepted") };
    assert_eq!(
        user.extra,
        [("authentication.kubernetes.io/credential-id".to_owned(), vec!["X509SHA256=0af1".to_owned()])]
    );
}
