//! Any bytes: nothing panics, and a verified tape has fewer values than bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_tape::{Builder, Tape, ValueRef};

fn count(value: ValueRef<'_>) -> usize {
    let _ = (value.as_str(), value.as_f64(), value.get("name"));
    1 + value.iter().map(count).sum::<usize>() + value.entries().map(|(_, member)| count(member)).sum::<usize>()
}

fuzz_target!(|bytes: &[u8]| {
    let _ = Tape::trusted(bytes).root().pointer("/a/0/b");
    let Ok(tape) = Tape::new(bytes) else { return };
    assert!(count(tape.root()) < bytes.len());
    let mut builder = Builder::new();
    builder.value(tape.root());
    let copy = builder.finish().expect("a verified value can be written again");
    assert!(Tape::new(&copy).is_ok());
});
