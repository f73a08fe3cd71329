use serde_json::json;

use super::*;

fn request(verb: &str, path: &str) -> RequestInfo {
    let method = match verb {
        "create" => http::Method::POST,
        _ => http::Method::GET,
    };
    crate::request_info::parse(&method, path, if verb == "watch" { "watch=1" } else { "" })
}

fn user(name: &str, groups: &[&str]) -> UserInfo {
    UserInfo {
        username: name.into(),
        groups: groups.iter().map(|group| (*group).into()).collect(),
        ..UserInfo::default()
    }
}

/// Flow control with so many seats and the default configuration, its uids being the names.
fn flow(seats: usize, more: Vec<Value>) -> Arc<FlowControl> {
    let config = ServerConfig {
        max_requests_inflight: seats - 1,
        max_mutating_requests_inflight: 1,
        request_timeout: Duration::from_millis(200),
        ..ServerConfig::default()
    };
    let flow = FlowControl::new(&config);
    let mut objects = crate::system_objects::flow_control();
    objects.extend(more);
    for made in &mut objects {
        made["metadata"]["uid"] = made["metadata"]["name"].clone();
    }
    let (schemas, levels): (Vec<Value>, Vec<Value>) =
        objects.into_iter().partition(|made| object::kind(made) == "FlowSchema");
    flow.configure(&schemas, &levels);
    flow
}

#[tokio::test]
async fn requests_are_classified() {
    let flow = flow(600, Vec::new());
    let check = async |user: UserInfo, info: RequestInfo, expected: [&str; 2]| {
        let entry = flow.enter(&user, &info).await.map_err(|(_, status)| status).unwrap();
        let mut headers = HeaderMap::new();
        entry.say(&mut headers);
        let found = [SCHEMA_UID, LEVEL_UID].map(|name| headers[name].to_str().unwrap().to_owned());
        assert_eq!(found, expected, "{user:?} {info:?}");
    };
    let known = ["system:authenticated"];
    let pods = "/api/v1/namespaces/a/pods";
    check(user("a", &["system:masters"]), request("get", "/version"), ["exempt", "exempt"]).await;
    check(user("a", &known), request("get", "/version"), ["global-default", "global-default"]).await;
    check(user("a", &known), request("get", "/healthz/ping"), ["probes", "exempt"]).await;
    check(user("a", &known), request("create", "/healthz"), ["global-default", "global-default"]).await;
    check(user("a", &known), request("watch", pods), ["global-default", "global-default"]).await;
    let account = user("system:serviceaccount:kube-system:x", &["system:serviceaccounts"]);
    check(account.clone(), request("get", pods), ["kube-system-service-accounts", "workload-high"]).await;
    let lease = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x";
    check(account, request("get", lease), ["system-leader-election", "leader-election"]).await;
    let account = user("system:serviceaccount:b:x", &["system:serviceaccounts"]);
    check(account, request("get", pods), ["service-accounts", "workload-low"]).await;
    let node = user("system:node:n", &["system:nodes"]);
    check(node.clone(), request("get", "/api/v1/nodes/n/status"), ["system-node-high", "node-high"]).await;
    check(node, request("get", pods), ["system-nodes", "system"]).await;
}

fn level(name: &str, limited: Value) -> Value {
    json!({
        "kind": "PriorityLevelConfiguration", "metadata": {"name": name}, "spec": {"type": "Limited", "limited": limited},
    })
}

