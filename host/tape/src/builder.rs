//! Writing.

use crate::format::{
    self, ABSENT, ARRAY, Error, F64, FALSE, HEADER, I64, KEY, MAGIC, MAX_DEPTH, MAX_LENGTH, NULL, OBJECT, PAD, STRING,
    TRUE, U64, VERSION, padded, word,
};

/// Writes one value in one pass: scalars as they come, containers once their last child is there.
///
/// Errors (too deep, too long, calls that do not nest) are kept and reported by [`Builder::finish`].
#[derive(Debug)]
pub struct Builder {
    out: Vec<u8>,
    slots: Vec<Slot>,
    frames: Vec<Frame>,
    key: Option<u32>,
    keys: KeyTable,
    /// The most containers that were open at once.
    deepest: usize,
    error: Option<Error>,
}

/// A finished value that waits for its parent, with its key if the parent is an object.
#[derive(Clone, Copy, Debug)]
struct Slot {
    key: u32,
    at: u32,
    /// Where the value's bytes start: those of its children come first.
    start: u32,
}

/// An array or object that is being written.
#[derive(Debug)]
struct Frame {
    first: usize,
    object: bool,
    /// The key under which the container itself goes into its parent.
    key: Option<u32>,
    start: u32,
}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// An empty builder.
    pub fn new() -> Self {
        Self::with_capacity(256)
    }

    /// An empty builder with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        let mut out = Vec::with_capacity(bytes.max(HEADER));
        out.resize(HEADER, 0);
        Self {
            out,
            slots: Vec::with_capacity(16),
            frames: Vec::with_capacity(4),
            key: None,
            keys: KeyTable::default(),
            deepest: 0,
            error: None,
        }
    }

    /// How many bytes the tape has so far.
    #[inline]
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// How deep containers were in each other at most, tapes that were copied in not counted.
    pub fn deepest(&self) -> usize {
        self.deepest
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.out.len() == HEADER
    }

    fn fail(&mut self, error: Error) {
        self.error.get_or_insert(error);
    }

    #[inline]
    fn put(&mut self, word: u32) {
        self.out.extend_from_slice(&word.to_le_bytes());
    }

    /// Registers the node at `at` as the next value of the innermost container.
    #[inline]
    fn place(&mut self, at: usize, start: usize, key: Option<u32>) {
        if self.out.len() > MAX_LENGTH {
            return self.fail(Error::Length);
        }
        let object = self.frames.last().is_some_and(|frame| frame.object);
        if object != key.is_some() {
            self.fail(Error::Shape);
        }
        self.slots.push(Slot { key: key.unwrap_or(0), at: at as u32, start: start as u32 });
    }

    #[inline]
    fn scalar(&mut self, tag: u32) {
        let at = self.out.len();
        self.put(tag);
        let key = self.key.take();
        self.place(at, at, key);
    }

    #[inline]
    fn number(&mut self, tag: u32, bits: u64) {
        let at = self.out.len();
        self.put(tag);
        self.out.extend_from_slice(&bits.to_le_bytes());
        let key = self.key.take();
        self.place(at, at, key);
    }

    #[inline]
    fn text(&mut self, tag: u32, text: &str) {
        if text.len() > MAX_LENGTH {
            return self.fail(Error::Length);
        }
        self.out.reserve(8 + text.len());
        self.put((text.len() as u32) << 4 | tag);
        self.out.extend_from_slice(text.as_bytes());
        self.out.resize(padded(self.out.len()), 0);
    }

    /// Writes the value that is not there.
    #[inline]
    pub fn absent(&mut self) {
        self.scalar(ABSENT);
    }

    /// Writes `null`.
    #[inline]
    pub fn null(&mut self) {
        self.scalar(NULL);
    }

    /// Writes a boolean.
    #[inline]
    pub fn bool(&mut self, value: bool) {
        self.scalar(if value { TRUE } else { FALSE });
    }

    /// Writes an integer.
    #[inline]
    pub fn i64(&mut self, value: i64) {
        self.number(I64, value as u64);
    }

    /// Writes an integer; one in the range of `i64` gets the same form as from [`Self::i64`].
    pub fn u64(&mut self, value: u64) {
        self.number(if i64::try_from(value).is_ok() { I64 } else { U64 }, value);
    }

    /// Writes a fraction.
    pub fn f64(&mut self, value: f64) {
        self.number(F64, value.to_bits());
    }

    /// Writes a string.
    #[inline]
    pub fn string(&mut self, value: &str) {
        let at = self.out.len();
        let key = self.key.take();
        self.text(STRING, value);
        self.place(at, at, key);
    }

    /// Sets the key of the next value, which must be in an object. If a key comes again, the last value wins.
    pub fn key(&mut self, key: &str) {
        if !self.frames.last().is_some_and(|frame| frame.object) || self.key.is_some() {
            self.fail(Error::Shape);
        }
        let hash = hash(key.as_bytes());
        let at = match self.keys.find(hash, key.as_bytes(), &self.out) {
            Some(at) => at,
            None => {
                let at = self.out.len() as u32;
                self.text(KEY, key);
                self.keys.insert(hash, at);
                at
            }
        };
        self.key = Some(at);
    }

    #[inline]
    fn begin(&mut self, object: bool) {
        if self.frames.len() >= MAX_DEPTH {
            self.fail(Error::Depth);
        }
        let key = self.key.take();
        self.frames.push(Frame { first: self.slots.len(), object, key, start: self.out.len() as u32 });
        self.deepest = self.deepest.max(self.frames.len());
    }

    /// Starts an array; its items follow.
    pub fn begin_array(&mut self) {
        self.begin(false);
    }

    /// Starts an object; [`Self::key`] and value alternate until [`Self::end_object`].
    pub fn begin_object(&mut self) {
        self.begin(true);
    }

    fn close(&mut self, object: bool) -> Option<Frame> {
        match self.frames.pop() {
            Some(frame) if frame.object == object && self.key.is_none() && frame.first <= self.slots.len() => {
                Some(frame)
            }
            _ => {
                self.key = None;
                self.fail(Error::Shape);
                None
            }
        }
    }

    /// Ends the innermost array.
    pub fn end_array(&mut self) {
        let Some(frame) = self.close(false) else { return };
        let at = self.out.len();
        let count = self.slots.len() - frame.first;
        self.out.reserve(4 + 4 * count);
        self.put((count as u32) << 4 | ARRAY);
        for slot in &self.slots[frame.first..] {
            self.out.extend_from_slice(&(at as u32 - slot.at).to_le_bytes());
        }
        self.slots.truncate(frame.first);
        self.end(at, frame);
    }

    /// Ends the innermost object.
    pub fn end_object(&mut self) {
        let Some(frame) = self.close(true) else { return };
        let out = &self.out;
        let members = &mut self.slots[frame.first..];
        if !members.is_sorted_by(|a, b| key_at(out, a.key) < key_at(out, b.key)) {
            // The sort is stable, so that among equal keys the last one written is the last one here.
            members.sort_by(|a, b| key_at(out, a.key).cmp(key_at(out, b.key)));
            self.drop_duplicates(frame.first);
        }
        let at = self.out.len();
        let count = self.slots.len() - frame.first;
        self.out.reserve(4 + 8 * count);
        self.put((count as u32) << 4 | OBJECT);
        for slot in &self.slots[frame.first..] {
            self.out.extend_from_slice(&(at as u32 - slot.key).to_le_bytes());
            self.out.extend_from_slice(&(at as u32 - slot.at).to_le_bytes());
        }
        self.slots.truncate(frame.first);
        self.end(at, frame);
    }

    #[inline]
    fn end(&mut self, at: usize, frame: Frame) {
        self.place(at, frame.start as usize, frame.key);
    }

    /// Of members with equal keys, leaves the last; the values of the others become padding.
    fn drop_duplicates(&mut self, first: usize) {
        let members = self.slots.split_off(first);
        for (index, slot) in members.iter().enumerate() {
            let again =
                members.get(index + 1).is_some_and(|next| key_at(&self.out, next.key) == key_at(&self.out, slot.key));
            if again {
                self.pad(slot.start as usize, slot.at as usize);
            } else {
                self.slots.push(*slot);
            }
        }
    }

    /// Turns the value whose nodes lie from `start` to `root` into padding. Keys stay: others may refer to them.
    fn pad(&mut self, start: usize, root: usize) {
        let mut at = start;
        while at <= root {
            let head = word(&self.out, at).unwrap_or(0);
            let words = node_words(head);
            if head & 15 != KEY {
                let pad = (words as u32) << 4 | PAD;
                self.out[at..at + 4].copy_from_slice(&pad.to_le_bytes());
            }
            at += 4 * words;
        }
    }

    /// Writes the value of another tape as the next value. The tape must be well formed: one that a [`Builder`] made,
    /// or that was verified, and not so deep that it comes to be too deep here: see [`Self::deepest`].
    pub fn tape(&mut self, tape: crate::Tape<'_>) {
        let (Some(body), Some(root)) = (tape.bytes().get(HEADER..), word(tape.bytes(), 12)) else {
            return self.fail(Error::Header);
        };
        let start = self.out.len();
        let key = self.key.take();
        self.out.extend_from_slice(body);
        self.place(start + (root as usize).saturating_sub(HEADER), start, key);
    }

    /// Copies a value out of another tape as the next value.
    pub fn value(&mut self, value: crate::ValueRef<'_>) {
        match value.kind() {
            format::Kind::Absent => self.absent(),
            format::Kind::Null => self.null(),
            format::Kind::Bool => self.bool(value.as_bool() == Some(true)),
            format::Kind::Number => match (value.as_i64(), value.as_u64()) {
                (Some(number), _) => self.i64(number),
                (None, Some(number)) => self.u64(number),
                (None, None) => self.f64(value.as_f64().unwrap_or(0.0)),
            },
            format::Kind::String => self.string(value.str_or_empty()),
            format::Kind::Array => {
                self.begin_array();
                value.iter().for_each(|item| self.value(item));
                self.end_array();
            }
            format::Kind::Object => {
                self.begin_object();
                for (key, member) in value.entries() {
                    self.key(key);
                    self.value(member);
                }
                self.end_object();
            }
        }
    }

    /// The tape, if the calls made up exactly one value within the limits.
    pub fn finish(mut self) -> Result<Vec<u8>, Error> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let root = match (self.slots.as_slice(), self.frames.as_slice(), self.key) {
            ([root], [], None) => root.at,
            _ => return Err(Error::Shape),
        };
        write_header(&mut self.out, root);
        Ok(self.out)
    }
}

