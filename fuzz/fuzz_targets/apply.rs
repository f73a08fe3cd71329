//! Any stored object and applied configuration, one line each: they are taken or refused, and so is the same
//! configuration again, which then changes nothing; the owners in `managedFields` may be anything that a client can
//! have stored. The first line is the kind, as in `patches`.

#![no_main]

use std::sync::LazyLock;

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use portcullis_machinery::apply::{Writer, apply, track_update};
use portcullis_machinery::codec::conform;
use portcullis_machinery::definition::{Registry, RuntimeConfig};
use portcullis_machinery::schema::{Schema, Shape};
use serde_json::Value;

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| Registry::builtin(&RuntimeConfig::default()));

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let (Some(kind), Some(live), Some(wanted)) = (lines.next(), lines.next(), lines.next()) else { return };
    let definition = ["", "apps"].iter().find_map(|group| REGISTRY.kind(group, "v1", kind));
    let schema = definition.map_or_else(|| Schema::plain(Shape::Any), |definition| definition.schema.clone());
    let (Ok(mut live), Ok(wanted)) = (serde_json::from_str::<Value>(live), serde_json::from_str::<Value>(wanted))
    else {
        return;
    };
    // What is stored fits its type; what is applied need not.
    if !live.is_object() || conform(&mut live, &schema).is_err() {
        return;
    }
    let writer = |manager| Writer {
        manager,
        subresource: "",
        api_version: if definition.is_some_and(|d| !d.group.is_empty()) { "apps/v1" } else { "v1" },
        schema: &schema,
        reset_fields: &[&["status"]],
        now: Timestamp::UNIX_EPOCH,
        versions: None,
    };
    for force in [false, true] {
        let Ok(applied) = apply(&live, &wanted, force, &writer("one")) else { continue };
        if let Ok(again) = apply(&applied, &wanted, force, &writer("one")) {
            let _ = apply(&again, &wanted, force, &writer("kubectl"));
        }
        let mut written = applied.clone();
        written["data"] = Value::Null;
        track_update(Some(&applied), &mut written, &writer("two"));
    }
    let mut made = wanted;
    if made.is_object() {
        track_update(None, &mut made, &writer("two"));
        track_update(Some(&live), &mut made, &writer("one"));
    }
});
