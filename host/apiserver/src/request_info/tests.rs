use super::*;

fn check(method: Method, target: &str, verb: &str, place: [&str; 6]) {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let info = parse(&method, path, query);
    assert_eq!(info.verb, verb, "{target}");
    let [group, version, namespace, resource, name, subresource] = place;
    assert_eq!(
        [&*info.api_group, &info.api_version, &info.namespace, &info.resource, &info.name, &info.subresource],
        [group, version, namespace, resource, name, subresource],
        "{target}"
    );
    assert_eq!(info.is_resource_request, !version.is_empty(), "{target}");
}

#[test]
fn reads_method_path_and_query() {
    check(Method::GET, "/api/v1/pods", "list", ["", "v1", "", "pods", "", ""]);
    check(Method::GET, "/api/v1/pods?watch=1", "watch", ["", "v1", "", "pods", "", ""]);
    check(Method::GET, "/api/v1/pods?watch", "watch", ["", "v1", "", "pods", "", ""]);
    check(Method::GET, "/api/v1/pods?watch=False", "list", ["", "v1", "", "pods", "", ""]);
    check(Method::GET, "/api/v1/namespaces/a/pods/b", "get", ["", "v1", "a", "pods", "b", ""]);
    check(Method::GET, "/api/v1/namespaces/a", "get", ["", "v1", "a", "namespaces", "a", ""]);
    check(Method::PUT, "/api/v1/namespaces/a/finalize", "update", ["", "v1", "a", "namespaces", "a", "finalize"]);
    check(Method::GET, "/api/v1/watch/namespaces/a/pods", "watch", ["", "v1", "a", "pods", "", ""]);
    check(
        Method::DELETE,
        "/apis/apps/v1/namespaces/a/deployments",
        "deletecollection",
        ["apps", "v1", "a", "deployments", "", ""],
    );
    check(
        Method::GET,
        "/apis/apps/v1/deployments?fieldSelector=metadata.name%3Dx",
        "list",
        ["apps", "v1", "", "deployments", "x", ""],
    );
    check(Method::GET, "/healthz/etcd", "get", ["", "", "", "", "", ""]);
    check(Method::GET, "/apis/apps/v1", "get", ["", "", "", "", "", ""]);
    check(Method::OPTIONS, "/api/v1/pods", "", ["", "v1", "", "pods", "", ""]);
}
