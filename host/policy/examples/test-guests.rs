//! Writes the components that the tests of the whole server misuse it with: `test-guests FOLDER`.
//!
//! Each is assembled here from core WebAssembly text and a world of `wit/`, so that no binary lies in the repository and
//! each does exactly one thing wrong. `<stage>-<act>.wasm` is a component of a stage that does that at every call.

#[path = "../tests/common/mod.rs"]
mod common;

use common::{Guest, guest};
use portcullis_policy::Stage;
use std::path::{Path, PathBuf};

/// What stands in memory at 4096.
const TEXT: &[u8] = b"no such thing here";

/// What goes wrong in a call, whatever the stage.
const ACTS: [(&str, &str); 4] = [
    ("trap", "unreachable"),
    ("loop", "(loop (br 0))"),
    ("memory", "(loop (br_if 0 (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable"),
    ("recurse", "(call $deep)"),
];

/// An answer of 200 items, each with a text of 64 KiB: every word of the list is 65536, and so every text's place and
/// length. The list is at both places where a stage's first list may be.
const OVERSIZE: &str = "(loop
        (i32.store (i32.add (i32.const 8192) (i32.mul (local.get $i) (i32.const 4))) (i32.const 65536))
        (br_if 0 (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 2000))))
    (i32.store (i32.const 2048) (i32.const 8192)) (i32.store (i32.const 2052) (i32.const 200))
    (i32.store (i32.const 2080) (i32.const 8192)) (i32.store (i32.const 2084) (i32.const 200))";

/// Points `at` to the text.
fn text(at: u32) -> String {
    format!(
        "(i32.store (i32.const {at}) (i32.const 4096)) (i32.store (i32.const {}) (i32.const {}))",
        at + 4,
        TEXT.len()
    )
}

/// A variant's case, or an option that is there.
fn case(value: u32) -> String {
    format!("(i32.store8 (i32.const 2048) (i32.const {value}))")
}

fn main() {
    let folder = PathBuf::from(std::env::args_os().nth(1).expect("usage: test-guests FOLDER"));
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let write = |name: &str, bytes: &[u8]| write(&folder.join(format!("{name}.wasm")), bytes);
    let policy = |stage: Stage, name: &str, call: &str| {
        let mut guest = guest(stage).call(call).text(4096, TEXT);
        guest.more.push_str("(func $deep (call $deep) (call $deep))");
        write(&format!("{}-{name}", stage.interface()), &guest.component());
    };
    for stage in Stage::ALL.into_iter().filter(|stage| *stage != Stage::Scheduler) {
        for (name, call) in ACTS {
            policy(stage, name, call);
        }
    }
    for stage in [Stage::Validator, Stage::Mutator, Stage::ObjectValidator] {
        policy(stage, "oversize", OVERSIZE);
    }
    // The first option of a verdict and of a mutation is the denial; its message is at 12 bytes behind the code.
    for stage in [Stage::Validator, Stage::Mutator] {
        policy(stage, "allow", "");
        policy(stage, "deny", &(case(1) + &text(2064)));
    }
    policy(Stage::Authenticator, "reject", &(case(2) + &text(2052)));
    policy(Stage::Authenticator, "nameless", "");
    policy(Stage::Authorizer, "deny", &(case(1) + &text(2052)));
    policy(Stage::Authorizer, "allow", "");
    policy(Stage::ObjectValidator, "allow", "");
    // One finding at 6000, of the type required, for the field that the text names.
    let one = |at: u32| {
        format!("(i32.store (i32.const {at}) (i32.const 6000)) (i32.store (i32.const {}) (i32.const 1))", at + 4)
    };
    policy(Stage::ObjectValidator, "refuse", &(one(2048) + &text(6004)));
    // `remove` of a path that is none, and of one that leads nowhere.
    policy(Stage::Mutator, "bad-path", &(one(2080) + &text(6004) + "(i32.store8 (i32.const 6000) (i32.const 2))"));
    let nowhere = guest(Stage::Mutator)
        .call(one(2080) + &text(6004) + "(i32.store8 (i32.const 6000) (i32.const 2))")
        .text(4096, b"/spec/nothing/here");
    write("mutator-nowhere", &nowhere.component());
    // `add` of a value; the path is at 4 bytes into the operation, the value at 12.
    let mark = guest(Stage::Mutator)
        .call(
            one(2080)
                + "(i32.store (i32.const 6004) (i32.const 4096)) (i32.store (i32.const 6008) (i32.const 5))
            (i32.store (i32.const 6012) (i32.const 4200)) (i32.store (i32.const 6016) (i32.const 16))",
        )
        .text(4096, b"/data")
        .text(4200, br#"{"marked":"yes"}"#);
    write("mutator-mark", &mark.component());
    // A line of each level: debug is 0.
    let talk = guest(Stage::Validator)
        .imports(r#"(import "portcullis:policy/log@0.1.0" "write" (func $log (param i32 i32 i32)))"#)
        .call(
            "(call $log (i32.const 0) (i32.const 4096) (i32.const 5)) (call $log (i32.const 1) (i32.const 4102) (i32.const 5))
             (call $log (i32.const 3) (i32.const 4109) (i32.const 5))",
        )
        .text(4096, b"fine! so so. wrong");
    write("validator-talk", &talk.component());
    starts(&write);
}

/// Components that do not load.
fn starts(write: &dyn Fn(&str, &[u8])) {
    let configure = |name: &str, act: &str| {
        let mut guest = guest(Stage::Validator).configure(act).text(4096, TEXT);
        guest.more.push_str("(func $deep (call $deep) (call $deep))");
        write(&format!("configure-{name}"), &guest.component());
    };
    for (name, act) in ACTS {
        configure(name, act);
    }
    configure("refuse", &format!("(i32.store8 (i32.const 1024) (i32.const 1)) {}", text(1028)));
    write("core-module", &guest(Stage::Validator).core());
    let component = guest(Stage::Validator).component();
    write("truncated", &component[..component.len() / 2]);
    let mut foreign =
        guest(Stage::Validator).imports(r#"(import "test:foreign/files" "open" (func $open))"#).call("(call $open)");
    foreign.world = Some(
        "package test:foreign;
         interface files { open: func(); }
         world w { import files; export portcullis:policy/validator@0.1.0; }",
    );
    write("foreign-import", &foreign.component());
    let reader: Guest = guest(Stage::Validator).imports(
        r#"(import "portcullis:policy/cluster@0.1.0" "get" (func $get (param i32 i32 i32 i32 i32 i32 i32 i32 i32)))"#,
    );
    write("cluster-reader", &reader.component());
    write("bad-path", &guest(Stage::Validator).paths(&["object/x"]).component());
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}
