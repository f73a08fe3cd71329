//! What the built-in types and their fields mean: the texts that `kubectl explain` shows.
//!
//! The build script takes them from a published crate; the binary holds them compressed, a block for each package
//! (`io.k8s.api.core.v1`). A [`Descriptions`] unpacks the blocks that are asked for and keeps them for as long as it
//! lives: it is made for one document and dropped with it, so that the texts are in memory only while a document is made.

#![forbid(unsafe_code)]

use std::io::Read as _;
use std::sync::OnceLock;

use flate2::read::DeflateDecoder;

/// A package's texts as the build script wrote them.
struct Packed {
    package: &'static str,
    /// The length of the unpacked text.
    length: usize,
    bytes: &'static [u8],
}

/// Sorted by package.
static TABLE: &[Packed] = include!(concat!(env!("OUT_DIR"), "/table.rs"));

/// Where the texts are from, with its version.
const VERSION: &str = include_str!(concat!(env!("OUT_DIR"), "/version"));

/// The name that stands for all kinds of lists.
const LIST: &str = "io.k8s.List";

/// A package's texts, with the place of each record: where its key begins and ends, and where its text ends.
struct Block {
    text: String,
    records: Vec<(usize, usize, usize)>,
}

impl Block {
    fn unpack(packed: &Packed) -> Self {
        let mut text = String::with_capacity(packed.length);
        // The bytes are part of the program; if they were damaged, nothing would be described.
        let _ = DeflateDecoder::new(packed.bytes).read_to_string(&mut text);
        let mut records = Vec::new();
        let mut start = 0;
        for (end, _) in text.match_indices('\u{1e}') {
            if let Some(length) = text[start..end].find('\u{1f}') {
                records.push((start, start + length, end));
            }
            start = end + 1;
        }
        Self { text, records }
    }

    fn find(&self, type_name: &str, field: &str) -> Option<&str> {
        let wanted = || {
            let separator: &[u8] = if field.is_empty() { b"" } else { b"." };
            type_name.bytes().chain(separator.iter().copied()).chain(field.bytes())
        };
        let at = self.records.binary_search_by(|(start, end, _)| self.text[*start..*end].bytes().cmp(wanted())).ok()?;
        let (_, key_end, end) = self.records[at];
        Some(&self.text[key_end + 1..end])
    }
}

/// The descriptions, unpacked as they are asked for.
pub struct Descriptions {
    blocks: Vec<OnceLock<Block>>,
}

impl Default for Descriptions {
    fn default() -> Self {
        Self { blocks: TABLE.iter().map(|_| OnceLock::new()).collect() }
    }
}

impl Descriptions {
    fn find(&self, type_name: &str, field: &str) -> Option<&str> {
        let (package, name) = match type_name {
            LIST => ("", LIST),
            _ => type_name.rsplit_once('.')?,
        };
        let number = TABLE.binary_search_by_key(&package, |packed| packed.package).ok()?;
        self.blocks[number].get_or_init(|| Block::unpack(&TABLE[number])).find(name, field)
    }
}

impl portcullis_machinery::openapi::Descriptions for Descriptions {
    fn of_type(&self, type_name: &str) -> Option<&str> {
        self.find(type_name, "")
    }

    fn of_field(&self, type_name: &str, field: &str) -> Option<&str> {
        self.find(type_name, field)
    }

    fn version(&self) -> &str {
        VERSION
    }
}

#[cfg(test)]
mod tests;
