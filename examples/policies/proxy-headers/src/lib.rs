//! A proxy in front of the cluster has authenticated the caller and says so in headers, `X-Remote-User` and
//! `X-Remote-Group`. Anybody can send those: they count only on a connection with the client certificate of a proxy that
//! the configuration names.

use portcullis_sdk::{Input, Outcome, UserInfo};

/// The configuration of the Plugin.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, try_from = "Raw")]
pub struct Config {
    proxies: Vec<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    /// The common names of the proxies' certificates.
    proxies: Vec<String>,
}

impl TryFrom<Raw> for Config {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        match raw.proxies.iter().all(|name| !name.is_empty()) && !raw.proxies.is_empty() {
            true => Ok(Self { proxies: raw.proxies }),
            false => Err("proxies: name the common name of at least one proxy's certificate".to_owned()),
        }
    }
}

/// What is read of the request.
pub const PATHS: [&str; 3] = [
    "/tls/peerCertificates/0/subject/commonName",
    "/request/headers/x-remote-user/0",
    "/request/headers/x-remote-group",
];

/// Believes a known proxy.
pub fn authenticate(config: &Config, input: &Input) -> Outcome {
    let (proxy, username) = (input.str(0), input.str(1));
    if username.is_empty() || !config.proxies.iter().any(|known| known == proxy) {
        return Outcome::NoOpinion;
    }
    let groups: Vec<String> = input.all(2).filter_map(|group| group.as_str()).map(str::to_owned).collect();
    // The groups of the cluster's own machinery are not a proxy's to give.
    if groups.iter().any(|group| group.starts_with("system:")) {
        return Outcome::Rejected(format!("{proxy} may not say that {username} is in {groups:?}"));
    }
    Outcome::Authenticated(UserInfo { username: username.to_owned(), uid: String::new(), groups, extra: Vec::new() })
}

portcullis_sdk::authenticator!(Config, PATHS, authenticate);

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_sdk::testing::project;
    use serde_json::{Value, json};

    #[test]
    fn only_known_proxies_are_believed() {
        let config: Config = serde_json::from_value(json!({"proxies": ["front-proxy"]})).expect("a configuration");
        let check = |proxy: Value, headers: Value, expected: &str| {
            let document = json!({"tls": {"peerCertificates": [{"subject": {"commonName": proxy}}]}, "request": {"headers": headers}});
            let found = match authenticate(&config, &Input::new(&project(&document, &PATHS))) {
                Outcome::Authenticated(user) => format!("{} {:?}", user.username, user.groups),
                Outcome::NoOpinion => "no opinion".to_owned(),
                Outcome::Rejected(_) => "rejected".to_owned(),
            };
            assert_eq!(found, expected, "{proxy} {document}");
        };
        let jo = json!({"x-remote-user": ["jo"], "x-remote-group": ["dev", "ops"]});
        check(json!("front-proxy"), jo.clone(), r#"jo ["dev", "ops"]"#);
        check(json!("front-proxy"), json!({}), "no opinion");
        check(json!("somebody"), jo.clone(), "no opinion");
        check(Value::Null, jo, "no opinion");
        check(json!("front-proxy"), json!({"x-remote-user": ["jo"], "x-remote-group": ["system:masters"]}), "rejected");
    }

    #[test]
    fn a_proxy_without_a_name_is_refused() {
        assert!(serde_json::from_value::<Config>(json!({"proxies": []})).is_err());
        assert!(serde_json::from_value::<Config>(json!({"proxies": [""]})).is_err());
    }
}
