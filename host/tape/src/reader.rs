//! Reading in place.

use crate::format::{self, ABSENT, ARRAY, Error, F64, FALSE, HEADER, I64, KEY, Kind, NULL, OBJECT, STRING, TRUE, U64};
use crate::verify::verify;

/// A buffer that holds one value.
#[derive(Clone, Copy, Debug)]
pub struct Tape<'a> {
    bytes: &'a [u8],
    root: u32,
}

/// A value inside a tape, or *absent*. Two words and a slice; copy it freely.
#[derive(Clone, Copy)]
pub struct ValueRef<'a> {
    bytes: &'a [u8],
    at: u32,
}

/// Objects with at most this many members are searched from front to back, larger ones by halves.
const LINEAR: usize = 12;

impl<'a> Tape<'a> {
    /// Verifies a buffer from anywhere, in one pass whose cost is linear in its length.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Error> {
        verify(bytes)?;
        Ok(Self::trusted(bytes))
    }

    /// Reads a buffer that the host packed, without verifying it. Bad bytes lead to wrong answers (mostly *absent*),
    /// never to a panic.
    pub fn trusted(bytes: &'a [u8]) -> Self {
        Self { bytes, root: format::word(bytes, 12).unwrap_or(0) }
    }

    /// The value.
    pub fn root(&self) -> ValueRef<'a> {
        ValueRef { bytes: self.bytes, at: self.root }
    }

    /// The whole buffer.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }
}

impl<'a> ValueRef<'a> {
    /// The value that is not there.
    pub const ABSENT: ValueRef<'static> = ValueRef { bytes: &[], at: 0 };

    /// The tag and the payload; *absent* where nothing can be read. Offset 0 is the header, which no reference reaches.
    fn head(&self) -> (u32, usize) {
        if (self.at as usize) < HEADER {
            return (ABSENT, 0);
        }
        let word = format::word(self.bytes, self.at as usize).unwrap_or(ABSENT);
        (word & 15, (word >> 4) as usize)
    }

    fn absent(&self) -> Self {
        Self { bytes: self.bytes, at: 0 }
    }

    fn word(&self, index: usize) -> u32 {
        format::word(self.bytes, self.at as usize + 4 * index).unwrap_or(0)
    }

    /// The node that word `index` of this node points back to. Offset 0 would be the node itself: absent.
    fn target(&self, index: usize) -> Self {
        let at = match self.word(index) {
            0 => 0,
            back => self.at.saturating_sub(back),
        };
        Self { bytes: self.bytes, at }
    }

