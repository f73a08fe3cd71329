//! The log on disk.
//!
//! `FORMAT` names the format, `LOCK` is held while the store is open, and `wal-<n>` are the segments, of which only the
//! newest counts: every segment but the first begins with a whole state (a snapshot), and gets its name only once that is
//! durable. [`frame`] is what a commit is, [`record`] what is in it; [`format1`] reads what an earlier version wrote.

mod disk;
mod format1;
mod frame;
mod record;

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};

use super::state::State;
use crate::StoreError;

pub(super) use disk::{Disk, Folder, Real};
#[cfg(test)]
pub(super) use frame::HEADER;
pub(super) use frame::begin;
pub(super) use record::{encode_compaction, encode_version};

use record::{Replay, encode_snapshot, encode_snapshot_end};

/// The format that this version writes.
const FORMAT: &str = "portcullis-log 2\n";
const PREFIX: &str = "wal-";
/// About how many bytes of a snapshot share a frame.
const SNAPSHOT_FRAME: usize = 1 << 20;

/// The open log.
pub(super) struct Log {
    directory: PathBuf,
    folder: Box<dyn Folder>,
    file: Box<dyn Disk>,
    segment: u64,
    /// The number of the next frame.
    next: u64,
    length: u64,
    /// The length that the segment had when it began: what is live, roughly.
    base: u64,
    /// A segment is replaced by a snapshot once it is this large and mostly superseded.
    rotate_at: u64,
    /// Whether a seal is the last frame.
    sealed: bool,
    _lock: File,
}

fn io(path: &Path) -> impl Fn(std::io::Error) -> StoreError + '_ {
    move |error| StoreError::Unavailable(format!("{}: {error}", path.display()))
}

fn corrupt(path: &Path, at: usize, what: &str) -> StoreError {
    StoreError::Corrupt(format!("{} at byte {at}: {what}", path.display()))
}

fn segment_path(directory: &Path, segment: u64) -> PathBuf {
    directory.join(format!("{PREFIX}{segment:010}"))
}

