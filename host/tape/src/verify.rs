//! The verifier.
//!
//! Nodes follow each other without gaps and children come before their parents, so one pass from front to back sees
//! every node once. Finished values that no parent has claimed yet form a stack; a parent of `n` children must claim
//! exactly the top `n`. That rules out sharing and cycles, and with them every kind of blow-up, at linear cost.

use crate::format::{
    ABSENT, ARRAY, Error, F64, FALSE, HEADER, I64, KEY, MAGIC, MAX_DEPTH, MAX_LENGTH, NULL, OBJECT, PAD, STRING, TRUE,
    U64, VERSION, padded, word,
};

/// One bit for each word of the buffer.
struct Marks(Vec<u64>);

impl Marks {
    fn new(len: usize) -> Self {
        Self(vec![0; len / 256 + 1])
    }

    fn set(&mut self, at: usize) {
        if let Some(word) = self.0.get_mut(at / 256) {
            *word |= 1 << (at / 4 % 64);
        }
    }

    fn has(&self, at: usize) -> bool {
        at % 4 == 0 && self.0.get(at / 256).is_some_and(|word| word >> (at / 4 % 64) & 1 == 1)
    }

    /// Clears a mark; whether it was set.
    fn take(&mut self, at: usize) -> bool {
        let had = self.has(at);
        if had && let Some(word) = self.0.get_mut(at / 256) {
            *word &= !(1 << (at / 4 % 64));
        }
        had
    }
}

/// A finished value that waits for its parent.
struct Open {
    at: usize,
    depth: usize,
}

/// Whether `bytes` is a well-formed tape.
pub(crate) fn verify(bytes: &[u8]) -> Result<(), Error> {
    let header = |at| word(bytes, at).ok_or(Error::Header);
    if bytes.len() > MAX_LENGTH {
        return Err(Error::Length);
    }
    // Version and flags share a word; version 1 has no flags, so the word must be exactly the version.
    if header(0)? != MAGIC || header(4)? != u32::from(VERSION) || header(8)? as usize != bytes.len() {
        return Err(Error::Header);
    }
    let root = header(12)? as usize;
    let (mut keys, mut values) = (Marks::new(bytes.len()), Marks::new(bytes.len()));
    let mut open: Vec<Open> = Vec::new();
    let mut at = HEADER;
    while at < bytes.len() {
        let head = word(bytes, at).ok_or(Error::Node(at))?;
        let (tag, payload) = (head & 15, (head >> 4) as usize);
        let words = match tag {
            ABSENT | NULL | FALSE | TRUE if payload == 0 => 1,
            I64 | U64 | F64 if payload == 0 => 3,
            STRING | KEY => 1 + padded(payload) / 4,
            ARRAY => 1 + payload,
            OBJECT => 1 + 2 * payload,
            PAD if payload > 0 => payload,
            _ => return Err(Error::Node(at)),
        };
        let end = at + 4 * words;
        let node = bytes.get(at..end).ok_or(Error::Node(at))?;
        let mut depth = 0;
        match tag {
            STRING | KEY => {
                let text = node.get(4..4 + payload).ok_or(Error::Node(at))?;
                std::str::from_utf8(text).map_err(|_| Error::Node(at))?;
            }
            ARRAY | OBJECT => {
                let first = open.len().checked_sub(payload).ok_or(Error::Reference(at))?;
                let low = open.get(first).map_or(at, |value| value.at);
                let stride = if tag == ARRAY { 1 } else { 2 };
                for index in 0..payload {
                    let back = word(node, 4 * (stride * (index + 1))).unwrap_or(0) as usize;
                    let child = at.checked_sub(back).ok_or(Error::Reference(at))?;
                    // The marks at or above `low` are those of the top `payload` values; claiming that many
                    // different ones claims them all.
                    if child < low || !values.take(child) {
                        return Err(Error::Reference(at));
                    }
                }
                if tag == OBJECT {
                    verify_keys(bytes, node, at, payload, &keys)?;
                }
                depth = 1 + open.get(first..).unwrap_or(&[]).iter().map(|value| value.depth).max().unwrap_or(0);
                if depth > MAX_DEPTH {
                    return Err(Error::Depth);
                }
                open.truncate(first);
            }
            _ => {}
        }
        match tag {
            KEY => keys.set(at),
            PAD => {}
            _ => {
                values.set(at);
                open.push(Open { at, depth });
            }
        }
        at = end;
    }
    match open.as_slice() {
        [only] if only.at == root => Ok(()),
        _ => Err(Error::Shape),
    }
}

/// Checks that an object's keys are keys, in strictly ascending order of their bytes.
fn verify_keys(bytes: &[u8], node: &[u8], at: usize, count: usize, keys: &Marks) -> Result<(), Error> {
    let mut before: Option<&[u8]> = None;
    for index in 0..count {
        let back = word(node, 4 + 8 * index).unwrap_or(0) as usize;
        let key = at.checked_sub(back).filter(|key| keys.has(*key)).ok_or(Error::Reference(at))?;
        let len = (word(bytes, key).unwrap_or(0) >> 4) as usize;
        let text = bytes.get(key + 4..key + 4 + len).ok_or(Error::Reference(at))?;
        if before.is_some_and(|before| before >= text) {
            return Err(Error::Reference(at));
        }
        before = Some(text);
    }
    Ok(())
}
