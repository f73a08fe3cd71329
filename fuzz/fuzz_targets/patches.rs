//! Any document and patch, one line each: no panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_machinery::patch::{json_patch, merge_patch, strategic_merge};
use portcullis_machinery::schema::{Schema, Shape};

fuzz_target!(|text: &str| {
    let Some((document, patch)) = text.split_once('\n') else { return };
    let Ok(document) = serde_json::from_str::<serde_json::Value>(document) else { return };
    let _ = json_patch(&document, patch.as_bytes());
    if let Ok(patch) = serde_json::from_str::<serde_json::Value>(patch) {
        let _ = merge_patch(&document, &patch);
        let _ = strategic_merge(&document, &patch, &Schema::plain(Shape::Any));
    }
});
