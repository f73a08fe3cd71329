use super::*;
use crate::source::fixed::Fixed;

#[tokio::test]
async fn a_token_is_renewed_when_four_fifths_of_its_life_are_over() {
    let source = Fixed::default();
    let cache = TokenCache::default();
    let pod = json!({"metadata": {"name": "p", "uid": "u"}});
    let request = request(&pod, "aud", Some(1000));
    let start = Timestamp::now();
    let check = async |after: i64, expected: Result<&str, &str>| {
        let now = start + SignedDuration::from_secs(after);
        let found = cache.token_at(&source, "ns", "sa", "u", &request, now).await;
        assert_eq!(found, expected.map(str::to_owned).map_err(str::to_owned), "after {after} s");
    };
    check(0, Ok("ns/sa#1")).await;
    check(780, Ok("ns/sa#1")).await;
    *source.failure.lock() = Some("away".into());
    check(810, Ok("ns/sa#1")).await;
    check(1010, Err("token ns/sa expired and refresh failed: away")).await;
    *source.failure.lock() = None;
    check(810, Ok("ns/sa#2")).await;
    cache.forget("other");
    check(0, Ok("ns/sa#2")).await;
    cache.forget("u");
    check(0, Ok("ns/sa#3")).await;
    let spec = json!({"audiences": ["aud"], "expirationSeconds": 1000,
        "boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u"}});
    assert_eq!(source.requests.lock()[0]["spec"], spec);
}

#[test]
fn no_token_is_used_for_more_than_a_day() {
    let issued = Timestamp::now();
    let known = Known { token: "t".into(), issued, expires: issued + SignedDuration::from_hours(24 * 365) };
    let due = |hours: i64| known.is_due(issued + SignedDuration::from_hours(hours), SignedDuration::ZERO);
    assert!(!due(23));
    assert!(due(25));
}
