//! Tapes for the readers in other languages to read: a line each, the bytes in hexadecimal and what is in them.
//!
//! What is in them is written in the style of JSON, with `absent` for what is not there, so that every language can print
//! it the same way.

use std::fmt::Write as _;

use portcullis_tape::{Builder, Kind, Tape, ValueRef};

fn show(value: ValueRef<'_>, out: &mut String) {
    let list = |out: &mut String, index: usize| out.push_str(if index > 0 { "," } else { "" });
    match value.kind() {
        Kind::Absent => out.push_str("absent"),
        Kind::Null => out.push_str("null"),
        Kind::Bool => out.push_str(if value.as_bool() == Some(true) { "true" } else { "false" }),
        Kind::Number => {
            let text = match (value.as_i64(), value.as_u64()) {
                (Some(number), _) => number.to_string(),
                (_, Some(number)) => number.to_string(),
                _ => value.as_f64().unwrap_or_default().to_string(),
            };
            out.push_str(&text);
        }
        Kind::String => {
            let _ = write!(out, "\"{}\"", value.str_or_empty());
        }
        Kind::Array => {
            out.push('[');
            for (index, item) in value.iter().enumerate() {
                list(out, index);
                show(item, out);
            }
            out.push(']');
        }
        Kind::Object => {
            out.push('{');
            for (index, (key, member)) in value.entries().enumerate() {
                list(out, index);
                let _ = write!(out, "\"{key}\":");
                show(member, out);
            }
            out.push('}');
        }
    }
}

fn line(build: impl FnOnce(&mut Builder)) {
    let mut builder = Builder::new();
    build(&mut builder);
    let bytes = builder.finish().expect("a tape");
    let mut shown = String::new();
    show(Tape::new(&bytes).expect("verified").root(), &mut shown);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("{hex}\t{shown}");
}

fn main() {
    line(Builder::absent);
    line(Builder::null);
    line(|tape| tape.bool(true));
    line(|tape| tape.bool(false));
    for number in [0, -1, 42, i64::MAX, i64::MIN] {
        line(|tape| tape.i64(number));
    }
    line(|tape| tape.u64(u64::MAX));
    line(|tape| tape.f64(-2.25));
    for text in ["", "a", "four", "fünf", "日本語 🦀"] {
        line(|tape| tape.string(text));
    }
    line(|tape| {
        tape.begin_array();
        tape.absent();
        tape.null();
        tape.begin_array();
        tape.end_array();
        tape.begin_object();
        tape.end_object();
        tape.end_array();
    });
    // Members out of order, one of them twice, keys shared by two objects, and one with bytes beyond ASCII.
    line(|tape| {
        tape.begin_array();
        for number in 0..2 {
            tape.begin_object();
            for (key, value) in
                [("name", number), ("b", 1), ("name", number + 10), ("é", 3), ("app.kubernetes.io/name", 4)]
            {
                tape.key(key);
                tape.i64(value);
            }
            tape.end_object();
        }
        tape.end_array();
    });
    // More members than anybody searches one by one.
    line(|tape| {
        tape.begin_object();
        for number in 0..100 {
            tape.key(&format!("key-{number}"));
            tape.i64(number);
        }
        tape.end_object();
    });
}
