//! Any bytes as a body in protobuf. The first byte chooses: with 255 the rest is the whole body, envelope included;
//! otherwise it is the message of a built-in kind, and the envelope is made here. What is read can be written, and what
//! is written is read as the same, whole and in a frame of a watch.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_machinery::codec::protobuf::{can_encode, encode, envelope, list, message, watch_frame};
use portcullis_machinery::codec::{Media, conform, decode};
use portcullis_machinery::definition::{Registry, ResourceDefinition, RuntimeConfig, split_api_version};
use portcullis_machinery::object;

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| Registry::builtin(&RuntimeConfig::default()));

fn encodable() -> impl Iterator<Item = &'static ResourceDefinition> {
    REGISTRY.all().iter().map(|definition| &**definition).filter(|d| can_encode(&d.api_version(), &d.kind))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((&choice, rest)) = bytes.split_first() else { return };
    let made;
    let body = if choice == 255 {
        rest
    } else {
        static KINDS: LazyLock<Vec<(String, String)>> =
            LazyLock::new(|| encodable().map(|d| (d.api_version(), d.kind.clone())).collect());
        let (api_version, kind) = &KINDS[usize::from(choice) % KINDS.len()];
        made = envelope(api_version, kind, rest);
        &made
    };
    let Ok(decoded) = decode(body, Media::Protobuf) else { return };
    let written = encode(&decoded.object).expect("a kind that was read can be written");
    let again = decode(&written, Media::Protobuf).expect("what was written can be read");
    assert_eq!(encode(&again.object).as_deref(), Some(&*written));
    let (group, version) = split_api_version(object::api_version(&decoded.object));
    if let Some(definition) = REGISTRY.kind(group, version, object::kind(&decoded.object)) {
        let mut typed = decoded.object;
        if conform(&mut typed, &definition.schema).is_ok() {
            assert!(encode(&typed).is_some());
        }
        let item = message(&typed).expect("a message");
        assert!(list(&definition.api_version(), "List", &typed["metadata"], [&*item].into_iter()).is_some());
        let _ = watch_frame("ADDED", &written);
    }
});
