//! The numbers of the format: header layout, tags and limits (`wit/tape.md`).

use std::fmt;

/// The first four bytes: `PTAP`.
pub(crate) const MAGIC: u32 = u32::from_le_bytes(*b"PTAP");
/// The version of the format that this crate writes, and the only one that it reads.
pub(crate) const VERSION: u16 = 1;
/// Bytes before the first node: magic, version and flags, total length, offset of the root.
pub(crate) const HEADER: usize = 16;

/// How deep arrays and objects may nest; the same bound as the host's JSON decoder has.
pub const MAX_DEPTH: usize = 128;
/// The greatest length of a tape in bytes: what a node's 28-bit payload can count.
pub const MAX_LENGTH: usize = (1 << 28) - 1;

pub(crate) const ABSENT: u32 = 0;
pub(crate) const NULL: u32 = 1;
pub(crate) const FALSE: u32 = 2;
pub(crate) const TRUE: u32 = 3;
pub(crate) const I64: u32 = 4;
pub(crate) const U64: u32 = 5;
pub(crate) const F64: u32 = 6;
pub(crate) const STRING: u32 = 7;
pub(crate) const ARRAY: u32 = 8;
pub(crate) const OBJECT: u32 = 9;
pub(crate) const KEY: u32 = 14;
pub(crate) const PAD: u32 = 15;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// There is no value here, which is not the same as `null`.
    Absent,
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool,
    /// An integer or a fraction.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// Why a buffer is no tape, or why a document cannot become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Too short, wrong magic, unknown version or flags, or a length that is not the buffer's.
    Header,
    /// A node at this byte offset is malformed: unknown tag, cut off, or text that is not UTF-8.
    Node(usize),
    /// A node at this byte offset refers to something that is not its own child or not a key, or its keys are not in
    /// strictly ascending order.
    Reference(usize),
    /// Nested deeper than [`MAX_DEPTH`].
    Depth,
    /// Longer than [`MAX_LENGTH`].
    Length,
    /// The buffer or the calls of a builder do not make up exactly one value.
    Shape,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Header => f.write_str("not a tape: bad header"),
            Self::Node(at) => write!(f, "malformed node at byte {at}"),
            Self::Reference(at) => write!(f, "bad reference in the node at byte {at}"),
            Self::Depth => write!(f, "nested deeper than {MAX_DEPTH} levels"),
            Self::Length => write!(f, "longer than {MAX_LENGTH} bytes"),
            Self::Shape => f.write_str("not exactly one value"),
        }
    }
}

impl std::error::Error for Error {}

/// The 32-bit word at a byte offset, if it is inside the buffer.
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(four.try_into().ok()?))
}

/// A length rounded up to whole words.
pub(crate) fn padded(len: usize) -> usize {
    len.div_ceil(4) * 4
}
