//! Any text as YAML: it is read or refused, and what is read can be written as JSON and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_machinery::codec::{Media, decode, encode, strict_errors};

fuzz_target!(|text: &[u8]| {
    let Ok(decoded) = decode(text, Media::Yaml) else { return };
    let again = decode(&encode(&decoded.object), Media::Json).expect("what was read is JSON");
    assert_eq!(again.object, decoded.object);
    let _ = strict_errors(text, Media::Yaml, decoded.strict_errors, vec!["unknown field \"a.b\"".to_owned()]);
});
