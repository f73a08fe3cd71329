use serde_json::json;

use super::{Remote, aggregated_v2, api_group, api_group_list, of_resource_list};
use crate::Value;
use crate::definition::{Registry, RuntimeConfig};
use crate::object;

fn remote(group: &str, version: &str, group_priority: i64, version_priority: i64) -> Remote {
    let entry = json!({"version": version, "freshness": "Current"});
    Remote { group: group.to_owned(), version: version.to_owned(), group_priority, version_priority, entry }
}

/// The groups around those of `remotes`, in both forms, as `before,group,after`.
#[track_caller]
fn check_place(remotes: &[Remote], group: &str, expected: &str) {
    let registry = Registry::builtin(&RuntimeConfig::default());
    let aggregated = aggregated_v2(&registry, remotes, false);
    let name = |group: &Value| object::str_at(group, &["metadata", "name"]).unwrap_or_default().to_owned();
    let aggregated: Vec<String> = object::list_at(&aggregated, &["items"]).iter().map(name).collect();
    let legacy = api_group_list(&registry, remotes);
    let name = |group: &Value| object::str_at(group, &["name"]).unwrap_or_default().to_owned();
    let legacy: Vec<String> = object::list_at(&legacy, &["groups"]).iter().map(name).collect();
    for names in [aggregated, legacy] {
        let at = names.iter().position(|name| name == group).expect("the group is there");
        let around: Vec<&str> = names[at - 1..].iter().take(3).map(String::as_str).collect();
        assert_eq!(around.join(","), expected);
    }
}

#[test]
fn groups_stand_where_their_priorities_put_them() {
    check_place(&[remote("a.example.com", "v1", 17_799, 1)], "a.example.com", "apps,a.example.com,events.k8s.io");
    check_place(
        &[remote("a.example.com", "v1", 19_999, 1)],
        "a.example.com",
        "apiregistration.k8s.io,a.example.com,apps",
    );
    check_place(
        &[remote("b.example.com", "v1", 2000, 1), remote("a.example.com", "v1", 2000, 1)],
        "b.example.com",
        "a.example.com,b.example.com",
    );
    // A group has the highest priority of its versions.
    check_place(
        &[remote("a.example.com", "v1", 1, 1), remote("a.example.com", "v2", 17_799, 1)],
        "a.example.com",
        "apps,a.example.com,events.k8s.io",
    );
}

#[track_caller]
fn check_versions(remotes: &[Remote], group: &str, expected: &[&str]) {
    let registry = Registry::builtin(&RuntimeConfig::default());
    let found = api_group(&registry, remotes, group).expect("the group is there");
    let versions = object::list_at(&found, &["versions"]).iter();
    let versions: Vec<&str> = versions.filter_map(|version| object::str_at(version, &["version"])).collect();
    assert_eq!(versions, expected);
    assert_eq!(found["preferredVersion"]["version"], expected[0]);
}

#[test]
fn versions_stand_where_their_priorities_put_them() {
    let version = |version, priority| remote("a.example.com", version, 2000, priority);
    check_versions(
        &[version("v1", 5), version("v2", 5), version("v1beta1", 9)],
        "a.example.com",
        &["v1beta1", "v2", "v1"],
    );
    // Another version of a group that is built in, and one in the place of a version that is.
    check_versions(&[remote("apps", "v9", 1, 1)], "apps", &["v1", "v9"]);
    check_versions(&[remote("apps", "v1", 1, 1)], "apps", &["v1"]);
}

#[test]
fn the_older_form_says_the_same() {
    let list = json!({"kind": "APIResourceList", "resources": [
        {"name": "flunders/status", "namespaced": true, "kind": "Flunder", "verbs": ["get"]},
        {"name": "flunders", "singularName": "flunder", "namespaced": true, "kind": "Flunder", "verbs": ["list"],
         "shortNames": ["fl"]},
        {"name": "things/scale", "namespaced": false, "group": "autoscaling", "version": "v1", "kind": "Scale",
         "verbs": ["get"]},
    ]});
    let kind = |group: &str, version: &str, kind: &str| json!({"group": group, "version": version, "kind": kind});
    let expected = json!({"version": "v1", "resources": [
        {"resource": "flunders", "singularResource": "flunder", "scope": "Namespaced", "verbs": ["list"],
         "shortNames": ["fl"], "responseKind": kind("", "", "Flunder"),
         "subresources": [{"subresource": "status", "responseKind": kind("", "", "Flunder"), "verbs": ["get"]}]},
        {"resource": "things", "singularResource": "", "scope": "Cluster", "responseKind": kind("", "", ""),
         "subresources": [{"subresource": "scale", "responseKind": kind("autoscaling", "v1", "Scale"), "verbs": ["get"]}]},
    ]});
    assert_eq!(of_resource_list(&list, "v1"), expected);
}