/// The numbers of the files whose names are `prefix` and a number, in order.
fn numbered(directory: &Path, prefix: &str) -> Result<Vec<u64>, StoreError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).map_err(io(directory))? {
        let name = entry.map_err(io(directory))?.file_name();
        found.extend(name.to_str().and_then(|name| name.strip_prefix(prefix)?.parse::<u64>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

/// Why a snapshot did not take the place of the log.
pub(super) enum NoSnapshot {
    /// It could not be written. The log is what it was, and goes on.
    NotWritten(StoreError),
    /// Whether it has taken its name is not known, so neither it nor the log may be written to.
    Unknown(StoreError),
}

impl From<NoSnapshot> for StoreError {
    fn from(why: NoSnapshot) -> Self {
        let (NoSnapshot::NotWritten(error) | NoSnapshot::Unknown(error)) = why;
        error
    }
}

fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join("LOCK");
    let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(io(&path))?;
    lock.try_lock()
        .map_err(|_| StoreError::Locked(format!("another process has the store {} open", directory.display())))?;
    Ok(lock)
}

/// Names the format once everything of it is there; the name is there whole or not at all.
fn write_format(directory: &Path) -> Result<(), StoreError> {
    let (path, partial) = (directory.join("FORMAT"), directory.join("FORMAT.partial"));
    let written = File::create(&partial).and_then(|mut file| file.write_all(FORMAT.as_bytes()).and(file.sync_all()));
    written.and_then(|()| fs::rename(&partial, &path)).map_err(io(&path))?;
    Real.sync(directory).map_err(io(directory))
}

/// What reading a segment came to.
struct Segment {
    state: State,
    frames: u64,
    /// The length of its whole frames, and with what is after them.
    length: usize,
    whole: usize,
    sealed: bool,
    /// The last frame, and where it is.
    last: (usize, Bytes),
}

/// Replays a segment.
fn read_segment(path: &Path) -> Result<Segment, StoreError> {
    let mut bytes = Vec::new();
    File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(io(path))?;
    let bytes = Bytes::from(bytes);
    let mut replay = Replay::of(State::empty());
    let (mut at, mut frames, mut sealed) = (0, 0, true);
    let mut last = (0, Bytes::new());
    while at < bytes.len() {
        let rest = bytes.slice(at..);
        let Some(payload) = frame::payload(&rest, frames) else {
            // A segment gets its name when its snapshot is durable, so in there nothing can be torn.
            if replay.within_snapshot || frame::has_later(&rest, frames) {
                return Err(corrupt(path, at, "the commit is damaged"));
            }
            tracing::warn!(path = %path.display(), at, "the log ends with a commit that was cut short and never acknowledged");
            break;
        };
        sealed = payload.is_empty();
        let length = frame::HEADER + payload.len();
        last = (at, rest.slice(..length));
        replay.frame(payload).ok_or_else(|| corrupt(path, at, "the commit does not follow the one before it"))?;
        (at, frames) = (at + length, frames + 1);
    }
    if replay.within_snapshot {
        return Err(corrupt(path, at, "the snapshot has no end"));
    }
    Ok(Segment { state: replay.state, frames, length: at, whole: bytes.len(), sealed, last })
}

/// What reading a directory without opening it came to.
pub(super) struct Found {
    pub state: State,
    pub commits: u64,
    pub bytes: u64,
    pub unfinished: u64,
}

/// Reads what a directory holds, beside a server that may be at work there.
pub(super) fn read_only(directory: &Path) -> Result<Found, StoreError> {
    let format_path = directory.join("FORMAT");
    match fs::read_to_string(&format_path) {
        Ok(format) if format == FORMAT => {}
        Ok(format) if format == format1::FORMAT => {
            return Ok(Found { state: format1::read(directory)?, commits: 0, bytes: 0, unfinished: 0 });
        }
        Ok(format) => return Err(unsupported(directory, &format)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(StoreError::Unsupported(format!("there is no store in {}", directory.display())));
        }
        Err(error) => return Err(io(&format_path)(error)),
    }
    loop {
        let Some(segment) = numbered(directory, PREFIX)?.pop() else {
            return Err(StoreError::Corrupt(format!("{}: the log is missing", directory.display())));
        };
        let path = segment_path(directory, segment);
        match read_segment(&path) {
            Ok(Segment { state, frames, length, whole, .. }) => {
                if segment > 1 && frames == 0 {
                    return Err(corrupt(&path, 0, "the snapshot is missing"));
                }
                let (bytes, unfinished) = (length as u64, (whole - length) as u64);
                return Ok(Found { state, commits: frames, bytes, unfinished });
            }
            // A new segment has taken its place in between.
            Err(_) if !path.exists() => {}
            Err(error) => return Err(error),
        }
    }
}

/// Makes a new directory with a state.
pub(super) fn write_new(directory: &Path, state: &State) -> Result<(), StoreError> {
    fs::create_dir_all(directory).map_err(io(directory))?;
    if fs::read_dir(directory).map_err(io(directory))?.next().is_some() {
        return Err(StoreError::Unsupported(format!("{} is not empty", directory.display())));
    }
    let _lock = lock(directory)?;
    Log::begin_anew(directory, Some(state))?;
    write_format(directory)
}

fn unsupported(directory: &Path, format: &str) -> StoreError {
    let (found, directory) = (format.trim(), directory.display());
    StoreError::Unsupported(format!("{directory} is of the format {found:?}, which this version does not read"))
}

impl Log {
    /// Opens the directory and replays what it holds.
    pub(super) fn open(directory: &Path, rotate_at: u64) -> Result<(Self, State), StoreError> {
        fs::create_dir_all(directory).map_err(io(directory))?;
        let lock = lock(directory)?;
        let format_path = directory.join("FORMAT");
        match fs::read_to_string(&format_path) {
            Ok(format) if format == FORMAT => format1::remove(directory)?,
            Ok(format) if format == format1::FORMAT => {
                let state = format1::read(directory)?;
                Self::begin_anew(directory, Some(&state))?;
                write_format(directory)?;
                format1::remove(directory)?;
                tracing::info!(directory = %directory.display(), "the store was brought to the present format");
            }
            Ok(format) => return Err(unsupported(directory, &format)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Self::begin_anew(directory, None)?;
                write_format(directory)?;
            }
            Err(error) => return Err(io(&format_path)(error)),
        }
        let mut segments = numbered(directory, PREFIX)?;
        let Some(segment) = segments.pop() else {
            return Err(StoreError::Corrupt(format!("{}: the log is missing", directory.display())));
        };
        let path = segment_path(directory, segment);
        let Segment { state, frames, length, sealed, last, .. } = read_segment(&path)?;
        if segment > 1 && frames == 0 {
            return Err(corrupt(&path, 0, "the snapshot is missing"));
        }
        for older in segments {
            let path = segment_path(directory, older);
            fs::remove_file(&path).map_err(io(&path))?;
        }
        let length = length as u64;
        let file = OpenOptions::new().write(true).open(&path).map_err(io(&path))?;
        file.set_len(length).map_err(io(&path))?;
        if !sealed {
            // Should the sync of this frame have failed, it is in the system's memory and not on the disk, and another sync
            // would not write what the system takes for written. From now on it counts, so it is written once more.
            file.write_all_at(&last.1, last.0 as u64).map_err(io(&path))?;
        }
        file.sync_all().map_err(io(&path))?;
        Real.sync(directory).map_err(io(directory))?;
        let log = Self {
            directory: directory.to_owned(),
            folder: Box::new(Real),
            file: Real.open(&path).map_err(io(&path))?,
            segment,
            next: frames,
            length,
            base: length,
            rotate_at,
            sealed,
            _lock: lock,
        };
        Ok((log, state))
    }

    /// Begins the first segment, with a state if there is one, whatever a crash has left of an earlier beginning.
    fn begin_anew(directory: &Path, state: Option<&State>) -> Result<(), StoreError> {
        for left in numbered(directory, PREFIX)? {
            let path = segment_path(directory, left);
            fs::remove_file(&path).map_err(io(&path))?;
        }
        match write_segment(&Real, directory, 1, state) {
            Ok(_) => Ok(()),
            Err(NoSnapshot::NotWritten(error) | NoSnapshot::Unknown(error)) => Err(error),
        }
    }

    /// Appends a frame that was begun, and makes it durable.
    pub(super) fn append(&mut self, mut buffer: BytesMut) -> std::io::Result<()> {
        frame::seal(&mut buffer, self.next);
        self.file.append(&buffer)?;
        self.file.sync()?;
        self.next += 1;
        self.sealed = false;
        self.length += buffer.len() as u64;
        Ok(())
    }

    /// Says that everything so far was acknowledged, if that has not been said. This need not be durable at once.
    pub(super) fn seal(&mut self) -> std::io::Result<()> {
        if self.sealed {
            return Ok(());
        }
        let mut buffer = frame::begin();
        frame::seal(&mut buffer, self.next);
        self.file.append(&buffer)?;
        self.next += 1;
        self.sealed = true;
        self.length += buffer.len() as u64;
        Ok(())
    }

    /// Whether a new segment would be much smaller than this one.
    pub(super) fn wants_snapshot(&self) -> bool {
        self.length > self.rotate_at && self.length > self.base.saturating_mul(2)
    }

    /// The length of the segment.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Begins a new segment with a snapshot of the state, and deletes this one.
    pub(super) fn snapshot(&mut self, state: &State) -> Result<(), NoSnapshot> {
        let (next, length) = write_segment(&*self.folder, &self.directory, self.segment + 1, Some(state))?;
        let path = segment_path(&self.directory, self.segment + 1);
        self.file = self.folder.open(&path).map_err(io(&path)).map_err(NoSnapshot::Unknown)?;
        let old = segment_path(&self.directory, self.segment);
        (self.segment, self.next, self.sealed) = (self.segment + 1, next, true);
        (self.length, self.base) = (length, length);
        if let Err(error) = self.folder.remove(&old) {
            // It counts no longer, and goes when the store is opened the next time.
            tracing::warn!(path = %old.display(), %error, "an old segment of the log could not be deleted");
        }
        Ok(())
    }

    /// Replaces what the file system does, for tests of what a failing one does.
    #[cfg(test)]
    pub(super) fn with_folder(mut self, folder: Box<dyn Folder>) -> Self {
        self.file = folder.open(&segment_path(&self.directory, self.segment)).unwrap();
        self.folder = folder;
        self
    }
}

/// Writes a segment that begins with a state, and makes it durable under its name. Returns the number of its frames and
/// its length.
fn write_segment(
    folder: &dyn Folder,
    directory: &Path,
    segment: u64,
    state: Option<&State>,
) -> Result<(u64, u64), NoSnapshot> {
    let path = segment_path(directory, segment);
    let partial = directory.join("segment.partial");
    let written = write_partial(folder, &partial, state).map_err(|error| {
        // What there is of it may be what fills the disk. If it cannot be deleted, the next one takes its place.
        let _ = folder.remove(&partial);
        NoSnapshot::NotWritten(io(&partial)(error))
    })?;
    let named = folder.rename(&partial, &path).and_then(|()| folder.sync(directory));
    named.map_err(io(&path)).map_err(NoSnapshot::Unknown)?;
    Ok(written)
}

fn write_partial(folder: &dyn Folder, partial: &Path, state: Option<&State>) -> std::io::Result<(u64, u64)> {
    let mut file = folder.create(partial)?;
    let (mut frames, mut length) = (0, 0);
    let mut flush = |buffer: &mut BytesMut| {
        frame::seal(buffer, frames);
        frames += 1;
        length += buffer.len() as u64;
        let written = file.append(buffer);
        *buffer = frame::begin();
        written
    };
    if let Some(state) = state {
        let mut buffer = frame::begin();
        encode_snapshot(&mut buffer, state.compacted, state.revision);
        for (key, version) in state.versions() {
            encode_version(&mut buffer, key, version);
            if buffer.len() > SNAPSHOT_FRAME {
                flush(&mut buffer)?;
            }
        }
        encode_snapshot_end(&mut buffer, state.revision);
        flush(&mut buffer)?;
        // The seal.
        flush(&mut buffer)?;
    }
    file.sync()?;
    Ok((frames, length))
}
