//! Every pod says whose it is: it carries the label `team`.

use portcullis_sdk::{Input, Verdict, deny};

/// Takes no configuration.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// What is read of the request.
pub const PATHS: [&str; 1] = ["/object/metadata/labels/team"];

/// Refuses pods without the label.
pub fn check(_: &Config, input: &Input) -> Verdict {
    if input.str(0).is_empty() {
        return deny("every pod carries the label \"team\": whose is this one?");
    }
    Verdict::allow().audit("team", input.str(0))
}

portcullis_sdk::validator!(Config, PATHS, check);

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_sdk::testing::project;
    use serde_json::{Value, json};

    #[test]
    fn the_label_is_wanted() {
        let check = |labels: Value, allowed: bool| {
            let pod = json!({"object": {"metadata": {"labels": labels}}});
            let verdict = check(&Config {}, &Input::new(&project(&pod, &PATHS)));
            assert_eq!(verdict.denied.is_none(), allowed, "{labels}");
        };
        check(json!({"team": "red"}), true);
        check(json!({"team": ""}), false);
        check(json!({"app": "web"}), false);
        check(Value::Null, false);
    }
}
