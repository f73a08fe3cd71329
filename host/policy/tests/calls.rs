//! Calls: answers of every stage, and everything that can end one. Whatever happens to one, the next is served.

mod common;

use common::{Bench, Guest, Recorder, bench, document, guest};
use portcullis_policy::{
    AuthenticatorOutcome, AuthorizerDecision, CallError, FieldErrorType, LogLevel, NodeBatch, PatchOperationKind,
    Policy, Scheduling, Stage,
};
use serde_json::json;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

/// Fails the second call of an instance in some way, and checks that the first and a third get their answer.
fn fails_alone(bench: &Bench, act: &str, expected: &dyn Fn(&CallError) -> bool) -> Arc<Policy> {
    let call = format!("(if (i32.eq (global.get $count) (i32.const 2)) (then {act}))");
    let guest = guest(Stage::Validator).call(call).text(4096, &[b'x'; 64]).text(5000, &[0xff; 4]);
    let mut spec = guest.spec();
    spec.limits.deadline = Duration::from_millis(50);
    spec.limits.memory_bytes = 1 << 20;
    let policy = bench.load(spec).unwrap();
    let document = document(json!({}));
    policy.call_validator(&document).unwrap();
    let error = policy.call_validator(&document).unwrap_err();
    assert!(expected(&error), "{act}: {error:?}");
    policy.call_validator(&document).unwrap();
    let stats = policy.stats();
    assert_eq!((stats.calls, stats.errors, stats.instances), (3, 1, 2), "{act}: the instance is replaced");
    policy
}

#[test]
fn a_trap_ends_one_call() {
    let bench = bench();
    let trap = |error: &CallError| matches!(error, CallError::Trap(_));
    let policy = fails_alone(&bench, "unreachable", &|error| error.to_string().contains("unreachable"));
    assert_eq!(policy.stats().errors_of("Trap"), 1);
    fails_alone(&bench, "(drop (i32.div_u (i32.const 1) (i32.const 0)))", &|error| {
        error.to_string().contains("divide by zero")
    });
    fails_alone(&bench, "(drop (i32.load (i32.const -1)))", &trap);
    // A string that is not UTF-8, and one outside of memory.
    let warning = |at: &str| {
        format!(
            "(i32.store (i32.const 2080) (i32.const 5100)) (i32.store (i32.const 2084) (i32.const 1))
         (i32.store (i32.const 5100) (i32.const {at})) (i32.store (i32.const 5104) (i32.const 4))"
        )
    };
    fails_alone(&bench, &warning("5000"), &trap);
    fails_alone(&bench, &warning("-4"), &trap);
}

#[test]
fn a_deadline_ends_one_call() {
    let start = Instant::now();
    let policy = fails_alone(&bench(), "(loop (br 0))", &|error| matches!(error, CallError::DeadlineExceeded(_)));
    assert_eq!(policy.stats().errors_of("DeadlineExceeded"), 1);
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(policy.stats().p99_micros > 40_000.0);
}

#[test]
fn a_memory_overrun_ends_one_call() {
    let bomb = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable";
    let policy = fails_alone(&bench(), bomb, &|error| *error == CallError::MemoryExceeded(1 << 20));
    assert_eq!(policy.stats().errors_of("MemoryExceeded"), 1);
}

#[test]
fn a_recursion_without_end_ends_one_call() {
    let bench = bench();
    let mut deep = guest(Stage::Validator).call("(call $deep)");
    deep.more = "(func $deep (call $deep) (call $deep))".to_owned();
    let policy = bench.load(deep.spec()).unwrap();
    let error = policy.call_validator(&document(json!({}))).unwrap_err();
    assert!(error.to_string().contains("stack"), "{error}");
}

/// A guest that reads the cluster.
fn reader(after: &str) -> Guest {
    guest(Stage::Validator)
        .imports(r#"(import "portcullis:policy/cluster@0.1.0" "get" (func $get (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#)
        .text(4096, b"podsns1web/metadata/name")
        // One path, as a list of one string.
        .text(4200, &[12, 16, 0, 0, 14, 0, 0, 0])
        .call(format!(
            "(call $get (i32.const 4096) (i32.const 4) (i32.const 4100) (i32.const 3) (i32.const 4103) (i32.const 3)
                (i32.const 4200) (i32.const 0) (i32.const 6000)) {after}"
        ))
}

