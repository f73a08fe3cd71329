use super::*;

fn check(accept: &str, expected: Option<(&str, Transform)>) {
    let mut headers = HeaderMap::new();
    if !accept.is_empty() {
        headers.insert("accept", accept.parse().expect("header"));
    }
    let got = negotiate(&headers, &[], true).ok().map(|o| (o.content_type(), o.transform));
    assert_eq!(got, expected, "{accept}");
}

#[test]
fn accept_headers() {
    check("", Some(("application/json", Transform::None)));
    check("*/*", Some(("application/json", Transform::None)));
    check("application/yaml", Some(("application/yaml", Transform::None)));
    check("application/yaml;q=0.5, application/json;q=0.9", Some(("application/json", Transform::None)));
    check("application/json;as=Table;v=v1;g=meta.k8s.io", Some(("application/json", Transform::Table)));
    check(
        "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
        Some(("application/json", Transform::Table)),
    );
    check("application/json;as=Nope;v=v1;g=meta.k8s.io", None);
    check("application/json;as=Nope;v=v1;g=meta.k8s.io, application/json", Some(("application/json", Transform::None)));
    check(
        "application/vnd.kubernetes.protobuf, application/json",
        Some(("application/vnd.kubernetes.protobuf", Transform::None)),
    );
    // A table has no message.
    check("application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io", None);
    check("text/html", None);
}
