use std::io::Write as _;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::server::LogFile;

const LOG: &str = "\
2026-01-02T03:04:01.5Z stdout F one
2026-01-02T03:04:02.000000001Z stderr F two
2026-01-02T03:04:03Z stdout P par
2026-01-02T03:04:04Z stdout F tial
not a line of a log
2026-01-02T03:04:05+01:00 stdout F early
2026-01-02T03:04:06.123456789Z stderr F last
";

fn options(query: &str) -> PodLogOptions {
    PodLogOptions::from_query(&pairs(query).unwrap()).unwrap()
}

async fn read(text: &str, query: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.log");
    std::fs::write(&path, text).unwrap();
    let log = LogFile { path, ended: CancellationToken::new() };
    let stream = reader::stream(log, &options(query), Timestamp::now()).await.unwrap();
    let chunks: Vec<std::io::Result<Bytes>> = stream.collect().await;
    chunks.into_iter().map(|chunk| String::from_utf8(chunk.unwrap().to_vec()).unwrap()).collect()
}

async fn check(query: &str, expected: &str) {
    assert_eq!(read(LOG, query).await, expected, "{query}");
}

#[tokio::test]
async fn options_choose_what_is_seen() {
    check("", "one\ntwo\npartial\nearly\nlast\n").await;
    check("stream=Stdout", "one\npartial\nearly\n").await;
    check(
        "stream=Stderr&timestamps=1",
        concat!("2026-01-02T03:04:02.000000001Z two\n", "2026-01-02T03:04:06.123456789Z last\n",),
    )
    .await;
    check(
        "timestamps=true&sinceTime=2026-01-02T03:04:03Z",
        concat!("2026-01-02T03:04:03.000000000Z partial\n", "2026-01-02T03:04:06.123456789Z last\n",),
    )
    .await;
    check("sinceSeconds=1", "").await;
    check("tailLines=0", "").await;
    check("tailLines=1", "last\n").await;
    check("tailLines=2", "early\nlast\n").await;
    check("tailLines=99", "one\ntwo\npartial\nearly\nlast\n").await;
    check("limitBytes=6", "one\ntw").await;
    check("limitBytes=9999", "one\ntwo\npartial\nearly\nlast\n").await;
    assert_eq!(read("", "").await, "");
    let torn = "2026-01-02T03:04:01Z stdout F whole\n2026-01-02T03:04:02Z stdout F to";
    assert_eq!(read(torn, "").await, "whole\nto\n");
}

#[tokio::test]
async fn logs_longer_than_a_block_are_read_from_either_end() {
    let line = |n: usize| format!("2026-01-02T03:04:01Z stdout F line {n} {}\n", "x".repeat(n % 300));
    let long: String = (0..3000).map(line).collect();
    let whole = read(&long, "").await;
    assert_eq!(whole.lines().count(), 3000);
    for tail in [1, 7, 500, 2999, 3000, 4000] {
        let found = read(&long, &format!("tailLines={tail}")).await;
        let expected: Vec<&str> = whole.lines().rev().take(tail).collect();
        assert_eq!(found.lines().rev().collect::<Vec<_>>(), expected, "{tail}");
    }
    let endless = format!("2026-01-02T03:04:01Z stdout F {}\n", "y".repeat(1 << 20));
    assert_eq!(read(&endless, "").await.len(), (1 << 20) + 1);
}

#[tokio::test]
async fn a_follower_sees_what_comes_through_rotation_until_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.log");
    let ended = CancellationToken::new();
    let append = |text: &str| {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    };
    append("2026-01-02T03:04:01Z stdout F one\n2026-01-02T03:04:02Z stdout F two\n");
    let log = LogFile { path: path.clone(), ended: ended.clone() };
    let options = options("follow=true&tailLines=1");
    let mut stream = Box::pin(reader::stream(log, &options, Timestamp::now()).await.unwrap());
    let mut next = async || {
        let chunk = tokio::time::timeout(Duration::from_secs(10), stream.next()).await.expect("in time");
        chunk.map(|chunk| String::from_utf8(chunk.unwrap().to_vec()).unwrap())
    };
    assert_eq!(next().await.as_deref(), Some("two\n"));
    append("2026-01-02T03:04:03Z stdout F thr");
    append("ee\n");
    assert_eq!(next().await.as_deref(), Some("three\n"));
    std::fs::rename(&path, directory.path().join("0.log.20260102-030405")).unwrap();
    append("2026-01-02T03:04:04Z stdout F four\n");
    assert_eq!(next().await.as_deref(), Some("four\n"));
    append("2026-01-02T03:04:05Z stdout F five\n2026-01-02T03:04:06Z stdout P six");
    ended.cancel();
    let mut rest = String::new();
    while let Some(chunk) = next().await {
        rest.push_str(&chunk);
    }
    assert_eq!(rest, "five\nsix");
}

#[test]
fn a_container_says_what_it_waits_for() {
    let check = |status: Value, previous: bool, expected: Result<(), &str>| {
        let mut status = status;
        status["name"] = "c".into();
        let pod = json!({"metadata": {"name": "p"}, "status": {"containerStatuses": [status]}});
        let expected = expected.map_err(|why| why.replace('C', "container \"c\" in pod \"p\""));
        assert_eq!(has_log(&pod, "c", previous), expected, "{pod}");
    };
    let waiting = |reason: &str| json!({"state": {"waiting": {"reason": reason}}});
    let ended = json!({"terminated": {"containerID": "wasm://1"}});
    check(waiting("PodInitializing"), false, Err("C is waiting to start: PodInitializing"));
    check(waiting("ErrImagePull"), false, Err("C is waiting to start: image can't be pulled"));
    check(waiting("ImagePullBackOff"), false, Err("C is waiting to start: trying and failing to pull image"));
    check(json!({"state": {"running": {}}}), false, Ok(()));
    check(json!({"state": {"running": {}}}), true, Err("previous terminated C not found"));
    check(json!({"state": {"running": {}}, "lastState": ended}), true, Ok(()));
    check(json!({"state": ended}), false, Ok(()));
    check(json!({"state": {"terminated": {}}}), false, Err("terminated C not found"));
    check(json!({"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": ended}), false, Ok(()));
    check(json!({"state": {}}), false, Err("C is waiting to start - no logs yet"));
    let none = json!({"metadata": {"name": "p"}});
    assert_eq!(has_log(&none, "c", false), Err("container \"c\" in pod \"p\" is not available".into()));
}
