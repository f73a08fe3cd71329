//! The log on disk.
//!
//! `FORMAT` names the format, `LOCK` is held while the store is open, and `log-<n>` are the segments in their order. A
//! segment is a sequence of records: payload length and CRC-32 of the payload (u32, little-endian), then the payload. A
//! segment may begin with a whole state (a snapshot); the older segments are deleted once it is durable.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::state::{State, Version};
use crate::StoreError;

/// The format that this version writes and reads.
const FORMAT: &str = "portcullis-log 1\n";
/// A record's length and checksum.
const HEADER: usize = 8;
/// No record is longer: a longer length is damage.
const MAX_RECORD: usize = 8 << 20;
/// A segment is replaced by a snapshot once it is this large and mostly superseded.
const MIN_ROTATE: u64 = 32 << 20;

const PUT: u8 = 1;
const DELETE: u8 = 2;
const COMPACT: u8 = 3;
/// The first record of a segment that begins with a snapshot: its compaction revision and the state's revision.
const SNAPSHOT: u8 = 4;

/// The open log.
#[derive(Debug)]
pub(super) struct Log {
    directory: PathBuf,
    file: File,
    segment: u64,
    length: u64,
    /// The length that the segment had when it began: what is live, roughly.
    base: u64,
    _lock: File,
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> StoreError + '_ {
    move |error| StoreError::Unavailable(format!("{}: {error}", path.display()))
}

