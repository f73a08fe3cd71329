use super::*;

fn text(user: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters:\n- name: k\n  cluster:\n    server: https://127.0.0.1:6443\n    certificate-authority-data: Q0E=\ncontexts:\n- name: c\n  context:\n    cluster: k\n    user: u\n    namespace: n\nusers:\n- name: u\n  user:\n{user}"
    )
}

fn check(user: &str, expected: impl FnOnce(ClientConfig) -> bool) {
    let config = ClientConfig::from_text(&text(user), Path::new("/base")).expect(user);
    assert_eq!(config.server, "https://127.0.0.1:6443");
    assert_eq!(config.ca, b"CA");
    assert_eq!(config.namespace.as_deref(), Some("n"));
    assert!(expected(config), "{user}");
}

#[test]
fn users_of_all_forms_are_read() {
    check("    token: abc\n", |config| config.token == Token::Fixed("abc".into()));
    check("    tokenFile: t\n    token: abc\n", |config| config.token == Token::File("/base/t".into()));
    check("    client-certificate-data: Y2VydA==\n    client-key-data: a2V5\n", |config| {
        config.client_certificate == b"cert" && config.client_key == b"key" && config.token == Token::None
    });
}

#[test]
fn mistakes_are_named() {
    for (text, word) in [
        ("current-context: none\n".to_owned(), "no context \"none\""),
        (text("    token: abc\n").replace("user: u", "user: v"), "no user \"v\""),
        (text("    client-certificate-data: '%'\n"), "not base64"),
        (text("    client-certificate: missing.crt\n"), "/base/missing.crt"),
        ("{".to_owned(), "not a kubeconfig"),
    ] {
        let error = ClientConfig::from_text(&text, Path::new("/base")).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}
