//! Tokens, and whom they stand for.

use portcullis_sdk::testing::project;
use serde_json::{Value, json};

use super::*;

/// A cluster with one ServiceAccount `ns/builder` of uid `u1` and one pod `ns/p` of uid `u2`, at second 1,000,000, where
/// the signature `AQ` (the byte 1) is the good one.
struct Fake;

impl Cluster for Fake {
    fn now(&self) -> i64 {
        1_000_000
    }
    fn verify(&self, _: &str, algorithm: &str, _: &[u8], signature: &[u8]) -> bool {
        algorithm == "ES256" && signature == [1]
    }
    fn get(&self, resource: &str, namespace: &str, name: &str) -> Result<Option<Lookup>, String> {
        Ok(match (resource, namespace, name) {
            ("serviceaccounts", "ns", "builder") => Some(Lookup { uid: "u1".into(), ..Lookup::default() }),
            ("pods", "ns", "p") => Some(Lookup { uid: "u2".into(), node_name: "n1".into(), deleted: None }),
            ("pods", "ns", "old") => Some(Lookup { uid: "u3".into(), deleted: Some(900_000), ..Lookup::default() }),
            _ => None,
        })
    }
}

fn encode(value: &Value) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let bytes = value.to_string().into_bytes();
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().enumerate().fold(0u32, |bits, (i, byte)| bits | u32::from(*byte) << (16 - 8 * i));
        for digit in 0..=chunk.len() {
            out.push(DIGITS[(bits >> (18 - 6 * digit) & 63) as usize] as char);
        }
    }
    out
}

fn token(change: Value, signature: &str) -> String {
    let mut claims = json!({
        "iss": "https://kubernetes.default.svc", "sub": "system:serviceaccount:ns:builder",
        "aud": ["https://kubernetes.default.svc"], "exp": 1_000_100, "nbf": 999_000, "jti": "j",
        "kubernetes.io": {"namespace": "ns", "serviceaccount": {"name": "builder", "uid": "u1"}},
    });
    for (key, value) in change.as_object().expect("an object") {
        claims[key] = value.clone();
    }
    format!("{}.{}.{signature}", encode(&json!({"alg": "ES256", "kid": "k"})), encode(&claims))
}

fn run(token: &str, audiences: Value) -> Outcome {
    let config: Config = serde_json::from_value(json!({"staticTokens": [
        {"sha256": "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b", "user": "alice", "groups": ["g"]}
    ]}))
    .expect("a good configuration");
    let mut document = json!({"authorization": {"scheme": "Bearer", "token": token}});
    if !audiences.is_null() {
        document["authorization"]["audiences"] = audiences;
    }
    let packed = project(&document, &PATHS);
    authenticate(&config, &Input::new(&packed), &Fake)
}

/// `Ok` names the user, `Err("")` is no opinion, any other `Err` the words of the refusal.
fn check(token: &str, expected: Result<&str, &str>) {
    match (run(token, Value::Null), expected) {
        (Outcome::Authenticated(user), Ok(name)) => assert_eq!(user.username, name),
        (Outcome::NoOpinion, Err("")) => {}
        (Outcome::Rejected(why), Err(expected)) if !expected.is_empty() => {
            assert!(why.contains(expected), "{why:?} has no {expected:?}");
        }
        (found, expected) => panic!("{found:?} instead of {expected:?}"),
    }
}

#[test]
fn static_tokens() {
    check("secret", Ok("alice"));
    check("Secret", Err(""));
    check("", Err(""));
}

#[test]
fn service_account_tokens() {
    let bound = |kind: &str, reference: Value| {
        let mut claims = json!({"namespace": "ns", "serviceaccount": {"name": "builder", "uid": "u1"}});
        claims[kind] = reference;
        json!({"kubernetes.io": claims})
    };
    check(&token(json!({}), "AQ"), Ok("system:serviceaccount:ns:builder"));
    check(&token(json!({}), "Ag"), Err("signature"));
    check(&token(json!({"exp": 999_900}), "AQ"), Err("expired"));
    check(&token(json!({"exp": null}), "AQ"), Err("expired"));
    check(&token(json!({"exp": 999_950}), "AQ"), Ok("system:serviceaccount:ns:builder"));
    check(&token(json!({"nbf": 1_000_100}), "AQ"), Err("not valid yet"));
    check(&token(json!({"aud": "vault"}), "AQ"), Err("other audiences"));
    check(&token(json!({"iss": "https://elsewhere"}), "AQ"), Err(""));
    check(&token(json!({"sub": "system:serviceaccount:kube-system:builder"}), "AQ"), Err("subject"));
    check(&token(bound("serviceaccount", json!({"name": "builder", "uid": "u9"})), "AQ"), Err("not the one"));
    check(&token(bound("pod", json!({"name": "p", "uid": "u2"})), "AQ"), Ok("system:serviceaccount:ns:builder"));
    check(&token(bound("pod", json!({"name": "p", "uid": "u1"})), "AQ"), Err("not the one"));
    check(&token(bound("pod", json!({"name": "q", "uid": "u1"})), "AQ"), Err("gone"));
    check(&token(bound("pod", json!({"name": "old", "uid": "u3"})), "AQ"), Err("deleted"));
    check("a.b.c", Err(""));
}

#[test]
fn what_a_bound_token_says_about_its_holder() {
    let claims = json!({"namespace": "ns", "serviceaccount": {"name": "builder", "uid": "u1"},
        "pod": {"name": "p", "uid": "u2"}});
    let token = token(json!({"aud": ["a", "b"], "kubernetes.io": claims}), "AQ");
    let Outcome::Authenticated(user) = run(&token, json!(["b", "c"])) else { panic!("not accepted") };
    let expected = [
        ("authentication.kubernetes.io/credential-id", "JTI=j"),
        ("authentication.kubernetes.io/pod-name", "p"),
        ("authentication.kubernetes.io/pod-uid", "u2"),
        ("authentication.kubernetes.io/node-name", "n1"),
        ("portcullis.dev/audiences", "b"),
    ];
    assert_eq!(user.extra, expected.map(|(key, value)| (key.to_owned(), vec![value.to_owned()])));
    assert_eq!((user.uid.as_str(), user.groups.len()), ("u1", 2));
}

#[test]
fn times() {
    for (text, seconds) in
        [("1970-01-01T00:00:00Z", 0), ("2000-02-29T12:00:01Z", 951_825_601), ("2026-03-01T00:00:00Z", 1_772_323_200)]
    {
        assert_eq!(jwt::seconds(text), Some(seconds), "{text}");
    }
    assert_eq!(jwt::seconds("soon"), None);
}
