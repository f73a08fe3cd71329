use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;

use super::*;
use crate::resource::PODS;
use crate::testing::Double;

fn pod(name: &str, version: &str) -> Value {
    json!({"metadata": {"name": name, "namespace": "a", "uid": name, "resourceVersion": version,
        "ownerReferences": [{"uid": "owner"}]}})
}

fn list(version: &str, items: Vec<Value>) -> (u16, String) {
    (200, json!({"metadata": {"resourceVersion": version}, "items": items}).to_string())
}

fn watch(events: &[(&str, Value)]) -> (u16, String) {
    let line = |(kind, object): &(&str, Value)| format!("{}\n", json!({"type": kind, "object": object}));
    (200, events.iter().map(line).collect())
}

/// Plays a script of answers to an informer, and compares the events that its handler saw and the watches it opened.
async fn check(what: &str, script: Vec<(u16, String)>, events: &[&str], resumed_at: &[&str]) {
    let double = Arc::new(Double::default());
    *double.script.lock() = script.into();
    let shutdown = CancellationToken::new();
    let informer = Informer::builder(&Client::new(double.clone()), &PODS).index_by_owner().start(shutdown.clone());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = seen.clone();
    informer.on_event(move |event| {
        let kind = match event {
            InformerEvent::Added(_) => "+",
            InformerEvent::Updated { .. } => "~",
            InformerEvent::Deleted(_) => "-",
        };
        log.lock().push(format!("{kind}{}@{}", event.object().name(), event.object().resource_version()));
    });
    while !double.script.lock().is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    shutdown.cancel();
    assert!(informer.has_synced(), "{what}");
    assert_eq!(*seen.lock(), events, "{what}");
    let watches: Vec<String> = double
        .seen
        .lock()
        .iter()
        .filter(|path| path.contains("watch=true"))
        .filter_map(|path| path.split("resourceVersion=").nth(1)?.split('&').next().map(str::to_owned))
        .take(resumed_at.len())
        .collect();
    assert_eq!(watches, resumed_at, "{what}");
    // The index agrees with the objects, whatever happened.
    assert_eq!(informer.by_index("owner", "owner").len(), informer.len(), "{what}");
}

#[tokio::test(start_paused = true)]
async fn an_informer_loses_nothing() {
    let bookmark = ("BOOKMARK", json!({"metadata": {"resourceVersion": "9"}}));
    let gone =
        ("ERROR", json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410, "reason": "Expired"}));
    check(
        "a watch that ends is resumed where it was",
        vec![
            list("1", vec![pod("x", "1")]),
            watch(&[("ADDED", pod("y", "2")), ("MODIFIED", pod("x", "3")), bookmark]),
            watch(&[("DELETED", pod("y", "10"))]),
        ],
        &["+x@1", "+y@2", "~x@3", "-y@10"],
        &["1", "9", "10"],
    )
    .await;
    check(
        "after 410 the difference of the lists is told",
        vec![
            list("1", vec![pod("x", "1"), pod("y", "1")]),
            watch(&[gone]),
            list("7", vec![pod("x", "5"), pod("z", "6")]),
            watch(&[]),
        ],
        &["+x@1", "+y@1", "~x@5", "+z@6", "-y@1"],
        &["1", "7"],
    )
    .await;
    check(
        "a broken connection is tried again",
        vec![(0, "refused".into()), list("1", vec![]), (0, "reset".into()), watch(&[("ADDED", pod("x", "2"))])],
        &["+x@2"],
        &["1", "1", "2"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn lists_are_paged() {
    let double = Arc::new(Double::default());
    let page = |token: &str, name: &str| {
        let list = json!({"metadata": {"resourceVersion": "5", "continue": token}, "items": [pod(name, "1")]});
        (200, list.to_string())
    };
    *double.script.lock() = vec![page("next", "x"), page("", "y")].into();
    let all = Client::new(double.clone()).list_all(&PODS, "a", &Default::default()).await.unwrap();
    assert_eq!(all.items.iter().map(|item| item.name().to_owned()).collect::<Vec<_>>(), ["x", "y"]);
    assert_eq!(all.items[0]["kind"], "Pod");
    assert!(double.seen.lock()[1].contains("continue=next"));
}