#[test]
fn a_host_panic_ends_one_call() {
    let bench = bench();
    let armed = Arc::new(AtomicBool::new(true));
    let flag = Arc::clone(&armed);
    let act = move || assert!(!flag.load(SeqCst), "the host has a fault");
    let host = Arc::new(Recorder { on_read: Some(Box::new(act)), ..Recorder::default() });
    let mut spec = reader("").spec();
    spec.grants.cluster_read = true;
    let policy = bench.load_with(spec, host).unwrap();
    let document = document(json!({}));
    assert_eq!(policy.call_validator(&document), Err(CallError::HostPanic("the host has a fault".to_owned())));
    armed.store(false, SeqCst);
    policy.call_validator(&document).unwrap();
    assert_eq!(policy.stats().errors_of("HostPanic"), 1);
}

#[test]
fn the_cluster_is_read_as_the_plugin() {
    let bench = bench();
    let host = Arc::new(Recorder::default());
    // The result: ok at 6000, some at 6004.
    let mut spec = reader("(if (i32.load8_u (i32.const 6000)) (then unreachable)) (if (i32.eqz (i32.load8_u (i32.const 6004))) (then unreachable))").spec();
    spec.grants.cluster_read = true;
    spec.namespace = Some("team".to_owned());
    let policy = bench.load_with(spec, Arc::clone(&host) as _).unwrap();
    policy.call_validator(&document(json!({}))).unwrap();
    assert_eq!(*host.reads.lock().unwrap(), ["system:plugin:team:test pods ns1 web"]);
    assert_eq!(policy.identity(), "system:plugin:team:test");
}

#[test]
fn more_calls_than_instances_wait_and_then_fail() {
    let bench = bench();
    let (entered, on_entry) = std::sync::mpsc::channel();
    let release = Arc::new(AtomicBool::new(false));
    let gate = Arc::clone(&release);
    let entered = std::sync::Mutex::new(entered);
    let act = move || {
        let _ = entered.lock().unwrap().send(());
        while !gate.load(SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let host = Arc::new(Recorder { on_read: Some(Box::new(act)), ..Recorder::default() });
    let mut spec = reader("").spec();
    spec.grants.cluster_read = true;
    spec.limits.concurrency = 1;
    spec.limits.deadline = Duration::from_secs(20);
    spec.limits.queue_wait = Duration::from_millis(20);
    let policy = bench.load_with(spec, host).unwrap();
    let document = document(json!({}));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| policy.call_validator(&document));
        on_entry.recv().unwrap();
        assert_eq!(policy.call_validator(&document), Err(CallError::Saturated(1)));
        release.store(true, SeqCst);
        first.join().unwrap().unwrap();
    });
    policy.call_validator(&document).unwrap();
    assert_eq!(policy.stats().errors_of("Saturated"), 1);
}

/// A validator that refuses with the number of the call as the code.
fn counter() -> Guest {
    guest(Stage::Validator).call(
        "(i32.store8 (i32.const 2048) (i32.const 1))
         (i32.store16 (i32.const 2052) (i32.add (i32.const 400) (global.get $count)))",
    )
}

#[test]
fn warm_instances_are_recycled_and_fresh_ones_forget() {
    let bench = bench();
    let codes = |fresh: bool, calls_per_instance: u32| -> Vec<u16> {
        let mut spec = counter().spec();
        spec.limits.fresh = fresh;
        spec.limits.calls_per_instance = calls_per_instance;
        let policy = bench.load(spec).unwrap();
        let document = document(json!({}));
        (0..5).map(|_| policy.call_validator(&document).unwrap().denied.unwrap().code).collect()
    };
    assert_eq!(codes(false, 100), [401, 402, 403, 404, 405]);
    assert_eq!(codes(false, 2), [401, 402, 401, 402, 401]);
    assert_eq!(codes(true, 100), [401; 5]);
}

#[test]
fn another_stages_call_is_refused() {
    let policy = bench().load(guest(Stage::Validator).spec()).unwrap();
    let document = document(json!({}));
    assert_eq!(policy.call_mutator(&document), Err(CallError::WrongStage(Stage::Validator)));
    policy.call_validator(&document).unwrap();
    assert!(policy.is_pure());
}

/// Expects the input to have this length, and a text at an offset.
fn expect_input(length: usize, at: usize, text: &str) -> String {
    let mut out = format!("(if (i32.ne (local.get 1) (i32.const {length})) (then unreachable))");
    for (index, byte) in text.bytes().enumerate() {
        let at = at + index;
        out += &format!(
            "(if (i32.ne (i32.load8_u (i32.add (local.get 0) (i32.const {at}))) (i32.const {byte})) (then unreachable))"
        );
    }
    out
}

