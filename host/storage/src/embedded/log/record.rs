//! The records in a frame: each its length (u32, little-endian) and its payload, which begins with its kind.

use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::super::state::{State, Version};

const PUT: u8 = 1;
const DELETE: u8 = 2;
const COMPACT: u8 = 3;
/// A snapshot begins: its compaction revision and the state's revision.
const SNAPSHOT: u8 = 4;
/// The snapshot is whole.
const SNAPSHOT_END: u8 = 5;

fn record(buffer: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
    let start = buffer.len();
    buffer.put_u32_le(0);
    write(buffer);
    let length = u32::try_from(buffer.len() - start - 4).unwrap_or(u32::MAX);
    buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Encodes one change.
pub(in super::super) fn encode_version(buffer: &mut BytesMut, key: &str, version: &Version) {
    record(buffer, |payload| {
        payload.put_u8(if version.value.is_some() { PUT } else { DELETE });
        payload.put_u64_le(version.mod_revision);
        payload.put_u64_le(version.create_revision);
        payload.put_u64_le(version.expires_at);
        payload.put_u32_le(u32::try_from(key.len()).unwrap_or(u32::MAX));
        payload.put_slice(key.as_bytes());
        payload.put_slice(version.value.as_deref().unwrap_or_default());
    });
}

/// Encodes a compaction.
pub(in super::super) fn encode_compaction(buffer: &mut BytesMut, revision: u64) {
    record(buffer, |payload| {
        payload.put_u8(COMPACT);
        payload.put_u64_le(revision);
    });
}

/// Encodes the beginning of a snapshot.
pub(super) fn encode_snapshot(buffer: &mut BytesMut, compacted: u64, revision: u64) {
    record(buffer, |payload| {
        payload.put_u8(SNAPSHOT);
        payload.put_u64_le(compacted);
        payload.put_u64_le(revision);
    });
}

/// Encodes the end of a snapshot.
pub(super) fn encode_snapshot_end(buffer: &mut BytesMut, revision: u64) {
    record(buffer, |payload| {
        payload.put_u8(SNAPSHOT_END);
        payload.put_u64_le(revision);
    });
}

/// What replaying has come to.
#[derive(Debug, Default)]
pub(super) struct Replay {
    pub state: State,
    /// The revision of the snapshot that the segment begins with; 0 if it begins with none.
    snapshot: u64,
    /// Whether a snapshot has begun and not ended.
    pub within_snapshot: bool,
}

impl Replay {
    /// Replays over a state.
    pub(super) fn of(state: State) -> Self {
        Self { state, ..Self::default() }
    }

    /// Replays the records of a frame; `None` if they cannot be what was written.
    pub(super) fn frame(&mut self, mut frame: Bytes) -> Option<()> {
        while !frame.is_empty() {
            let length = frame.try_get_u32_le().ok()? as usize;
            if frame.len() < length {
                return None;
            }
            self.record(frame.split_to(length))?;
        }
        Some(())
    }

    /// Replays one record.
    pub(super) fn record(&mut self, mut payload: Bytes) -> Option<()> {
        let state = &mut self.state;
        let kind = payload.try_get_u8().ok()?;
        let revision = payload.try_get_u64_le().ok()?;
        match kind {
            COMPACT if revision > state.compacted => state.compact(revision),
            COMPACT => {}
            SNAPSHOT => {
                state.compacted = revision;
                state.revision = state.revision.max(revision);
                self.snapshot = payload.try_get_u64_le().ok()?;
                self.within_snapshot = true;
            }
            SNAPSHOT_END => self.end_snapshot(),
            PUT | DELETE => {
                let create_revision = payload.try_get_u64_le().ok()?;
                let expires_at = payload.try_get_u64_le().ok()?;
                let key_length = payload.try_get_u32_le().ok()? as usize;
                if payload.len() < key_length {
                    return None;
                }
                let key: Arc<str> = Arc::from(std::str::from_utf8(&payload.split_to(key_length)).ok()?);
                // A copy, so that one live value does not hold on to the whole file.
                let value = (kind == PUT).then(|| Bytes::copy_from_slice(&payload));
                let version = Version { mod_revision: revision, create_revision, value, expires_at };
                if revision <= self.snapshot {
                    state.restore(key, version);
                } else if revision == state.revision + 1 || state.revision == 0 {
                    state.apply(key, version);
                } else {
                    return None;
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// The snapshot's revision may be that of a deletion of which nothing is left.
    pub(super) fn end_snapshot(&mut self) {
        self.state.revision = self.state.revision.max(self.snapshot);
        self.within_snapshot = false;
    }

    /// The revision of the snapshot.
    pub(super) fn snapshot_revision(&self) -> u64 {
        self.snapshot
    }
}
