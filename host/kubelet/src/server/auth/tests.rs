use super::*;

#[test]
fn paths_belong_to_subresources() {
    let check = |path: &str, expected: &[&str]| assert_eq!(subresources(path), expected, "{path}");
    check("/stats/summary", &["stats"]);
    check("/metrics", &["metrics"]);
    check("/metrics/resource", &["metrics"]);
    check("/logs/x", &["log"]);
    check("/checkpoint/ns/p/c", &["checkpoint"]);
    check("/pods", &["pods", "proxy"]);
    check("/pods/", &["pods", "proxy"]);
    check("/runningpods/", &["pods", "proxy"]);
    check("/healthz", &["healthz", "proxy"]);
    check("/healthz/ping", &["healthz", "proxy"]);
    check("/configz", &["configz", "proxy"]);
    check("/containerLogs/ns/p/c", &["proxy"]);
    check("/exec/ns/p/c", &["proxy"]);
    check("/metricsx", &["proxy"]);
    check("/", &["proxy"]);
}

#[test]
fn what_is_remembered_has_an_end() {
    let known = Remembered::new();
    known.put(b"a".to_vec(), Duration::from_secs(60), 1);
    known.put(b"b".to_vec(), Duration::ZERO, 2);
    assert_eq!((known.get(b"a"), known.get(b"b"), known.get(b"c")), (Some(1), None, None));
    for index in 0..2 * MAX_REMEMBERED {
        known.put(index.to_be_bytes().to_vec(), Duration::from_secs(60), 0);
        assert!(known.0.lock().len() <= MAX_REMEMBERED);
    }
}
