use std::time::Duration;

use super::{Node, log, mount};
use crate::runtime::{ContainerRuntime as _, ContainerState};

#[tokio::test]
async fn a_command_runs_once() {
    let node = Node::new().await;
    let check = async |args: &[&str], code: i32, reason: &str, lines: &[&str]| {
        let (exit_code, why, output) = node.run(node.steps(args)).await;
        assert_eq!((exit_code, why.as_str()), (code, reason), "{args:?} {output:?}");
        assert_eq!(output, lines, "{args:?}");
    };
    check(&["print", "hello"], 0, "Completed", &["stdout hello"]).await;
    check(&["warn", "no", "print", "yes"], 0, "Completed", &["stderr no", "stdout yes"]).await;
    check(&["env", "GREETING", "env", "HOSTNAME"], 0, "Completed", &["stdout good day", "stdout pod-0"]).await;
    check(&["args", "exit", "7"], 7, "Error", &["stdout main args exit 7"]).await;
    check(&["exit", "0"], 0, "Completed", &[]).await;
    check(&["cat", "/nowhere"], 1, "Error", &["stderr /nowhere: in no directory of this workload"]).await;
    check(&["sleep", "50", "print", "late"], 0, "Completed", &["stdout late"]).await;
}

#[tokio::test]
async fn volumes_are_directories() {
    let node = Node::new().await;
    let run = async |args: &[&str]| {
        let mut config = node.steps(args);
        config.mounts = vec![
            mount(node.volume("data", "file", "content"), "/data", false),
            mount(node.volume("fixed", "file", "fixed"), "/data/fixed/", true),
        ];
        node.run(config).await
    };
    let (code, _, output) = run(&["cat", "/data/file", "cat", "/data/fixed/file", "ls", "/data"]).await;
    assert_eq!((code, output), (0, ["stdout content", "stdout fixed", "stdout file"].map(String::from).to_vec()));
    let (code, _, _) = run(&["write", "/data/new", "text"]).await;
    assert_eq!(code, 0);
    assert_eq!(std::fs::read_to_string(node.directory.path().join("data/new")).unwrap(), "text");
    for refused in [&["write", "/data/fixed/new", "x"][..], &["cat", "/data/../../etc/passwd"], &["cat", "/etc/passwd"]]
    {
        let (code, _, output) = run(refused).await;
        assert_eq!(code, 1, "{refused:?} {output:?}");
    }
}

#[tokio::test]
async fn it_stops_when_asked() {
    let node = Node::new().await;
    let id = node.start(node.steps(&["print", "up", "forever"])).await;
    while log(&node.steps(&[]).log_path).is_empty() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let running = node.runtime.container_state(&id).await.unwrap();
    assert!(matches!(running, Some(ContainerState::Running { .. })), "{running:?}");
    assert!(node.runtime.container_stats(&id).await.unwrap().memory_bytes > 0);
    node.runtime.stop_container(&id, Duration::from_secs(5)).await.unwrap();
    let ended = node.runtime.wait_container(&id).await.unwrap();
    assert!(matches!(ended, ContainerState::Exited { exit_code: 143, .. }), "{ended:?}");
    node.runtime.remove_container(&id).await.unwrap();
    assert_eq!(node.runtime.container_state(&id).await.unwrap(), None);
    // A guest that never waits is stopped at its next tick.
    let id = node.start(node.steps(&["burn", "3600000"])).await;
    node.runtime.stop_container(&id, Duration::ZERO).await.unwrap();
    let ended = node.runtime.wait_container(&id).await.unwrap();
    assert!(matches!(ended, ContainerState::Exited { exit_code: 137 | 143, .. }), "{ended:?}");
}

#[tokio::test]
async fn a_sandbox_takes_its_containers_along() {
    let node = Node::new().await;
    let id = node.start(node.steps(&["forever"])).await;
    node.runtime.remove_sandbox(&node.sandbox.id).await.unwrap();
    assert_eq!(node.runtime.container_state(&id).await.unwrap(), None);
    node.runtime.remove_sandbox(&node.sandbox.id).await.unwrap();
}
