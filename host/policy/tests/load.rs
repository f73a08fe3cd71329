//! What does not load, and what it says; and what is kept on disk.

mod common;

use bytes::Bytes;
use common::{bench, guest};
use portcullis_policy::{Digest, LoadError, ModuleSource, PluginSpec, Stage};
use std::time::Duration;

fn bytes_spec(bytes: &[u8]) -> PluginSpec {
    PluginSpec::new("test", Stage::Validator, ModuleSource::Bytes(Bytes::copy_from_slice(bytes)))
}

#[test]
fn bytes_that_are_no_component() {
    let bench = bench();
    let check = |bytes: &[u8], words: &str| {
        let error = bench.refusal(bytes_spec(bytes));
        assert_eq!(error.reason(), "NotAComponent", "{error}");
        assert!(error.to_string().contains(words), "{error:?} should say {words:?}");
    };
    check(b"", "empty");
    check(b"\x7fELF and more", "magic number");
    check(b"(component)", "wasm-tools parse");
    check(&guest(Stage::Validator).core(), "wasm-tools component new");
    check(b"\0asm\x0d\0\x09\0", "version of WebAssembly");
    let mut component = guest(Stage::Validator).component();
    let half = component.len() / 2;
    component.truncate(half);
    assert_eq!(bench.refusal(bytes_spec(&component)).reason(), "CompileFailed");
    component.truncate(8);
    let error = bench.refusal(bytes_spec(&component));
    assert_eq!(error.reason(), "WrongWorld", "an empty component: {error}");
}

#[test]
fn sources_that_are_not_there() {
    let bench = bench();
    let spec = |source| PluginSpec::new("test", Stage::Validator, source);
    let error = bench.refusal(spec(ModuleSource::File("/nonexistent/x.wasm".into())));
    assert!(matches!(error, LoadError::Unreadable { .. }) && error.to_string().contains("/nonexistent/x.wasm"));
    let digest = Digest::of(b"x");
    let error = bench.refusal(spec(ModuleSource::Digest(digest)));
    assert!(error.to_string().contains("plugin push") && error.to_string().contains(&digest.to_string()), "{error}");
    assert!(error.is_transient());
}