#[test]
fn the_declared_paths_are_packed() {
    let bench = bench();
    let value = json!({"object": {"a": "x", "list": [{"b": 1}, {"b": 2}]}});
    let paths = ["/object/a", "/object/none", "/object/list/*/b"];
    // As JSON: the form is the byte at 1036.
    let text = r#"["x",null,[1,2]]"#;
    let json_guest = guest(Stage::Validator)
        .paths(&paths)
        .configure("(i32.store8 (i32.const 1036) (i32.const 1))")
        .call(expect_input(text.len(), 0, text));
    bench.load(json_guest.spec()).unwrap().call_validator(&document(value.clone())).unwrap();
    // As a tape: what the projection packs, byte for byte in length, with the magic number in front.
    let patterns = paths.map(|path| portcullis_machinery::path::Pattern::parse(path).unwrap());
    let tape = portcullis_machinery::tape::project(&value, &patterns).unwrap();
    let tape_guest = guest(Stage::Validator).paths(&paths).call(expect_input(tape.len(), 0, "PTAP"));
    let policy = bench.load(tape_guest.spec()).unwrap();
    policy.call_validator(&document(value)).unwrap();
    assert_eq!(policy.declaration().paths, paths);
}

#[test]
fn undeclared_values_are_read_from_the_calls_document() {
    let bench = bench();
    let guest = guest(Stage::Validator)
        .imports(r#"(import "portcullis:policy/review@0.1.0" "json" (func $json (param i32 i32 i32)))"#)
        .text(4096, b"/object/name")
        // The option's string becomes the only warning.
        .call(
            "(call $json (i32.const 4096) (i32.const 12) (i32.const 6000))
             (i32.store (i32.const 2080) (i32.const 6004)) (i32.store (i32.const 2084) (i32.load8_u (i32.const 6000)))",
        );
    let policy = bench.load(guest.spec()).unwrap();
    let warnings = |value| policy.call_validator(&document(value)).unwrap().warnings;
    assert_eq!(warnings(json!({"object": {"name": "web"}})), ["\"web\""]);
    assert_eq!(warnings(json!({"object": {"name": "other"}})), ["\"other\""]);
    assert!(warnings(json!({"object": {}})).is_empty(), "nothing of the call before is left");
}

#[test]
fn log_lines_are_bounded() {
    let bench = bench();
    let guest = guest(Stage::Validator)
        .imports(r#"(import "portcullis:policy/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#)
        .call(
            "(memory.fill (i32.const 8192) (i32.const 97) (i32.const 10000))
             (loop (call $log (i32.const 1) (i32.const 8192) (i32.const 10000))
                (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 500))))",
        );
    let host = Arc::new(Recorder::default());
    let policy = bench.load_with(guest.spec(), Arc::clone(&host) as _).unwrap();
    policy.call_validator(&document(json!({}))).unwrap();
    let lines = host.lines.lock().unwrap();
    assert_eq!(lines.len(), 65);
    assert!(lines[..64].iter().all(|(level, line)| *level == LogLevel::Info && line.len() == 4096));
    assert!(lines[64].1.contains("dropped"));
    assert!(policy.is_pure(), "a log line is no input");
}

#[test]
fn answers_that_are_too_large() {
    let bench = bench();
    // A list of so many operations, all at the same place, each with the same long text.
    let bomb = |operations: u32, bytes: u32| {
        let mut guest = guest(Stage::Mutator).call(format!(
            "(loop
                (i32.store (i32.add (i32.const 70004) (i32.mul (local.get $i) (i32.const 20))) (i32.const 131072))
                (i32.store (i32.add (i32.const 70008) (i32.mul (local.get $i) (i32.const 20))) (i32.const {bytes}))
                (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const {operations}))))
             (i32.store (i32.const 2080) (i32.const 70000)) (i32.store (i32.const 2084) (i32.const {operations}))"
        ));
        guest.pages = 64;
        bench.load(guest.spec()).unwrap().call_mutator(&document(json!({})))
    };
    assert_eq!(bomb(3, 4).unwrap().patch.len(), 3);
    for (operations, bytes, words) in
        [(1000, 1 << 20, "8388608 bytes"), (5000, 1, "4096 operations"), (4, 1 << 20, "3145728")]
    {
        match bomb(operations, bytes).unwrap_err() {
            CallError::BadOutput(text) => assert!(text.contains(words), "{text} should say {words}"),
            other => panic!("{other:?}"),
        }
    }
}

struct Pods(Vec<u32>);

impl Scheduling for Pods {
    fn count_pods(&self, _: &str, _: &str) -> Vec<u32> {
        self.0.clone()
    }
}

