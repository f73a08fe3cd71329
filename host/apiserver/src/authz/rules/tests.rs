use super::*;

fn list(text: &str) -> Vec<String> {
    text.split(',')
        .filter(|word| !word.is_empty())
        .map(|word| if word == "-" { String::new() } else { word.into() })
        .collect()
}

fn rule(verbs: &str, groups: &str, resources: &str, names: &str) -> Rule {
    Rule {
        verbs: list(verbs),
        api_groups: list(groups),
        resources: list(resources),
        resource_names: list(names),
        ..Rule::default()
    }
}

fn urls(verbs: &str, paths: &str) -> Rule {
    Rule { verbs: list(verbs), non_resource_urls: list(paths), ..Rule::default() }
}

#[test]
fn resources() {
    let check = |rule: &Rule, verb: &str, group: &str, path: &str, name: &str, expected: bool| {
        let (resource, subresource) = path.split_once('/').unwrap_or((path, ""));
        let request = RequestInfo {
            is_resource_request: true,
            verb: verb.into(),
            api_group: group.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            name: name.into(),
            ..RequestInfo::default()
        };
        assert_eq!(rule.allows(&request), expected, "{rule:?} {verb} {group} {path} {name}");
    };
    let pods = rule("get,list", "-", "pods", "");
    check(&pods, "get", "", "pods", "a", true);
    check(&pods, "delete", "", "pods", "a", false);
    check(&pods, "get", "apps", "pods", "a", false);
    check(&pods, "get", "", "pods/log", "a", false);
    check(&rule("*", "*", "*", ""), "frob", "x", "pods/log", "", true);
    check(&rule("get", "*", "*/scale", ""), "get", "apps", "deployments/scale", "d", true);
    check(&rule("get", "*", "*/scale", ""), "get", "apps", "deployments", "d", false);
    check(&rule("get", "-", "pods/log", ""), "get", "", "pods/log", "a", true);
    check(&rule("get", "-", "pods/log", ""), "get", "", "pods", "a", false);
    let named = rule("get", "-", "pods", "a");
    check(&named, "get", "", "pods", "a", true);
    check(&named, "get", "", "pods", "b", false);
    check(&named, "get", "", "pods", "", false);
}

#[test]
fn paths() {
    let check = |rule: &Rule, path: &str, expected: bool| {
        let request = RequestInfo { verb: "get".into(), path: path.into(), ..RequestInfo::default() };
        assert_eq!(rule.allows(&request), expected, "{rule:?} {path}");
    };
    check(&urls("get", "/healthz"), "/healthz", true);
    check(&urls("get", "/healthz"), "/healthz/", false);
    check(&urls("get", "/api/*"), "/api/v1", true);
    check(&urls("get", "/api/*"), "/api", false);
    check(&urls("get", "*"), "/x", true);
    check(&urls("post", "*"), "/x", false);
}

#[test]
fn covering() {
    let check = |owned: &[Rule], wanted: &[Rule], expected: &[&str]| {
        assert_eq!(describe(&uncovered(owned, wanted)), expected, "{owned:?} {wanted:?}");
    };
    let owned = [rule("get,list", "-", "pods,*/scale", "")];
    check(&owned, &[rule("get", "-", "pods", "a")], &[]);
    check(&owned, &[rule("get", "-", "pods/scale", "")], &[]);
    check(
        &owned,
        &[rule("get,delete,watch", "-", "pods", "")],
        &[r#"{APIGroups:[""], Resources:["pods"], Verbs:["delete" "watch"]}"#],
    );
    check(
        &[rule("get", "-", "pods", "a")],
        &[rule("get", "-", "pods", "")],
        &[r#"{APIGroups:[""], Resources:["pods"], Verbs:["get"]}"#],
    );
    check(
        &[],
        &[rule("*", "*", "*", ""), urls("*", "*")],
        &[r#"{APIGroups:["*"], Resources:["*"], Verbs:["*"]}"#, r#"{NonResourceURLs:["*"], Verbs:["*"]}"#],
    );
    check(&[urls("*", "/api/*")], &[urls("get", "/api/v1")], &[]);
}
