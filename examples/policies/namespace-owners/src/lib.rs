//! Namespaces have owners, who may do anything in them, and some are frozen, where nobody may change anything. With a
//! negative order the frozen ones are frozen for those too whom RBAC allows it.

use std::collections::BTreeMap;

use portcullis_sdk::{Decision, Input};

/// The configuration of the Plugin.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Users by the namespace that they own.
    #[serde(default)]
    pub owners: BTreeMap<String, Vec<String>>,
    /// Namespaces in which nothing changes.
    #[serde(default)]
    pub frozen: Vec<String>,
}

/// What is read of the request.
pub const PATHS: [&str; 3] = ["/user/username", "/request/namespace", "/request/verb"];

/// Decides about requests in namespaces that are configured.
pub fn authorize(config: &Config, input: &Input) -> Decision {
    let (user, namespace, verb) = (input.str(0), input.str(1), input.str(2));
    let reads = matches!(verb, "get" | "list" | "watch");
    if !reads && config.frozen.iter().any(|frozen| frozen == namespace) {
        return Decision::Deny(format!("the namespace {namespace} is frozen"));
    }
    match config.owners.get(namespace) {
        Some(owners) if owners.iter().any(|owner| owner == user) => Decision::Allow,
        Some(_) => Decision::NoOpinion(format!("{user} does not own the namespace {namespace}")),
        None => Decision::NoOpinion(String::new()),
    }
}

portcullis_sdk::authorizer!(Config, PATHS, authorize);

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_sdk::testing::project;
    use serde_json::json;

    #[test]
    fn owners_may_and_frozen_is_frozen() {
        let config = json!({"owners": {"red": ["jo"], "ice": ["jo"]}, "frozen": ["ice"]});
        let config: Config = serde_json::from_value(config).expect("a configuration");
        let check = |user: &str, namespace: &str, verb: &str, expected: &str| {
            let document = json!({"user": {"username": user}, "request": {"namespace": namespace, "verb": verb}});
            let found = match authorize(&config, &Input::new(&project(&document, &PATHS))) {
                Decision::Allow => "allow".to_owned(),
                Decision::Deny(why) => format!("deny: {why}"),
                Decision::NoOpinion(why) => why,
            };
            assert_eq!(found, expected, "{user} {verb} {namespace}");
        };
        check("jo", "red", "create", "allow");
        check("al", "red", "create", "al does not own the namespace red");
        check("jo", "ice", "create", "deny: the namespace ice is frozen");
        check("jo", "ice", "get", "allow");
        check("jo", "blue", "get", "");
        check("jo", "", "create", "");
    }
}
