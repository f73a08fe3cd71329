//! Every pod belongs to a team that the platform knows: the label `team` names one of the configured ones.

use portcullis_sdk::{Denial, Input, Verdict, cause};

/// The configuration of the Plugin.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, try_from = "Raw")]
pub struct Config {
    teams: Vec<String>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    /// The teams that may run pods.
    teams: Vec<String>,
}

impl TryFrom<Raw> for Config {
    type Error = String;

    fn try_from(raw: Raw) -> Result<Self, String> {
        if raw.teams.is_empty() {
            return Err("teams: name at least one, or nobody could run anything".to_owned());
        }
        Ok(Self { teams: raw.teams })
    }
}

/// What is read of the request.
pub const PATHS: [&str; 1] = ["/object/metadata/labels/team"];

/// Refuses pods of nobody, and of teams that are not configured.
pub fn check(config: &Config, input: &Input) -> Verdict {
    let team = input.str(0);
    if config.teams.iter().any(|known| known == team) {
        return Verdict::allow().audit("team", team);
    }
    let known = config.teams.join(", ");
    let message = match team {
        "" => format!("every pod carries the label \"team\", one of: {known}"),
        _ => format!("team {team:?} is not one of: {known}"),
    };
    let denial = Denial::new(message).with_cause(cause(
        "metadata.labels[team]",
        "FieldValueNotSupported",
        format!("must be one of: {known}"),
    ));
    Verdict::deny(denial)
}

portcullis_sdk::validator!(Config, PATHS, check);

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_sdk::testing::project;
    use serde_json::{Value, json};

    #[test]
    fn only_known_teams() {
        let config: Config = serde_json::from_value(json!({"teams": ["red", "blue"]})).expect("a configuration");
        let check = |labels: Value, allowed: bool| {
            let pod = json!({"object": {"metadata": {"labels": labels}}});
            let verdict = check(&config, &Input::new(&project(&pod, &PATHS)));
            assert_eq!(verdict.denied.is_none(), allowed, "{labels}");
        };
        check(json!({"team": "red"}), true);
        check(json!({"team": "green"}), false);
        check(json!({}), false);
    }

    #[test]
    fn a_list_of_nobody_is_refused() {
        assert!(serde_json::from_value::<Config>(json!({"teams": []})).is_err());
        assert!(serde_json::from_value::<Config>(json!({"team": ["red"]})).is_err());
    }
}
