//! Any text: what serde_json reads becomes a tape that verifies and says the same, and an object that its type either
//! takes or refuses; taken once, it is taken again and stays as it is.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_machinery::codec::{Media, conform, decode, decode_as, encode};
use portcullis_machinery::definition::{Registry, RuntimeConfig, split_api_version};
use portcullis_machinery::object;
use portcullis_machinery::tape::{Tape, from_json_slice, to_value};

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| Registry::builtin(&RuntimeConfig::default()));

fuzz_target!(|text: &[u8]| {
    let value = serde_json::from_slice::<serde_json::Value>(text);
    match from_json_slice(text) {
        Ok(bytes) => {
            let tape = Tape::new(&bytes).expect("what the builder writes verifies");
            assert_eq!(to_value(tape.root()), value.expect("both read it"));
        }
        Err(_) => assert!(value.is_err()),
    }
    let Ok(decoded) = decode(text, Media::Json) else { return };
    let (group, version) = split_api_version(object::api_version(&decoded.object));
    let Some(definition) = REGISTRY.kind(group, version, object::kind(&decoded.object)) else { return };
    let Ok(mut typed) = decode_as(text, Media::Json, &definition.schema) else { return };
    let once = encode(&typed.object);
    assert!(conform(&mut typed.object, &definition.schema).expect("what fits a type fits it again").is_empty());
    assert_eq!(encode(&typed.object), once);
});
