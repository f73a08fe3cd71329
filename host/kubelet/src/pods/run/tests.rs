use serde_json::{Value, json};

use super::{Phase, Run};

/// What a container's status says, and what is made of it after a restart of the kubelet: the exit code it counts as
/// ended with, the restarts so far, and the number of the next start.
fn check(status: Value, exit_code: Option<i32>, restarts: u32, next: u32) {
    let run = Run::adopt(&status);
    assert_eq!((run.exit_code(), run.restarts, run.next_attempt()), (exit_code, restarts, next), "{status}");
    assert!(!run.is_running() && run.waiting.is_none());
}

#[test]
fn what_was_running_is_lost() {
    let ended = |code: i32| json!({"terminated": {"exitCode": code, "containerID": "wasm://a"}});
    let running = json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}});
    check(json!({"restartCount": 0, "containerID": "wasm://a", "state": running}), Some(137), 0, 1);
    check(json!({"restartCount": 2, "containerID": "wasm://a", "state": running}), Some(137), 2, 3);
    check(json!({"restartCount": 1, "containerID": "wasm://a", "state": ended(0)}), Some(0), 1, 2);
    let waiting = json!({"waiting": {"reason": "CrashLoopBackOff"}});
    check(
        json!({"restartCount": 4, "containerID": "wasm://a", "state": waiting, "lastState": ended(3)}),
        Some(3),
        4,
        5,
    );
    check(json!({"restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}}), None, 0, 0);
}

#[test]
fn restarts_are_counted() {
    let mut run = Run::default();
    assert_eq!(run.next_attempt(), 0);
    run.begin("a".into(), "wasm", "i".into());
    assert_eq!((run.restarts, run.attempt()), (0, 0));
    let Phase::Running { started_at, .. } = run.phase.clone() else { panic!("it runs") };
    let state = crate::runtime::ContainerState::Exited {
        exit_code: 1,
        reason: "Error".into(),
        message: String::new(),
        started_at,
        finished_at: started_at,
    };
    run.end(super::Termination::of_state("wasm://a", &state).unwrap());
    run.begin("b".into(), "wasm", "i".into());
    assert_eq!((run.restarts, run.attempt(), run.last.as_ref().map(|end| end.exit_code)), (1, 1, Some(1)));
    let (state, last) = run.states("");
    assert!(state["running"].is_object());
    assert_eq!(last["terminated"]["containerID"], "wasm://a");
}
