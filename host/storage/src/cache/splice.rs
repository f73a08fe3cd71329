//! Putting an object's resourceVersion into its stored bytes.
//!
//! A stored object has no resourceVersion: that is the revision of the write, which is known only once it has been
//! committed. What goes over the wire has one. It is spliced into the bytes as the first member of `metadata`.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

/// Bytes of an object with its resourceVersion in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spliced {
    /// The whole object, compact JSON that begins `{"kind":…,"apiVersion":…,"metadata":{"resourceVersion":"…"`.
    pub wire: Bytes,
    /// Where `"metadata":` begins. `{` and what follows from here is the object without kind and apiVersion, as items
    /// of a typed list have it.
    pub item_offset: usize,
    /// Where the digits of the resourceVersion are.
    pub version: Range<usize>,
}

/// Makes an object's wire bytes of its stored bytes and its revision.
///
/// Values in the codec's own form, compact JSON in the order kind, apiVersion, metadata (without a resourceVersion),
/// are copied around the number. Others, as another API server may have written them, are parsed and written anew.
///
/// # Errors
/// A text if the value is not a JSON object with kind, apiVersion and metadata.
pub fn splice_resource_version(value: &[u8], revision: u64) -> Result<Spliced, String> {
    if let Some(metadata) = metadata_offset(value)
        && !has_resource_version(&value[metadata..])
    {
        return Ok(splice_at(value, metadata, revision));
    }
    let mut object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(value).map_err(|e| format!("not a JSON object: {e}"))?;
    let text = |value: Option<serde_json::Value>, what: &str| match value {
        Some(serde_json::Value::String(text)) => Ok(serde_json::Value::String(text)),
        _ => Err(format!("no {what}")),
    };
    let kind = text(object.remove("kind"), "kind")?;
    let api_version = text(object.remove("apiVersion"), "apiVersion")?;
    let Some(serde_json::Value::Object(mut metadata)) = object.remove("metadata") else {
        return Err("no metadata".to_owned());
    };
    metadata.remove("resourceVersion");
    let mut fresh = format!("{{\"kind\":{kind},\"apiVersion\":{api_version},\"metadata\":").into_bytes();
    let offset = fresh.len() - METADATA.len() + 1;
    let put =
        |out: &mut Vec<u8>, value: &serde_json::Value| serde_json::to_writer(out, value).map_err(|e| e.to_string());
    put(&mut fresh, &serde_json::Value::Object(metadata))?;
    for (key, member) in object {
        fresh.push(b',');
        put(&mut fresh, &serde_json::Value::String(key))?;
        fresh.push(b':');
        put(&mut fresh, &member)?;
    }
    fresh.push(b'}');
    Ok(splice_at(&fresh, offset, revision))
}

const METADATA: &[u8] = b"\"metadata\":{";
const VERSION: &[u8] = b"\"resourceVersion\":\"";

/// Splices into `value`, whose `"metadata":{` begins at `offset`.
fn splice_at(value: &[u8], offset: usize, revision: u64) -> Spliced {
    let digits = revision.to_string();
    let at = offset + METADATA.len();
    let empty = value.get(at) == Some(&b'}');
    let mut wire = BytesMut::with_capacity(value.len() + VERSION.len() + digits.len() + 2);
    wire.put_slice(&value[..at]);
    wire.put_slice(VERSION);
    let start = wire.len();
    wire.put_slice(digits.as_bytes());
    let version = start..wire.len();
    wire.put_slice(if empty { b"\"" } else { b"\"," });
    wire.put_slice(&value[at..]);
    Spliced { wire: wire.freeze(), item_offset: offset, version }
}

/// The wire bytes with another resourceVersion, as the event of a deletion carries them.
pub(super) fn with_revision(wire: &Bytes, version: &Range<usize>, revision: u64) -> (Bytes, Range<usize>) {
    let digits = revision.to_string();
    let mut out = BytesMut::with_capacity(wire.len() + digits.len());
    out.put_slice(&wire[..version.start]);
    out.put_slice(digits.as_bytes());
    out.put_slice(&wire[version.end..]);
    (out.freeze(), version.start..version.start + digits.len())
}

/// Where `"metadata":{` begins in a value of the codec's own form.
fn metadata_offset(value: &[u8]) -> Option<usize> {
    let at = string_member(value, 0, b"{\"kind\":\"")?;
    let at = string_member(value, at, b",\"apiVersion\":\"")?;
    let at = at + usize::from(value.get(at) == Some(&b','));
    value.get(at..)?.starts_with(METADATA).then_some(at)
}

/// The apiVersion of wire bytes.
pub(super) fn api_version(wire: &[u8]) -> &str {
    const HEAD: &[u8] = b",\"apiVersion\":\"";
    let start = string_member(wire, 0, b"{\"kind\":\"").map(|at| at + HEAD.len());
    let end = string_member(wire, start.unwrap_or(HEAD.len()) - HEAD.len(), HEAD).map(|end| end - 1);
    let text = start.zip(end).and_then(|(start, end)| wire.get(start..end));
    text.and_then(|text| std::str::from_utf8(text).ok()).unwrap_or_default()
}

/// If `head` and the rest of a string without escapes are at `from`, where the string has ended.
fn string_member(value: &[u8], from: usize, head: &[u8]) -> Option<usize> {
    let rest = value.get(from..)?.strip_prefix(head)?;
    let end = rest.iter().position(|b| matches!(b, b'"' | b'\\'))?;
    (rest[end] == b'"').then_some(from + head.len() + end + 1)
}

/// Whether the object `"metadata":{…}` at the start of `bytes` has a member resourceVersion of its own. Members of
/// members (`managedFields` may well name such a field) do not count.
fn has_resource_version(bytes: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut at = METADATA.len() - 1;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return false;
                }
            }
            b'"' => {
                if depth == 1 && bytes[at..].starts_with(b"\"resourceVersion\":") {
                    return true;
                }
                at += 1;
                while let Some(&inner) = bytes.get(at) {
                    match inner {
                        b'"' => break,
                        b'\\' => at += 2,
                        _ => at += 1,
                    }
                }
            }
            _ => {}
        }
        at += 1;
    }
    false
}

#[cfg(test)]
mod tests;
