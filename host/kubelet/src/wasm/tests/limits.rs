use std::time::{Duration, Instant};

use super::Node;
use crate::runtime::{ContainerRuntime as _, ContainerState};

#[tokio::test]
async fn memory() {
    let node = Node::new().await;
    let check = async |mebibytes: &str, limit: Option<u64>, code: i32, reason: &str| {
        let mut config = node.steps(&["alloc", mebibytes, "print", "done"]);
        config.memory_limit = limit;
        let (exit_code, why, output) = node.run(config).await;
        assert_eq!((exit_code, why.as_str()), (code, reason), "{mebibytes} {output:?}");
    };
    check("8", Some(32 << 20), 0, "Completed").await;
    check("64", Some(32 << 20), 137, "OOMKilled").await;
    check("64", None, 0, "Completed").await;
}

#[tokio::test]
async fn memory_of_all_requests_together() {
    let node = Node::new().await;
    let mut config = node.web();
    config.memory_limit = Some(32 << 20);
    let id = node.start(config).await;
    let get = async |path: &str| {
        let mut stream = tokio::net::TcpStream::connect((node.sandbox.ip, 8080)).await?;
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n").as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.map(|_| answer)
    };
    assert!(get("/alloc/8").await.unwrap().starts_with("HTTP/1.1 200"));
    // Another request begins anew: what the first one had is given back.
    assert!(get("/alloc/8").await.unwrap().starts_with("HTTP/1.1 200"));
    let _ = get("/alloc/64").await;
    let state = tokio::time::timeout(Duration::from_secs(10), node.runtime.wait_container(&id)).await.unwrap().unwrap();
    let ContainerState::Exited { exit_code, reason, .. } = state else { panic!("waited for the end") };
    assert_eq!((exit_code, reason.as_str()), (137, "OOMKilled"));
}

#[tokio::test]
async fn cpu() {
    let node = Node::new().await;
    let mut config = node.steps(&["burn", "1000"]);
    config.cpu_limit_millis = Some(200);
    let begun = Instant::now();
    let id = node.start(config).await;
    node.runtime.wait_container(&id).await.unwrap();
    let (used, wall) = (node.runtime.container_stats(&id).await.unwrap().cpu_nanos, begun.elapsed().as_nanos());
    let share = used as f64 / wall as f64;
    // The guest looks at the clock, so its second is one of the wall's: it may work for a fifth of that.
    assert!((0.05..0.35).contains(&share), "used {share} of a core");
}

#[tokio::test]
async fn a_busy_guest_delays_nobody_else() {
    let node = Node::new().await;
    let mut ids = Vec::new();
    for name in ["a", "b", "c", "d"] {
        let mut config = node.steps(&["burn", "3600000"]);
        config.log_path.set_file_name(format!("{name}.log"));
        ids.push(node.start(config).await);
    }
    let begun = Instant::now();
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    for id in ids {
        node.runtime.stop_container(&id, Duration::ZERO).await.unwrap();
    }
}