    fn text(&self, tag: u32) -> Option<&'a [u8]> {
        let (found, len) = self.head();
        let start = self.at as usize + 4;
        if found == tag { self.bytes.get(start..start + len) } else { None }
    }

    fn eight(&self) -> u64 {
        u64::from(self.word(1)) | u64::from(self.word(2)) << 32
    }

    /// What this is.
    pub fn kind(&self) -> Kind {
        match self.head().0 {
            NULL => Kind::Null,
            FALSE | TRUE => Kind::Bool,
            I64 | U64 | F64 => Kind::Number,
            STRING => Kind::String,
            ARRAY => Kind::Array,
            OBJECT => Kind::Object,
            _ => Kind::Absent,
        }
    }

    /// Whether there is no value here.
    pub fn is_absent(&self) -> bool {
        self.kind() == Kind::Absent
    }

    /// Whether this is `null`.
    pub fn is_null(&self) -> bool {
        self.head().0 == NULL
    }

    /// Whether there is nothing to work with: absent or `null`.
    pub fn is_none(&self) -> bool {
        matches!(self.kind(), Kind::Absent | Kind::Null)
    }

    /// The string, if this is one.
    pub fn as_str(&self) -> Option<&'a str> {
        self.text(STRING).and_then(|bytes| std::str::from_utf8(bytes).ok())
    }

    /// The string, or the empty one.
    pub fn str_or_empty(&self) -> &'a str {
        self.as_str().unwrap_or("")
    }

    /// Whether this is exactly that string; cheaper than [`Self::as_str`].
    pub fn is_str(&self, text: &str) -> bool {
        self.text(STRING) == Some(text.as_bytes())
    }

    /// The boolean, if this is one.
    pub fn as_bool(&self) -> Option<bool> {
        match self.head().0 {
            TRUE => Some(true),
            FALSE => Some(false),
            _ => None,
        }
    }

    /// The integer, if this is one in the range of `i64`.
    pub fn as_i64(&self) -> Option<i64> {
        match self.head().0 {
            I64 => Some(self.eight() as i64),
            U64 => i64::try_from(self.eight()).ok(),
            _ => None,
        }
    }

    /// The integer, if this is one in the range of `u64`.
    pub fn as_u64(&self) -> Option<u64> {
        match self.head().0 {
            I64 => u64::try_from(self.eight() as i64).ok(),
            U64 => Some(self.eight()),
            _ => None,
        }
    }

    /// The number as a fraction, if this is a number; large integers lose precision.
    pub fn as_f64(&self) -> Option<f64> {
        match self.head().0 {
            I64 => Some(self.eight() as i64 as f64),
            U64 => Some(self.eight() as f64),
            F64 => Some(f64::from_bits(self.eight())),
            _ => None,
        }
    }

    /// Whether the number was written as a fraction (or lies outside of the integers).
    pub fn is_f64(&self) -> bool {
        self.head().0 == F64
    }

    /// How many items an array or members an object has; 0 for all else.
    pub fn len(&self) -> usize {
        // In bytes that were not verified the count may be anything; what is left of the buffer bounds it.
        let words = self.bytes.len().saturating_sub(self.at as usize) / 4;
        match self.head() {
            (ARRAY, count) => count.min(words),
            (OBJECT, count) => count.min(words / 2),
            _ => 0,
        }
    }

    /// Whether [`Self::len`] is 0.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Item `index` of an array, or absent.
    pub fn index(&self, index: usize) -> ValueRef<'a> {
        match self.head() {
            (ARRAY, count) if index < count => self.target(1 + index),
            _ => self.absent(),
        }
    }

    fn member(&self, index: usize) -> (Option<&'a [u8]>, ValueRef<'a>) {
        (self.target(1 + 2 * index).text(KEY), self.target(2 + 2 * index))
    }

    /// The member of an object with that key, or absent.
    pub fn get(&self, key: &str) -> ValueRef<'a> {
        let (tag, count) = self.head();
        if tag != OBJECT {
            return self.absent();
        }
        let key = key.as_bytes();
        let (mut low, mut high) = (0, count);
        while high - low > LINEAR {
            let middle = low + (high - low) / 2;
            match self.target(1 + 2 * middle).text(KEY) {
                Some(found) if found <= key => low = middle,
                _ => high = middle,
            }
        }
        for index in low..high {
            if self.target(1 + 2 * index).text(KEY) == Some(key) {
                return self.target(2 + 2 * index);
            }
        }
        self.absent()
    }

    /// The value at an RFC 6901 pointer below this one (`""` is this value itself), or absent.
    pub fn pointer(&self, pointer: &str) -> ValueRef<'a> {
        let mut at = *self;
        if pointer.is_empty() {
            return at;
        }
        let Some(rest) = pointer.strip_prefix('/') else { return self.absent() };
        for segment in rest.split('/') {
            at = match at.kind() {
                Kind::Object if segment.contains('~') => at.get(&segment.replace("~1", "/").replace("~0", "~")),
                Kind::Object => at.get(segment),
                Kind::Array if segment.len() == 1 || !segment.starts_with('0') => {
                    segment.parse().map_or(self.absent(), |index| at.index(index))
                }
                _ => return self.absent(),
            };
        }
        at
    }

    /// The items of an array; nothing for all else.
    pub fn iter(&self) -> Items<'a> {
        let end = if self.kind() == Kind::Array { self.len() } else { 0 };
        Items { of: *self, next: 0, end }
    }

    /// The members of an object in the order of their keys; nothing for all else.
    pub fn entries(&self) -> Entries<'a> {
        let end = if self.kind() == Kind::Object { self.len() } else { 0 };
        Entries { of: *self, next: 0, end }
    }
}

impl<'a> IntoIterator for ValueRef<'a> {
    type Item = ValueRef<'a>;
    type IntoIter = Items<'a>;
    fn into_iter(self) -> Items<'a> {
        self.iter()
    }
}

impl std::fmt::Debug for ValueRef<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.head().0 {
            NULL => f.write_str("null"),
            TRUE => f.write_str("true"),
            FALSE => f.write_str("false"),
            I64 => write!(f, "{}", self.eight() as i64),
            U64 => write!(f, "{}", self.eight()),
            F64 => write!(f, "{:?}", f64::from_bits(self.eight())),
            STRING => write!(f, "{:?}", self.str_or_empty()),
            ARRAY => f.debug_list().entries(self.iter()).finish(),
            OBJECT => f.debug_map().entries(self.entries()).finish(),
            _ => f.write_str("absent"),
        }
    }
}

/// The items of an array, in order.
#[derive(Clone)]
pub struct Items<'a> {
    of: ValueRef<'a>,
    next: usize,
    end: usize,
}

impl<'a> Iterator for Items<'a> {
    type Item = ValueRef<'a>;

    fn next(&mut self) -> Option<ValueRef<'a>> {
        if self.next >= self.end {
            return None;
        }
        self.next += 1;
        Some(self.of.target(self.next))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.end - self.next))
    }
}

/// The members of an object, in the order of their keys.
#[derive(Clone)]
pub struct Entries<'a> {
    of: ValueRef<'a>,
    next: usize,
    end: usize,
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a str, ValueRef<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.next >= self.end {
            return None;
        }
        let (key, value) = self.of.member(self.next);
        self.next += 1;
        Some((key.and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or(""), value))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.end - self.next))
    }
}
