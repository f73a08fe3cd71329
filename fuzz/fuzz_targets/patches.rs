//! Any document and patch, one line each: no panic. The first line says of which built-in kind the document is taken to
//! be, for the strategic merge patch; other words stand for a document without a type.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_machinery::definition::{Registry, RuntimeConfig};
use portcullis_machinery::patch::{as_patched, conversion_error, json_patch, merge_patch, strategic_merge, touched_by};
use portcullis_machinery::schema::{Schema, Shape};

static REGISTRY: LazyLock<Registry> = LazyLock::new(|| Registry::builtin(&RuntimeConfig::default()));

fuzz_target!(|text: &str| {
    let mut lines = text.splitn(3, '\n');
    let (Some(kind), Some(document), Some(patch)) = (lines.next(), lines.next(), lines.next()) else { return };
    let definition = ["", "apps"].iter().find_map(|group| REGISTRY.kind(group, "v1", kind));
    let schema = definition.map_or_else(|| Schema::plain(Shape::Any), |definition| definition.schema.clone());
    let Ok(document) = serde_json::from_str::<serde_json::Value>(document) else { return };
    if let Ok(patched) = json_patch(&document, patch.as_bytes()) {
        let _ = conversion_error(&patched, &schema);
    }
    if let Ok(patch) = serde_json::from_str::<serde_json::Value>(patch) {
        let _ = as_patched(&document, &schema, &touched_by(&patch));
        let _ = merge_patch(&document, &patch);
        let _ = strategic_merge(&document, &patch, &schema);
    }
});