fn write_header(out: &mut [u8], root: u32) {
    let length = out.len() as u32;
    for (field, value) in out.chunks_exact_mut(4).zip([MAGIC, u32::from(VERSION), length, root]) {
        field.copy_from_slice(&value.to_le_bytes());
    }
}

/// A tape whose root is the array of the given tapes' values: copies of their bytes, with no walk over the values. The
/// tapes must be well formed.
pub fn join<'a>(tapes: impl IntoIterator<Item = crate::Tape<'a>>) -> Result<Vec<u8>, Error> {
    let mut builder = Builder::new();
    builder.begin_array();
    tapes.into_iter().for_each(|tape| builder.tape(tape));
    builder.end_array();
    builder.finish()
}

/// How many words the node with this first word takes.
fn node_words(head: u32) -> usize {
    let payload = (head >> 4) as usize;
    match head & 15 {
        I64 | U64 | F64 => 3,
        STRING | KEY => 1 + padded(payload) / 4,
        ARRAY => 1 + payload,
        OBJECT => 1 + 2 * payload,
        PAD => payload.max(1),
        _ => 1,
    }
}

fn key_at(out: &[u8], at: u32) -> &[u8] {
    let at = at as usize;
    let len = (word(out, at).unwrap_or(0) >> 4) as usize;
    out.get(at + 4..at + 4 + len).unwrap_or(&[])
}

