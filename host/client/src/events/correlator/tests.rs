use super::*;
use serde_json::json;

fn event(reason: &str, message: &str) -> Value {
    json!({
        "involvedObject": {"kind": "Pod", "namespace": "a", "name": "p", "uid": "1"},
        "source": {"component": "kubelet"}, "type": "Warning", "reason": reason, "message": message,
        "count": 1, "firstTimestamp": "t",
    })
}

#[derive(Debug, PartialEq)]
enum Seen {
    Create,
    Count(i64),
    Drop,
}

/// Feeds events, each a tick of `step` seconds after the one before, and compares what becomes of them.
fn check(what: &str, step: f64, events: Vec<Value>, expected: &[Seen]) {
    let mut correlator = Correlator::default();
    let seen: Vec<Seen> = events
        .into_iter()
        .enumerate()
        .map(|(at, event)| match correlator.correlate(event, at as f64 * step) {
            Outcome::Drop => Seen::Drop,
            Outcome::Create { key, .. } => {
                correlator.created(&key, &format!("event-{at}"));
                Seen::Create
            }
            Outcome::Count { event, .. } => Seen::Count(event["count"].as_i64().unwrap()),
        })
        .collect();
    assert_eq!(seen, expected, "{what}");
}

#[test]
fn events_are_counted_combined_and_limited() {
    check(
        "a different reason is a different event",
        1.0,
        vec![event("A", "x"), event("B", "x")],
        &[Seen::Create, Seen::Create],
    );
    check("the same event is counted", 1.0, vec![event("A", "x"); 3], &[Seen::Create, Seen::Count(2), Seen::Count(3)]);

    let many: Vec<Value> = (0..12).map(|at| event("A", &format!("message {at}"))).collect();
    let mut expected: Vec<Seen> = (0..9).map(|_| Seen::Create).collect();
    expected.extend([Seen::Create, Seen::Count(2), Seen::Count(3)]);
    check("from the tenth message on they are combined", 1.0, many, &expected);

    let mut expected = vec![Seen::Create];
    expected.extend((2..=25).map(Seen::Count));
    expected.extend([Seen::Drop, Seen::Drop]);
    check("a burst of 25, then silence", 0.001, vec![event("A", "x"); 27], &expected);

    let mut expected = vec![Seen::Create];
    expected.extend((2..=30).map(Seen::Count));
    check("one in five minutes may always be sent", 300.0, vec![event("A", "x"); 30], &expected);
}

#[test]
fn memory_is_bounded() {
    let mut correlator = Correlator::default();
    for at in 0..20_000 {
        let mut event = event("A", "x");
        event["involvedObject"]["name"] = format!("pod-{at}").into();
        correlator.correlate(event, f64::from(at));
    }
    assert!(correlator.written.len() <= MEMORY + 1);
    assert!(correlator.similar.len() <= MEMORY + 1);
    assert!(correlator.allowance.len() <= MEMORY + 1);
}
