//! Any text to the parsers of queries and fields: no panic, and what is printed is read again as the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_machinery::path::Pattern;
use portcullis_machinery::quantity::Quantity;
use portcullis_machinery::selector::{FieldSelector, LabelSelector};

fuzz_target!(|text: &str| {
    if let Ok(selector) = LabelSelector::parse(text) {
        assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector));
    }
    if let Ok(selector) = FieldSelector::parse(text) {
        assert!(FieldSelector::parse(&selector.to_string()).is_ok());
    }
    if let Ok(quantity) = Quantity::parse(text) {
        assert_eq!(Quantity::parse(&quantity.to_string()), Ok(quantity));
    }
    if let Ok(pattern) = Pattern::parse(text) {
        assert_eq!(Pattern::parse(&pattern.to_string()), Ok(pattern));
    }
});