#[test]
fn another_world() {
    let bench = bench();
    let mut spec = guest(Stage::Mutator).spec();
    spec.stage = Stage::Validator;
    let error = bench.refusal(spec);
    assert!(matches!(error, LoadError::WrongWorld { stage: Stage::Validator, .. }));
    for words in ["spec.stage to mutator", "portcullis:policy/validator-policy@0.1.0"] {
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn imports_that_no_policy_is_given() {
    let bench = bench();
    let mut foreign =
        guest(Stage::Validator).imports(r#"(import "test:foreign/files" "open" (func $open))"#).call("(call $open)");
    foreign.world = Some(
        "package test:foreign;
         interface files { open: func(); }
         world w { import files; export portcullis:policy/validator@0.1.0; }",
    );
    let error = bench.refusal(foreign.spec());
    assert!(matches!(&error, LoadError::UnknownImport { import, .. } if import == "test:foreign/files"), "{error}");
    assert!(error.to_string().contains("needs no WASI"), "{error}");

    // An interface of the policy package that the stage's world does not have.
    let mut scheduling = guest(Stage::Validator)
        .imports(r#"(import "portcullis:policy/scheduling@0.1.0" "count-pods" (func $f (param i32 i32 i32 i32 i32)))"#);
    scheduling.world = Some(
        "package test:foreign;
         world w { import portcullis:policy/scheduling@0.1.0; export portcullis:policy/validator@0.1.0; }",
    );
    assert_eq!(bench.refusal(scheduling.spec()).reason(), "UnknownImport");
}

#[test]
fn imports_that_are_not_granted() {
    let bench = bench();
    let signature = "(param i32 i32 i32 i32 i32 i32 i32 i32 i32)";
    let reader = guest(Stage::Validator)
        .imports(format!(r#"(import "portcullis:policy/cluster@0.1.0" "get" (func $get {signature}))"#));
    let error = bench.refusal(reader.spec());
    assert!(matches!(error, LoadError::MissingGrant { .. }), "{error}");
    assert!(error.to_string().contains("set spec.grants.clusterRead to true"), "{error}");
    let mut spec = reader.spec();
    spec.grants.cluster_read = true;
    let policy = bench.load(spec).unwrap();
    assert!(!policy.is_pure());
}

#[test]
fn configure_refuses_loops_traps_or_overruns() {
    let bench = bench();
    let check = |configure: &str, reason: &str, words: &str| {
        let mut spec = guest(Stage::Validator)
            .configure(configure)
            .text(4096, b"color must be blue")
            .text(4200, &[0xff; 18])
            .spec();
        spec.limits.configure_deadline = Duration::from_millis(50);
        spec.limits.memory_bytes = 1 << 20;
        let error = bench.refusal(spec);
        assert_eq!(error.reason(), reason, "{error}");
        assert!(error.to_string().contains(words), "{error} should say {words:?}");
    };
    let refuse = "(i32.store8 (i32.const 1024) (i32.const 1)) (i32.store (i32.const 1028) (i32.const 4096))
                  (i32.store (i32.const 1032) (i32.const 18))";
    check(refuse, "ConfigRefused", "color must be blue");
    check("(loop (br 0))", "ConfigDeadlineExceeded", "50ms");
    check("unreachable", "ConfigTrapped", "unreachable");
    check(
        "(loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) unreachable",
        "ConfigMemoryExceeded",
        "1048576",
    );
    // Text that is not UTF-8.
    check(&refuse.replace("4096", "4200"), "ConfigTrapped", "utf-8");
    let mut large = guest(Stage::Validator);
    large.pages = 100;
    let mut spec = large.spec();
    spec.limits.memory_bytes = 1 << 20;
    assert_eq!(bench.refusal(spec).reason(), "ConfigMemoryExceeded", "the memory that it starts with counts");
}

#[test]
fn the_configuration_is_handed_over() {
    let bench = bench();
    // Traps unless the text has this length.
    let expect = |length: usize| {
        guest(Stage::Validator)
            .configure(format!("(if (i32.ne (local.get $length) (i32.const {length})) (then unreachable))"))
            .spec()
    };
    bench.load(expect(2)).unwrap();
    let mut spec = expect(r#"{"a":[1]}"#.len());
    spec.config = serde_json::json!({"a": [1]});
    bench.load(spec).unwrap();
}

#[test]
fn limits_and_declarations_out_of_range() {
    let bench = bench();
    let check = |change: fn(&mut PluginSpec), words: &str| {
        let mut spec = guest(Stage::Validator).spec();
        change(&mut spec);
        let error = bench.refusal(spec);
        assert!(error.to_string().contains(words), "{error} should say {words:?}");
    };
    check(|spec| spec.limits.memory_bytes = 1, "spec.limits.memory");
    check(|spec| spec.limits.memory_bytes = 2 << 30, "spec.limits.memory");
    check(|spec| spec.limits.deadline = Duration::ZERO, "spec.limits.deadline");
    check(|spec| spec.limits.concurrency = 0, "spec.limits.concurrency");
    check(|spec| spec.limits.concurrency = 65, "from 1 to 64");
    let error = bench.refusal(guest(Stage::Validator).paths(&["/object", "object/x"]).spec());
    assert!(matches!(&error, LoadError::Declaration { path, .. } if path == "object/x"), "{error}");
}

#[test]
fn compiled_code_is_kept_and_checked() {
    let bench = bench();
    let component = guest(Stage::Validator).component();
    let digest = bench.runtime.push(&component).unwrap();
    assert!(bench.runtime.has(&digest));
    let load = || bench.load(PluginSpec::new("test", Stage::Validator, ModuleSource::Digest(digest))).unwrap();
    assert_eq!(load().digest(), digest);
    let compiled = bench.dir.path().join("compiled");
    let file = std::fs::read_dir(&compiled).unwrap().next().unwrap().unwrap().path();
    let good = std::fs::read(&file).unwrap();
    load();
    // Any damage is noticed before a byte of it is run, and mended.
    for at in [0, 70, good.len() / 2, good.len() - 1] {
        let mut bad = good.clone();
        bad[at] ^= 1;
        std::fs::write(&file, &bad).unwrap();
        load();
        assert_ne!(std::fs::read(&file).unwrap(), bad, "damage at {at} was not mended");
    }
    std::fs::write(&file, b"short").unwrap();
    load();
}
