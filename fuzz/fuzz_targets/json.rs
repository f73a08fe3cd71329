//! Any text: what serde_json reads becomes a tape that verifies and says the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_machinery::tape::{Tape, from_json_slice, to_value};

fuzz_target!(|text: &[u8]| {
    let value = serde_json::from_slice::<serde_json::Value>(text);
    match from_json_slice(text) {
        Ok(bytes) => {
            let tape = Tape::new(&bytes).expect("what the builder writes verifies");
            assert_eq!(to_value(tape.root()), value.expect("both read it"));
        }
        Err(_) => assert!(value.is_err()),
    }
});
