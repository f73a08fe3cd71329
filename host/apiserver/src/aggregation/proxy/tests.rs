use http::HeaderMap;

use super::{escaped, identify};
use crate::context::UserInfo;

#[track_caller]
fn check(user: &UserInfo, expected: &[(&str, &str)]) {
    let mut headers = HeaderMap::new();
    for (name, value) in
        [("accept", "*/*"), ("x-remote-user", "admin"), ("x-remote-group", "g"), ("x-remote-extra-scopes", "all")]
    {
        headers.append(name, value.parse().expect("a header"));
    }
    identify(&mut headers, user);
    let mut found: Vec<(&str, &str)> =
        headers.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("text"))).collect();
    found.sort_unstable();
    assert_eq!(found, expected);
}

#[test]
fn who_asks_is_told_and_nothing_that_the_client_says() {
    check(&UserInfo { username: "a".into(), ..UserInfo::default() }, &[("accept", "*/*"), ("x-remote-user", "a")]);
    let user = UserInfo {
        username: "b".into(),
        uid: "7".into(),
        groups: vec!["one".into(), "two".into()],
        extra: vec![("example.org/scopes".into(), vec!["x".into(), "y".into()])],
    };
    check(
        &user,
        &[
            ("accept", "*/*"),
            ("x-remote-extra-example.org%2fscopes", "x"),
            ("x-remote-extra-example.org%2fscopes", "y"),
            ("x-remote-group", "one"),
            ("x-remote-group", "two"),
            ("x-remote-uid", "7"),
            ("x-remote-user", "b"),
        ],
    );
}

#[test]
fn attributes_become_names_of_headers() {
    for (key, expected) in [("plain", "plain"), ("a/b", "a%2fb"), ("50%", "50%25"), ("ö", "%c3%b6"), ("a b", "a%20b")]
    {
        assert_eq!(escaped(key), expected);
    }
}
