//! Reading what the first version wrote.
//!
//! There, a record was framed by itself: length and CRC-32 of its payload (u32, little-endian), then the payload, as now.
//! The segments were called `log-<n>`; the newest one holds everything.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;

use bytes::Bytes;

use super::record::Replay;
use super::{State, corrupt, io, numbered};
use crate::StoreError;

/// What `FORMAT` said.
pub(super) const FORMAT: &str = "portcullis-log 1\n";
const PREFIX: &str = "log-";
const HEADER: usize = 8;
const MAX_RECORD: usize = 8 << 20;

/// The payload of the record at the start of `bytes`, if it is whole and right.
fn payload(bytes: &Bytes) -> Option<Bytes> {
    if bytes.len() < HEADER {
        return None;
    }
    let length = u32::from_le_bytes(bytes[..4].try_into().ok()?) as usize;
    let checksum = u32::from_le_bytes(bytes[4..HEADER].try_into().ok()?);
    if length == 0 || length > MAX_RECORD || bytes.len() - HEADER < length {
        return None;
    }
    let payload = bytes.slice(HEADER..HEADER + length);
    (crc32fast::hash(&payload) == checksum).then_some(payload)
}

/// Whether what is left can be the end of an append that was cut short.
fn is_torn(rest: &Bytes) -> bool {
    let length = rest.get(..4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes);
    let short = length.is_none_or(|length| rest.len() < HEADER + length as usize);
    let followed = (1..rest.len().saturating_sub(HEADER)).any(|at| payload(&rest.slice(at..)).is_some());
    (short && !followed) || rest.iter().all(|byte| *byte == 0)
}

/// The state that a directory of the first version holds.
pub(super) fn read(directory: &Path) -> Result<State, StoreError> {
    let mut replay = Replay::default();
    let Some(newest) = numbered(directory, PREFIX)?.pop() else { return Ok(replay.state) };
    let path = directory.join(format!("{PREFIX}{newest:010}"));
    let mut bytes = Vec::new();
    File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(io(&path))?;
    let bytes = Bytes::from(bytes);
    let mut at = 0;
    while at < bytes.len() {
        let rest = bytes.slice(at..);
        let Some(found) = payload(&rest) else {
            if !is_torn(&rest) {
                return Err(corrupt(&path, at, "the record is damaged"));
            }
            break;
        };
        at += HEADER + found.len();
        // The first version's snapshots had no end: a record beyond it is the end.
        let beyond = found.get(1..9).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes);
        if replay.within_snapshot && found[0] != 4 && beyond > replay.snapshot_revision() {
            replay.end_snapshot();
        }
        replay.record(found).ok_or_else(|| corrupt(&path, at, "the record does not follow the one before it"))?;
    }
    replay.end_snapshot();
    Ok(replay.state)
}

/// Deletes what the first version wrote.
pub(super) fn remove(directory: &Path) -> Result<(), StoreError> {
    for number in numbered(directory, PREFIX)? {
        let path = directory.join(format!("{PREFIX}{number:010}"));
        fs::remove_file(&path).map_err(io(&path))?;
    }
    Ok(())
}
