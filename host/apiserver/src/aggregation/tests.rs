use std::sync::Arc;

use portcullis_machinery::Value;
use serde_json::json;

use super::{Aggregation, Learned, Service};
use crate::outbound::{Destination, Trust, Where};

fn service(group: &str, version: &str, available: bool) -> Service {
    Service {
        name: format!("{version}.{group}"),
        group: group.to_owned(),
        version: version.to_owned(),
        group_priority: 2000,
        version_priority: 10,
        destination: Ok(Destination { place: Where::Url(String::new()), trust: Trust::default() }),
        available,
        learned: Learned::default(),
    }
}

#[track_caller]
fn check_path(path: &str, expected: Option<&str>) {
    let aggregation = Aggregation::default();
    aggregation.put(service("wardle.example.com", "v1", true));
    aggregation.put(service("", "v7", true));
    let services = aggregation.services();
    assert_eq!(services.of_path(path).map(|found| found.name.as_str()), expected, "{path}");
}

#[test]
fn paths_that_lead_elsewhere() {
    check_path("/apis/wardle.example.com/v1", Some("v1.wardle.example.com"));
    check_path("/apis/wardle.example.com/v1/namespaces/a/flunders/b", Some("v1.wardle.example.com"));
    check_path("/api/v7/pods", Some("v7."));
    check_path("/apis/wardle.example.com", None);
    check_path("/apis/wardle.example.com/v10/x", None);
    check_path("/api/v1/pods", None);
    check_path("/apis", None);
    check_path("/", None);
}

#[track_caller]
fn check_discovery(available: bool, learned: &Learned, expected: &Value) {
    let mut service = service("g", "v1", available);
    service.learned = learned.clone();
    assert_eq!(service.discovery().entry, *expected);
}

#[test]
fn what_is_not_known_now_is_stale() {
    let entry = json!({"version": "v1", "resources": [{"resource": "flunders"}]});
    let known = |fresh| Learned { discovery: Some(Arc::new(entry.clone())), fresh, ..Learned::default() };
    let with = |freshness: &str| {
        let mut entry = entry.clone();
        entry["freshness"] = json!(freshness);
        entry
    };
    check_discovery(true, &known(true), &with("Current"));
    check_discovery(true, &known(false), &with("Stale"));
    check_discovery(false, &known(true), &json!({"version": "v1", "freshness": "Stale"}));
    check_discovery(true, &Learned::default(), &json!({"version": "v1", "freshness": "Stale"}));
}

#[test]
fn what_was_learned_stays_over_a_change_of_the_object() {
    let aggregation = Aggregation::default();
    aggregation.put(service("g", "v1", false));
    aggregation.learn("v1.g", |learned| learned.fresh = true);
    aggregation.put(service("g", "v1", true));
    let found = aggregation.services().of_version("g", "v1").cloned().expect("there");
    assert!(found.available && found.learned.fresh);
    aggregation.remove("v1.g");
    assert!(aggregation.services().of_version("g", "v1").is_none());
    assert!(aggregation.services().discovery.is_empty());
}