#[test]
fn schedulers_score_a_batch() {
    let bench = bench();
    let batch = NodeBatch {
        nodes: 2,
        resources: vec!["cpu".to_owned()],
        requests: vec![100],
        allocatable: vec![1000, 50],
        requested: vec![0, 0],
        node_values: Vec::new(),
    };
    // Each node's score is its count of pods; `n` nodes get one.
    let scorer = |n: u32| {
        guest(Stage::Scheduler)
            .imports(r#"(import "portcullis:policy/scheduling@0.1.0" "count-pods" (func $count_pods (param i32 i32 i32 i32 i32)))"#)
            .configure("(i64.store (i32.const 1036) (i64.const 0)) (i32.store8 (i32.const 1044) (i32.const 0))")
            .call(format!(
                "(call $count_pods (i32.const 4096) (i32.const 0) (i32.const 4096) (i32.const 0) (i32.const 6000))
                 (i64.store (i32.const 7000) (i64.load32_u (i32.load (i32.const 6000))))
                 (i64.store (i32.const 7008) (i64.load32_u (i32.add (i32.const 4) (i32.load (i32.const 6000)))))
                 (i32.store (i32.const 2048) (i32.const 7000)) (i32.store (i32.const 2052) (i32.const {n}))"
            ))
    };
    let pod = document(json!({"pod": {}}));
    let policy = bench.load(scorer(2).spec()).unwrap();
    let place = |policy: &Policy, batch: &NodeBatch, counts: &[u32]| {
        policy.call_scheduler(&pod, batch, Arc::new(Pods(counts.to_vec())))
    };
    assert_eq!(place(&policy, &batch, &[3, 5]).unwrap().scores, [3, 5]);
    assert_eq!(place(&policy, &batch, &[7]).unwrap().scores, [7, 0], "the guest gets one count for each node");
    let short = bench.load(scorer(1).spec()).unwrap();
    assert_eq!(place(&short, &batch, &[3, 5]), Err(CallError::BadOutput("1 scores for 2 nodes".to_owned())));
    let odd = NodeBatch { requested: vec![0], ..batch.clone() };
    assert_eq!(place(&policy, &odd, &[]).unwrap_err().reason(), "BadInput");
    let node = policy.pack_node(&json!({"metadata": {"name": "n"}})).unwrap();
    let joined = policy.join_nodes([node.as_slice(), node.as_slice()]).unwrap();
    let joined = portcullis_machinery::tape::to_json(portcullis_machinery::tape::Tape::new(&joined).unwrap());
    assert_eq!(joined, b"[[],[]]");
}

#[test]
fn the_other_stages_answer() {
    let bench = bench();
    let document = document(json!({}));
    let load = |guest: Guest| bench.load(guest.text(4096, b"alice").spec()).unwrap();
    let text = |at: u32| {
        format!("(i32.store (i32.const {at}) (i32.const 4096)) (i32.store (i32.const {}) (i32.const 5))", at + 4)
    };
    let case = |value: u32| format!("(i32.store8 (i32.const 2048) (i32.const {value}))");

    let policy = load(guest(Stage::Authenticator).call(text(2052)));
    let AuthenticatorOutcome::Authenticated(user) = policy.call_authenticator(&document).unwrap() else { panic!() };
    assert_eq!((user.username.as_str(), user.groups.len()), ("alice", 0));
    let nameless = load(guest(Stage::Authenticator));
    assert_eq!(nameless.call_authenticator(&document).unwrap_err().reason(), "BadOutput");
    let policy = load(guest(Stage::Authenticator).call(case(1)));
    assert_eq!(policy.call_authenticator(&document), Ok(AuthenticatorOutcome::NoOpinion));

    let policy = load(guest(Stage::Authorizer).call(case(1) + &text(2052)));
    assert_eq!(policy.call_authorizer(&document), Ok(AuthorizerDecision::Deny("alice".to_owned())));

    // One operation at 6000 whose path is the text, with `remove`.
    let one = |at: u32| {
        format!("(i32.store (i32.const {at}) (i32.const 6000)) (i32.store (i32.const {}) (i32.const 1))", at + 4)
    };
    let policy =
        load(guest(Stage::Mutator).call(one(2080) + &text(6004) + "(i32.store8 (i32.const 6000) (i32.const 2))"));
    let mutation = policy.call_mutator(&document).unwrap();
    assert_eq!((mutation.patch[0].op, mutation.patch[0].path.as_str()), (PatchOperationKind::Remove, "alice"));

    let policy = load(
        guest(Stage::ObjectValidator).call(one(2048) + &text(6004) + "(i32.store8 (i32.const 6000) (i32.const 3))"),
    );
    let findings = policy.call_object_validator(&document).unwrap();
    assert_eq!(
        (findings.errors[0].error_type, findings.errors[0].field.as_str()),
        (FieldErrorType::Duplicate, "alice")
    );

    let policy = load(guest(Stage::Converter).call(case(1) + &text(2052)));
    assert_eq!(policy.call_converter(&document), Ok(Err("alice".to_owned())));
    let policy = load(guest(Stage::Converter).call(one(2052) + &text(6000)));
    assert_eq!(policy.call_converter(&document), Ok(Ok(vec!["alice".to_owned()])));
}