fn schema_for(level: &str) -> Value {
    json!({
        "kind": "FlowSchema", "metadata": {"name": level},
        "spec": {
            "priorityLevelConfiguration": {"name": level}, "matchingPrecedence": 1,
            "distinguisherMethod": {"type": "ByUser"},
            "rules": [{
                "subjects": [{"kind": "Group", "group": {"name": level}}],
                "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            }],
        },
    })
}

#[tokio::test]
async fn without_a_seat_requests_wait_or_are_refused() {
    let queue =
        |length: u64| json!({"type": "Queue", "queuing": {"queues": 1, "handSize": 1, "queueLengthLimit": length}});
    // One seat of a hundred: everybody has less than one, rounded up.
    let shares =
        |response: Value| json!({"nominalConcurrencyShares": 1, "borrowingLimitPercent": 0, "limitResponse": response});
    let flow = flow(
        100,
        vec![
            level("waits", shares(queue(1))),
            schema_for("waits"),
            level("refuses", shares(json!({"type": "Reject"}))),
            schema_for("refuses"),
        ],
    );
    let enter = |group: &'static str| {
        let flow = flow.clone();
        async move {
            let entered = flow.enter(&user("u", &[group]), &request("get", "/version")).await;
            entered.map_err(|(entry, status)| (entry.uids.is_some(), status.code))
        }
    };
    let held = enter("refuses").await.unwrap();
    assert_eq!(enter("refuses").await.err(), Some((true, 429)));
    drop(held);
    assert!(enter("refuses").await.is_ok());

    let held = enter("waits").await.unwrap();
    // One waits in vain, and the next finds the queue full.
    let waits = tokio::spawn(enter("waits"));
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(enter("waits").await.err(), Some((true, 429)));
    assert_eq!(waits.await.unwrap().err(), Some((true, 429)));
    // One waits until there is a seat.
    let waits = tokio::spawn(enter("waits"));
    tokio::time::sleep(Duration::from_millis(10)).await;
    drop(held);
    let held = waits.await.unwrap().unwrap();
    // Who does not wait any more leaves no seat behind.
    let waits = tokio::spawn(enter("waits"));
    tokio::time::sleep(Duration::from_millis(10)).await;
    waits.abort();
    drop(held);
    assert!(enter("waits").await.is_ok());
    let text = flow.metrics();
    assert!(text.contains("apiserver_flowcontrol_nominal_limit_seats{priority_level=\"waits\"} 1\n"), "{text}");
    let refused = "rejected_requests_total{flow_schema=\"waits\",priority_level=\"waits\",reason=\"queue-full\"} 1\n";
    assert!(text.contains(refused), "{text}");
    assert!(text.contains("current_executing_requests{priority_level=\"waits\"} 0\n"), "{text}");
}

#[test]
fn seats_are_lent_and_borrowed() {
    let limits = |nominal, lendable, most| Limits { nominal, lendable, most, ..Limits::default() };
    // How many seats `a` gets while `b` uses some of its ten.
    let check = |lendable: usize, most: usize, used: usize, expected: usize| {
        let mut levels: Levels<()> = Levels::default();
        let named = vec![("a".to_owned(), limits(10, 0, most)), ("b".to_owned(), limits(10, lendable, usize::MAX))];
        let places = levels.configure(named, 20);
        let mut count = |name: &str, wished: usize| {
            (0..wished).filter(|_| matches!(levels.enter(places[name], 0), Seat::Taken)).count()
        };
        assert_eq!(count("b", used), used);
        assert_eq!(count("a", 100), expected, "{lendable} {most} {used}");
    };
    check(0, usize::MAX, 0, 10);
    check(5, usize::MAX, 0, 15);
    check(5, usize::MAX, 3, 15);
    check(5, usize::MAX, 8, 12);
    check(10, 12, 0, 12);
    check(10, usize::MAX, 0, 20);
}

#[test]
fn shares_are_of_all_seats() {
    let objects = crate::system_objects::flow_control();
    let levels: Vec<Value> = objects.into_iter().filter(|made| object::kind(made) != "FlowSchema").collect();
    let limits = Limits::of(&levels, 600);
    let found: Vec<(&str, usize, usize)> = levels
        .iter()
        .zip(&limits)
        .map(|(level, limits)| (object::name(level), limits.nominal, limits.lendable))
        .collect();
    let expected = [
        ("exempt", 0, 0),
        ("catch-all", 13, 0),
        ("system", 74, 24),
        ("node-high", 98, 25),
        ("leader-election", 25, 0),
        ("workload-high", 98, 49),
        ("workload-low", 245, 221),
        ("global-default", 49, 25),
    ];
    assert_eq!(found, expected);
}

#[test]
fn the_watches_of_one_user_are_bounded() {
    let flow = FlowControl::new(&ServerConfig { max_watches_per_user: 1, ..ServerConfig::default() });
    let (jo, master) = (user("jo", &[]), user("root", &["system:masters"]));
    let held = flow.watch(&jo).unwrap();
    assert!(held.is_some());
    assert_eq!(flow.watch(&jo).unwrap_err().code, 429);
    assert!(flow.watch(&user("other", &[])).unwrap().is_some());
    assert!(flow.watch(&master).unwrap().is_none());
    drop(held);
    assert!(flow.watch(&jo).unwrap().is_some());
}
