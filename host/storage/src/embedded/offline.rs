//! The engine's files without the engine.
//!
//! Reading takes no lock and changes nothing, so it can be done beside a running server: the log is only ever appended to,
//! a write is acknowledged after it is in there, and whole commits are told from one that is being written by their
//! checksums. So what is read is a state that the store had, not older than the moment at which the reading began. A server
//! does not have to be asked, and is not held up; nor has it to be one that still answers.

use std::path::Path;
use std::sync::Arc;

use super::log;
use super::state::{State, Version};
use crate::StoreError;
use crate::archive::Entry;

/// What a directory holds.
#[derive(Debug, Default)]
pub struct Contents {
    /// The store's revision.
    pub revision: u64,
    /// The revision up to which history has been discarded.
    pub compacted: u64,
    /// The present entries, in the order of their keys.
    pub entries: Vec<Entry>,
    /// How many commits and how many bytes the log has.
    pub commits: u64,
    /// See `commits`.
    pub bytes: u64,
    /// How many bytes after those are a commit that was not finished: one that a crash has cut short, or that is being
    /// written right now. Nobody was told of it.
    pub unfinished: u64,
}

/// Reads a directory. See the module.
///
/// # Errors
/// [`StoreError::Corrupt`] if anything that was acknowledged is damaged, [`StoreError::Unsupported`] if there is no store of
/// a format that can be read, [`StoreError::Unavailable`] if the files cannot be read.
pub fn read(directory: &Path) -> Result<Contents, StoreError> {
    let log::Found { state, commits, bytes, unfinished } = log::read_only(directory)?;
    let (revision, compacted) = (state.revision, state.compacted);
    let entry = |(key, version): (&Arc<str>, &Version)| {
        Some(Entry {
            key: key.to_string(),
            value: version.value.clone()?,
            create_revision: version.create_revision,
            mod_revision: version.mod_revision,
            expires_at: version.expires_at,
        })
    };
    let entries = state.present().filter_map(entry).collect();
    Ok(Contents { revision, compacted, entries, commits, bytes, unfinished })
}

/// Makes a new store of entries. Its revision is `revision`, and all history up to it is discarded: watches from any
/// revision before are told to start over.
///
/// # Errors
/// [`StoreError::Unsupported`] if there is something in the directory, or an entry is newer than the revision;
/// [`StoreError::Unavailable`] if the files cannot be written.
pub fn restore(
    directory: &Path,
    revision: u64,
    entries: impl Iterator<Item = Result<Entry, StoreError>>,
) -> Result<u64, StoreError> {
    let mut state = State::restored_at(revision);
    let mut count = 0;
    for entry in entries {
        let Entry { key, value, create_revision, mod_revision, expires_at } = entry?;
        if mod_revision > revision {
            return Err(StoreError::Unsupported(format!("{key} is of revision {mod_revision}, after {revision}")));
        }
        state.restore(Arc::from(key), Version { mod_revision, create_revision, value: Some(value), expires_at });
        count += 1;
    }
    log::write_new(directory, &state)?;
    Ok(count)
}

/// Discards all history of a store that no server has open, and writes its log anew. Returns its revision, and the size of
/// the log before and after.
///
/// # Errors
/// [`StoreError::Locked`] if a server has it open, which compacts by itself; otherwise as opening the store.
pub fn compact(directory: &Path) -> Result<(u64, u64, u64), StoreError> {
    if !directory.join("FORMAT").exists() {
        return Err(StoreError::Unsupported(format!("there is no store in {}", directory.display())));
    }
    let (mut log, mut state) = log::Log::open(directory, 0)?;
    let before = log.length();
    if state.revision > state.compacted {
        state.compact(state.revision);
    }
    log.snapshot(&state)?;
    Ok((state.revision, before, log.length()))
}

#[cfg(test)]
mod tests;