/// Encodes one change.
pub(super) fn encode_version(buffer: &mut BytesMut, key: &str, version: &Version) {
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
pub(super) fn encode_compaction(buffer: &mut BytesMut, revision: u64) {
    record(buffer, |payload| {
        payload.put_u8(COMPACT);
        payload.put_u64_le(revision);
    });
}

fn record(buffer: &mut BytesMut, write: impl FnOnce(&mut BytesMut)) {
    let start = buffer.len();
    buffer.put_bytes(0, HEADER);
    write(buffer);
    let payload = &buffer[start + HEADER..];
    let (length, checksum) = (u32::try_from(payload.len()).unwrap_or(u32::MAX), crc32fast::hash(payload));
    buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
    buffer[start + 4..start + HEADER].copy_from_slice(&checksum.to_le_bytes());
}

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

/// Whether what is left can be the end of an append that was cut short: the file ends inside the record, or holds nothing
/// but zeros from here on. A record that is all there and has another checksum was acknowledged, and is damaged.
fn is_torn(rest: &Bytes) -> bool {
    let Some(length) = rest.get(..4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_le_bytes) else {
        return true;
    };
    rest.len() < HEADER + length as usize || rest.iter().all(|byte| *byte == 0)
}

/// Whether a whole record stands anywhere in `bytes`: then what is before it is damage and not a torn end.
fn has_record(bytes: &Bytes) -> bool {
    (1..bytes.len().saturating_sub(HEADER)).any(|at| payload(&bytes.slice(at..)).is_some())
}

fn replay(state: &mut State, mut payload: Bytes, snapshot: &mut u64) -> Option<()> {
    let kind = payload.try_get_u8().ok()?;
    let revision = payload.try_get_u64_le().ok()?;
    match kind {
        COMPACT => {
            if revision > state.compacted {
                state.compact(revision);
            }
        }
        SNAPSHOT => {
            state.compacted = revision;
            *snapshot = payload.try_get_u64_le().ok()?;
            state.revision = state.revision.max(revision);
        }
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
            if revision <= *snapshot {
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

impl Log {
    /// Opens the directory and replays what it holds.
    pub(super) fn open(directory: &Path) -> Result<(Self, State), StoreError> {
        fs::create_dir_all(directory).map_err(io(directory))?;
        let lock_path = directory.join("LOCK");
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).map_err(io(&lock_path))?;
        lock.try_lock()
            .map_err(|_| StoreError::Locked(format!("another process has the store {} open", directory.display())))?;
        let format_path = directory.join("FORMAT");
        match fs::read_to_string(&format_path) {
            Ok(format) if format == FORMAT => {}
            Ok(format) => {
                let found = format.trim();
                return Err(StoreError::Unsupported(format!(
                    "{} is of the format {found:?}, which this version does not read",
                    directory.display()
                )));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                fs::write(&format_path, FORMAT).map_err(io(&format_path))?;
            }
            Err(error) => return Err(io(&format_path)(error)),
        }
        let mut segments = segments(directory)?;
        let newest = segments.pop();
        // Older segments are there only if a crash came between a snapshot and their deletion, or before the snapshot was
        // whole; a segment that does not hold its whole snapshot is not yet the newest.
        let mut state = State::default();
        let mut length = 0;
        let mut segment = newest.unwrap_or(1);
        for older in &segments {
            read_segment(directory, *older, &mut State::default(), true)?;
        }
        if let Some(newest) = newest {
            match read_segment(directory, newest, &mut state, false)? {
                Some(read) => length = read,
                None => {
                    let path = path(directory, newest);
                    fs::remove_file(&path).map_err(io(&path))?;
                    state = State::default();
                    segment = segments.pop().unwrap_or(newest);
                    length = read_segment(directory, segment, &mut state, false)?.unwrap_or(0);
                }
            }
        }
        for older in segments.into_iter().filter(|older| *older < segment) {
            let path = path(directory, older);
            fs::remove_file(&path).map_err(io(&path))?;
        }
        let path = path(directory, segment);
        let file = OpenOptions::new().create(true).append(true).open(&path).map_err(io(&path))?;
        file.set_len(length).and_then(|()| file.sync_all()).map_err(io(&path))?;
        sync_directory(directory)?;
        let log = Self { directory: directory.to_owned(), file, segment, length, base: length, _lock: lock };
        Ok((log, state))
    }

    /// Appends records and makes them durable.
    pub(super) fn append(&mut self, records: &[u8]) -> std::io::Result<()> {
        self.file.write_all(records)?;
        self.file.sync_data()?;
        self.length += u64::try_from(records.len()).unwrap_or(0);
        Ok(())
    }

    /// Whether a new segment would be much smaller than this one.
    pub(super) fn wants_snapshot(&self) -> bool {
        self.length > MIN_ROTATE && self.length > self.base.saturating_mul(2)
    }

    /// Begins a new segment with a snapshot of the state, and deletes this one.
    pub(super) fn snapshot(&mut self, state: &State) -> Result<(), StoreError> {
        let next = self.segment + 1;
        let new_path = path(&self.directory, next);
        let mut buffer = BytesMut::new();
        record(&mut buffer, |payload| {
            payload.put_u8(SNAPSHOT);
            payload.put_u64_le(state.compacted);
            payload.put_u64_le(state.revision);
        });
        for (key, version) in state.versions() {
            encode_version(&mut buffer, key, version);
        }
        encode_compaction(&mut buffer, state.compacted);
        // The name is given to a whole file only, so that a crash leaves the old segment as the newest.
        let partial = new_path.with_extension("partial");
        let mut file = File::create(&partial).map_err(io(&partial))?;
        file.write_all(&buffer).and_then(|()| file.sync_all()).map_err(io(&partial))?;
        fs::rename(&partial, &new_path).map_err(io(&new_path))?;
        sync_directory(&self.directory)?;
        let old = path(&self.directory, self.segment);
        self.file = OpenOptions::new().append(true).open(&new_path).map_err(io(&new_path))?;
        self.segment = next;
        self.length = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
        self.base = self.length;
        fs::remove_file(&old).map_err(io(&old))
    }
}

fn path(directory: &Path, segment: u64) -> PathBuf {
    directory.join(format!("log-{segment:010}"))
}

fn segments(directory: &Path) -> Result<Vec<u64>, StoreError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(io(directory))? {
        let name = entry.map_err(io(directory))?.file_name();
        let number: Option<u64> =
            name.to_str().and_then(|name| name.strip_prefix("log-")).and_then(|number| number.parse().ok());
        found.extend(number);
    }
    found.sort_unstable();
    Ok(found)
}

/// Replays a segment and returns the length of its whole records; `None` for an empty file. Only the newest segment may
/// have a torn end.
fn read_segment(directory: &Path, segment: u64, state: &mut State, whole: bool) -> Result<Option<u64>, StoreError> {
    let path = path(directory, segment);
    let mut bytes = Vec::new();
    File::open(&path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(io(&path))?;
    let bytes = Bytes::from(bytes);
    let (mut at, mut snapshot) = (0, 0);
    while at < bytes.len() {
        let rest = bytes.slice(at..);
        let Some(found) = payload(&rest) else {
            if whole || !is_torn(&rest) || has_record(&rest) {
                return Err(StoreError::Corrupt(format!("{}: the record at byte {at} is damaged", path.display())));
            }
            tracing::warn!(path = %path.display(), at, "the log has a torn end, which was never acknowledged: cut off");
            break;
        };
        let length = HEADER + found.len();
        replay(state, found, &mut snapshot).ok_or_else(|| {
            StoreError::Corrupt(format!(
                "{}: the record at byte {at} does not follow the one before it",
                path.display()
            ))
        })?;
        at += length;
    }
    Ok((!bytes.is_empty()).then_some(at as u64))
}

fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    File::open(directory).and_then(|file| file.sync_all()).map_err(io(directory))
}
