//! Putting an object's resourceVersion into its stored bytes.
//!
//! A stored object has no resourceVersion: that is the revision of the write, which is known only once it has been
//! committed. What goes over the wire has one, as the first member of `metadata`. The stored bytes are not copied for it:
//! they are kept as the store has them, and the number is put in between while they are written to a client.

use bytes::{BufMut, Bytes, BytesMut};

/// An object as readers get it: its stored bytes with its resourceVersion in between.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wire {
    /// Compact JSON that begins `{"kind":…,"apiVersion":…,"metadata":{`, without a resourceVersion.
    stored: Bytes,
    /// Where `"metadata":{` begins.
    metadata: usize,
    revision: u64,
}

const METADATA: &[u8] = b"\"metadata\":{";
const VERSION: &[u8] = b"\"resourceVersion\":\"";

impl Wire {
    /// Makes it of an object's stored bytes and its revision.
    ///
    /// Values in the codec's own form, compact JSON in the order kind, apiVersion, metadata (without a resourceVersion), are
    /// taken as they are. Others, as another API server may have written them, are parsed and written anew.
    ///
    /// # Errors
    /// A text if the value is not a JSON object with kind, apiVersion and metadata.
    pub fn new(value: &Bytes, revision: u64) -> Result<Self, String> {
        if let Some(metadata) = metadata_offset(value)
            && !has_resource_version(&value[metadata..])
        {
            return Ok(Self { stored: value.clone(), metadata, revision });
        }
        let (stored, metadata) = anew(value)?;
        Ok(Self { stored, metadata, revision })
    }

    /// The same with another resourceVersion, as the event of a deletion carries it.
    #[must_use]
    pub fn at(&self, revision: u64) -> Self {
        Self { revision, ..self.clone() }
    }

    /// The object without its resourceVersion.
    #[must_use]
    pub fn stored(&self) -> &Bytes {
        &self.stored
    }

    /// Where what follows the resourceVersion begins, and what ends it.
    fn rest(&self) -> (usize, &'static [u8]) {
        let at = self.metadata + METADATA.len();
        (at, if self.stored.get(at) == Some(&b'}') { b"\"" } else { b"\"," })
    }

    /// How many bytes the object has.
    #[must_use]
    pub fn len(&self) -> usize {
        let digits = self.revision.checked_ilog10().unwrap_or(0) as usize + 1;
        self.stored.len() + VERSION.len() + digits + self.rest().1.len()
    }

    /// Whether it has none: never.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Writes the object.
    pub fn write(&self, out: &mut BytesMut) {
        out.put_slice(&self.stored[..self.metadata]);
        self.write_from_metadata(out);
    }

    /// Writes the object without kind and apiVersion, as items of a typed list have it.
    pub fn write_item(&self, out: &mut BytesMut) {
        out.put_u8(b'{');
        self.write_from_metadata(out);
    }

    fn write_from_metadata(&self, out: &mut BytesMut) {
        let (at, end) = self.rest();
        out.put_slice(METADATA);
        out.put_slice(VERSION);
        let mut digits = [0; 20];
        let mut first = digits.len();
        let mut left = self.revision;
        loop {
            first -= 1;
            digits[first] = b'0' + u8::try_from(left % 10).unwrap_or(0);
            left /= 10;
            if left == 0 {
                break;
            }
        }
        out.put_slice(&digits[first..]);
        out.put_slice(end);
        out.put_slice(&self.stored[at..]);
    }

    /// The object in one piece.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.len());
        self.write(&mut out);
        out.freeze()
    }

    /// The object's apiVersion.
    #[must_use]
    pub fn api_version(&self) -> &str {
        api_version(&self.stored)
    }
}

/// Writes a value in the codec's own form; gives where its metadata begins, too.
fn anew(value: &[u8]) -> Result<(Bytes, usize), String> {
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
    fresh.shrink_to_fit();
    Ok((fresh.into(), offset))
}

/// Where `"metadata":{` begins in a value of the codec's own form.
fn metadata_offset(value: &[u8]) -> Option<usize> {
    let at = string_member(value, 0, b"{\"kind\":\"")?;
    let at = string_member(value, at, b",\"apiVersion\":\"")?;
    let at = at + usize::from(value.get(at) == Some(&b','));
    value.get(at..)?.starts_with(METADATA).then_some(at)
}

/// The apiVersion of an object in the codec's own form.
fn api_version(wire: &[u8]) -> &str {
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
