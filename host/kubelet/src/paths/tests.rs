use serde_json::{Value, json};

use super::Paths;

fn pod(policy: &str) -> Value {
    json!({
        "metadata": {"uid": "u-1", "name": "p", "namespace": "n"},
        "spec": {"containers": [{"name": "c", "terminationMessagePath": "/tmp/end", "terminationMessagePolicy": policy}]},
    })
}

#[tokio::test]
async fn termination_messages() {
    let check = async |written: Option<&str>, log: &str, policy: &str, code: i32, expected: Option<&str>| {
        let root = tempfile::tempdir().unwrap();
        let (paths, pod) = (Paths::new(root.path()), pod(policy));
        let (directory, inside) = paths.make_termination_directory(&pod, "c", 0, "/tmp/end").unwrap();
        assert_eq!(inside, "/tmp");
        if let Some(text) = written {
            std::fs::write(directory.join("end"), text).unwrap();
        }
        let path = paths.log(&pod, "c", 0);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, log).unwrap();
        let message = paths.termination_message(&pod, "c", 0, code).await;
        assert_eq!(message.as_deref(), expected, "{written:?} {policy} {code}");
    };
    let log = "2026-01-01T00:00:00Z stdout F one\n2026-01-01T00:00:01Z stderr F two three\n";
    check(Some("bye"), log, "File", 1, Some("bye")).await;
    check(None, log, "File", 1, None).await;
    check(None, log, "FallbackToLogsOnError", 0, None).await;
    check(None, log, "FallbackToLogsOnError", 1, Some("one\ntwo three\n")).await;
    check(Some("bye"), log, "FallbackToLogsOnError", 1, Some("bye")).await;
    let long = "x".repeat(5000);
    check(Some(&long), log, "File", 0, Some(&long[..4096])).await;
    let many: String = (0..200).map(|n| format!("2026-01-01T00:00:00Z stdout F line {n}\n")).collect();
    let last: String = (120..200).map(|n| format!("line {n}\n")).collect();
    check(None, &many, "FallbackToLogsOnError", 1, Some(&last)).await;
}

#[tokio::test]
async fn a_link_is_not_followed_out_of_the_directory() {
    let root = tempfile::tempdir().unwrap();
    let (paths, pod) = (Paths::new(root.path()), pod("File"));
    let (directory, _) = paths.make_termination_directory(&pod, "c", 0, "/tmp/end").unwrap();
    std::fs::write(root.path().join("secret"), "secret").unwrap();
    std::os::unix::fs::symlink(root.path().join("secret"), directory.join("end")).unwrap();
    assert_eq!(paths.termination_message(&pod, "c", 0, 0).await, None);
}

#[test]
fn what_is_removed() {
    let root = tempfile::tempdir().unwrap();
    let paths = Paths::new(root.path());
    let of = |uid: &str| json!({"metadata": {"uid": uid}, "spec": {"containers": [{"name": "c"}]}});
    for uid in ["a", "b"] {
        paths.make_pod(&of(uid)).unwrap();
        for attempt in 0..4 {
            let log = paths.log(&of(uid), "c", attempt);
            std::fs::create_dir_all(log.parent().unwrap()).unwrap();
            std::fs::write(log, "").unwrap();
        }
    }
    paths.drop_old_logs(&of("a"), "c", 3).unwrap();
    assert_eq!([0, 1, 2, 3].map(|attempt| paths.log(&of("a"), "c", attempt).exists()), [false, false, true, true]);
    assert_eq!(paths.remove_orphans(|uid| uid == "a").unwrap(), 1);
    assert!(!paths.log(&of("b"), "c", 3).exists());
    paths.remove_pod(&of("a")).unwrap();
    paths.remove_pod(&of("a")).unwrap();
    for bad in ["", "..", "a/b", "/etc"] {
        assert!(paths.make_pod(&of(bad)).is_err(), "{bad:?}");
        assert!(paths.remove_pod(&of(bad)).is_err(), "{bad:?}");
    }
}
