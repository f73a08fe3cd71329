use super::*;

fn check(query: &[(&str, &str)], expected: Result<&[&str], &str>) {
    let pairs: Vec<(String, String)> = query.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let found = PodLogOptions::from_query(&pairs).map(|options| {
        options.validate().iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect::<Vec<_>>()
    });
    match (found, expected) {
        (Ok(causes), Ok(expected)) => assert_eq!(causes, expected, "{query:?}"),
        (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{query:?}: {error}"),
        (found, expected) => panic!("{query:?}: {found:?}, not {expected:?}"),
    }
}

#[test]
fn options_are_checked() {
    check(&[], Ok(&[]));
    check(&[("follow", "true"), ("tailLines", "0"), ("limitBytes", "1"), ("sinceSeconds", "1")], Ok(&[]));
    check(&[("tailLines", "-1")], Ok(&["tailLines: Invalid value: -1: must be greater than or equal to 0"]));
    check(&[("limitBytes", "0")], Ok(&["limitBytes: Invalid value: 0: must be greater than 0"]));
    check(&[("sinceSeconds", "0")], Ok(&["sinceSeconds: Invalid value: 0: must be greater than 0"]));
    let both = "sinceSeconds: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified";
    check(&[("sinceSeconds", "5"), ("sinceTime", "2026-01-02T03:04:05Z")], Ok(&[both]));
    let stream = "stream: Unsupported value: \"Both\": supported values: \"All\", \"Stderr\", \"Stdout\"";
    check(&[("stream", "Both")], Ok(&[stream]));
    let tail = ": Forbidden: `tailLines` and specific `stream` are mutually exclusive for now";
    check(&[("stream", "Stderr"), ("tailLines", "2")], Ok(&[tail]));
    check(&[("stream", "All"), ("tailLines", "2")], Ok(&[]));
    check(&[("tailLines", "many")], Err("tailLines"));
    check(&[("sinceTime", "yesterday")], Err("sinceTime"));
}

#[test]
fn a_query_says_the_same_when_it_is_passed_on() {
    let given = [
        ("container", "c"),
        ("follow", "1"),
        ("previous", "false"),
        ("sinceTime", "2026-01-02T03:04:05Z"),
        ("timestamps", "true"),
        ("limitBytes", "9"),
        ("stream", "Stdout"),
    ];
    let pairs: Vec<(String, String)> = given.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let options = PodLogOptions::from_query(&pairs).unwrap();
    let query: Vec<(String, String)> =
        options.to_query().into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let again = PodLogOptions::from_query(&query).unwrap();
    // The container is part of the kubelet's path.
    assert_eq!(PodLogOptions { container: "c".into(), ..again }, options);
    assert_eq!(options.since(Timestamp::now()), options.since_time);
}
