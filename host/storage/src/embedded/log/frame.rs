//! What a commit is on disk.
//!
//! All records of a commit are in one frame: magic, length of the payload (u32), the frame's number in its segment (u64),
//! CRC-32 of the payload, CRC-32 of the header up to here; all little-endian; then the payload. A frame is written with
//! one append, and the next one not before it is durable. Therefore:
//!
//! * what follows a damaged frame tells what the damage is. If the head of a later frame is there, the damaged one was
//!   durable and acknowledged: that is corruption. If nothing is, it is the append that a crash cut short (the disk may
//!   have taken any part of it): nobody was told of it, and it is dropped whole.
//! * a frame without a payload is a seal. It is written when there is nothing else to do, so that the newest
//!   acknowledged frame, too, soon has a later one.

use bytes::{BufMut as _, Bytes, BytesMut};

const MAGIC: [u8; 4] = *b"PcF2";
/// The length of a frame's head.
pub(in super::super) const HEADER: usize = 24;
/// No payload is longer.
pub(super) const MAX_PAYLOAD: usize = 64 << 20;

/// Begins a frame: records are put behind its head.
pub(in super::super) fn begin() -> BytesMut {
    let mut buffer = BytesMut::new();
    buffer.put_bytes(0, HEADER);
    buffer
}

/// Writes the head of a frame that was begun.
pub(super) fn seal(buffer: &mut BytesMut, number: u64) {
    let length = u32::try_from(buffer.len() - HEADER).unwrap_or(u32::MAX);
    let checksum = crc32fast::hash(&buffer[HEADER..]);
    let mut head = &mut buffer[..HEADER];
    head.put_slice(&MAGIC);
    head.put_u32_le(length);
    head.put_u64_le(number);
    head.put_u32_le(checksum);
    let checksum = crc32fast::hash(&buffer[..HEADER - 4]);
    buffer[HEADER - 4..HEADER].copy_from_slice(&checksum.to_le_bytes());
}

/// A frame's head.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    length: usize,
    number: u64,
    checksum: u32,
}

fn head(bytes: &[u8]) -> Option<Head> {
    let bytes = bytes.get(..HEADER)?;
    let number = |at: usize| bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes);
    if bytes[..4] != MAGIC || number(HEADER - 4)? != crc32fast::hash(&bytes[..HEADER - 4]) {
        return None;
    }
    let length = number(4)? as usize;
    let frame = u64::from_le_bytes(bytes[8..16].try_into().ok()?);
    (length <= MAX_PAYLOAD).then_some(Head { length, number: frame, checksum: number(16)? })
}

/// The payload of the frame with this number at the start of `bytes`, if it is whole and right.
pub(super) fn payload(bytes: &Bytes, number: u64) -> Option<Bytes> {
    let head = head(bytes)?;
    if head.number != number || bytes.len() - HEADER < head.length {
        return None;
    }
    let payload = bytes.slice(HEADER..HEADER + head.length);
    (crc32fast::hash(&payload) == head.checksum).then_some(payload)
}

/// Whether a frame after the one with this number has begun anywhere in `bytes`.
pub(super) fn has_later(bytes: &[u8], number: u64) -> bool {
    let starts = bytes.windows(MAGIC.len()).enumerate().filter(|(_, window)| *window == MAGIC);
    starts.filter_map(|(at, _)| head(&bytes[at..])).any(|head| head.number > number)
}