fn hash(key: &[u8]) -> u32 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut chunks = key.chunks_exact(8);
    for chunk in &mut chunks {
        let eight = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        hash = (hash ^ eight).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23);
    }
    for byte in chunks.remainder() {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    }
    (hash ^ hash >> 32) as u32 | 1
}

/// Where the keys that were written are, by hash. A search looks at a bounded number of places and then gives up: the
/// key is written again, so keys chosen to collide cost space and not time.
#[derive(Debug, Default)]
struct KeyTable {
    /// Hash and offset; hash 0 is free.
    places: Vec<(u32, u32)>,
    used: usize,
}

const PROBES: usize = 8;

impl KeyTable {
    fn find(&self, hash: u32, key: &[u8], out: &[u8]) -> Option<u32> {
        let mask = self.places.len().checked_sub(1)?;
        for probe in 0..PROBES {
            let (found, at) = self.places[(hash as usize + probe) & mask];
            if found == 0 {
                return None;
            }
            if found == hash && key_at(out, at) == key {
                return Some(at);
            }
        }
        None
    }

    fn insert(&mut self, hash: u32, at: u32) {
        if self.used * 2 >= self.places.len() {
            let size = (self.places.len() * 2).max(64);
            let old = std::mem::replace(&mut self.places, vec![(0, 0); size]);
            self.used = 0;
            old.into_iter().filter(|place| place.0 != 0).for_each(|(hash, at)| self.put(hash, at));
        }
        self.put(hash, at);
    }

    fn put(&mut self, hash: u32, at: u32) {
        let mask = self.places.len() - 1;
        for probe in 0..PROBES {
            let place = &mut self.places[(hash as usize + probe) & mask];
            if place.0 == 0 {
                *place = (hash, at);
                self.used += 1;
                return;
            }
        }
    }
}
