//! The contents of a store in one file, whatever the engine: what `portcullis store snapshot` writes and `restore` reads.
//!
//! Values are as they are stored: what is encrypted in the store is encrypted in the archive. There is no history in it.
//!
//! The file is `Portcullis archive 1`, a line's end, and records: the length of the payload (u32), its CRC-32 (u32), the
//! payload, all little-endian. The first payload is a head in JSON; then come the entries: create revision, modification
//! revision, the time at which the entry ends in milliseconds since 1970 or 0 (u64 each), the length of the key (u32), the
//! key, the value. The last one is empty but for the number of entries (u64) and the SHA-256 of everything before the
//! record. A file that ends without it is not whole.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

use bytes::{Buf as _, BufMut as _, Bytes};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// What the file begins with.
const MAGIC: &[u8] = b"Portcullis archive 1\n";
/// No record is longer: a value, its key and a little.
const MAX_RECORD: usize = 64 << 20;
const ENTRY: u8 = 1;
const END: u8 = 2;
const HEAD: u8 = 0;

/// What an archive is of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// The engine: `embedded` or `etcd`.
    pub engine: String,
    /// The store's revision, at which the contents were read.
    pub revision: u64,
    /// When that was.
    pub at: String,
}

/// An entry of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key, as in [`crate::KeyValue`].
    pub key: String,
    /// The value as it is stored.
    pub value: Bytes,
    /// The revision of the write that made the entry.
    pub create_revision: u64,
    /// The revision of the write that gave it this value.
    pub mod_revision: u64,
    /// When it ends, in milliseconds since 1970; 0 for never.
    pub expires_at: u64,
}

/// Why an archive cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file cannot be written or read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no archive.
    #[error("{}: this is no archive of a store", .0.display())]
    NoArchive(PathBuf),
    /// The archive is damaged, or not whole. Nothing of it should be used.
    #[error("{}: the archive is damaged at byte {at}: {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where.
        at: u64,
        /// How.
        why: &'static str,
    },
}

/// Writes an archive. The file gets its name when it is whole and durable.
pub struct ArchiveWriter {
    path: PathBuf,
    partial: PathBuf,
    out: BufWriter<File>,
    hash: Sha256,
    entries: u64,
}

impl ArchiveWriter {
    /// Begins one.
    ///
    /// # Errors
    /// [`ArchiveError::Io`]; also if there is such a file already.
    pub fn create(path: &Path, head: &Head) -> Result<Self, ArchiveError> {
        let failed = |source| ArchiveError::Io { path: path.to_owned(), source };
        if path.exists() {
            return Err(failed(std::io::ErrorKind::AlreadyExists.into()));
        }
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let partial = PathBuf::from(partial);
        let out = BufWriter::new(File::create(&partial).map_err(failed)?);
        let mut writer = Self { path: path.to_owned(), partial, out, hash: Sha256::new(), entries: 0 };
        writer.bytes(MAGIC)?;
        let mut payload = vec![HEAD];
        serde_json::to_writer(&mut payload, head).map_err(|error| failed(error.into()))?;
        writer.record(&payload)?;
        Ok(writer)
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), ArchiveError> {
        self.hash.update(bytes);
        self.out.write_all(bytes).map_err(|source| ArchiveError::Io { path: self.partial.clone(), source })
    }

    fn record(&mut self, payload: &[u8]) -> Result<(), ArchiveError> {
        let mut head = Vec::with_capacity(8);
        head.put_u32_le(u32::try_from(payload.len()).unwrap_or(u32::MAX));
        head.put_u32_le(crc32fast::hash(payload));
        self.bytes(&head)?;
        self.bytes(payload)
    }

    /// Adds an entry.
    ///
    /// # Errors
    /// [`ArchiveError::Io`].
    pub fn put(&mut self, entry: &Entry) -> Result<(), ArchiveError> {
        let mut payload = Vec::with_capacity(29 + entry.key.len() + entry.value.len());
        payload.put_u8(ENTRY);
        payload.put_u64_le(entry.create_revision);
        payload.put_u64_le(entry.mod_revision);
        payload.put_u64_le(entry.expires_at);
        payload.put_u32_le(u32::try_from(entry.key.len()).unwrap_or(u32::MAX));
        payload.put_slice(entry.key.as_bytes());
        payload.put_slice(&entry.value);
        self.entries += 1;
        self.record(&payload)
    }

    /// Ends the archive: makes it durable, and gives it its name. Returns the number of entries.
    ///
    /// # Errors
    /// [`ArchiveError::Io`].
    pub fn finish(mut self) -> Result<u64, ArchiveError> {
        let mut payload = vec![END];
        payload.put_u64_le(self.entries);
        payload.put_slice(&self.hash.clone().finalize());
        self.record(&payload)?;
        let failed = |source| ArchiveError::Io { path: self.path.clone(), source };
        let file = self.out.into_inner().map_err(|error| failed(error.into_error()))?;
        file.sync_all().and_then(|()| std::fs::rename(&self.partial, &self.path)).map_err(failed)?;
        let folder = self.path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
        Ok(self.entries)
    }
}

/// Reads an archive, entry by entry. Whether it is whole is known only at its end: see [`verify`].
pub struct ArchiveReader {
    path: PathBuf,
    input: BufReader<File>,
    hash: Sha256,
    at: u64,
    entries: u64,
    head: Head,
    ended: bool,
}

impl ArchiveReader {
    /// Opens one.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        let failed = |source| ArchiveError::Io { path: path.to_owned(), source };
        let mut input = BufReader::new(File::open(path).map_err(failed)?);
        let mut magic = [0; MAGIC.len()];
        if input.read_exact(&mut magic).is_err() || magic != MAGIC {
            return Err(ArchiveError::NoArchive(path.to_owned()));
        }
        let hash = Sha256::new_with_prefix(MAGIC);
        let (path, at) = (path.to_owned(), MAGIC.len() as u64);
        let mut reader = Self { path, input, hash, at, entries: 0, head: Head::default(), ended: false };
        let payload = reader.record(false)?;
        let head = payload.strip_prefix(&[HEAD]).and_then(|json| serde_json::from_slice(json).ok());
        reader.head = head.ok_or_else(|| reader.damaged("there is no head"))?;
        Ok(reader)
    }

    /// What the archive is of.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    fn damaged(&self, why: &'static str) -> ArchiveError {
        ArchiveError::Damaged { path: self.path.clone(), at: self.at, why }
    }

    fn exactly(&mut self, bytes: &mut [u8]) -> Result<(), ArchiveError> {
        self.input.read_exact(bytes).map_err(|source| match source.kind() {
            std::io::ErrorKind::UnexpectedEof => self.damaged("it is not whole"),
            _ => ArchiveError::Io { path: self.path.clone(), source },
        })
    }

    /// The payload of the next record. The last one is not part of what is hashed.
    fn record(&mut self, may_end: bool) -> Result<Vec<u8>, ArchiveError> {
        let mut head = [0; 8];
        self.exactly(&mut head)?;
        let (length, checksum) = ((&head[..4]).get_u32_le() as usize, (&head[4..]).get_u32_le());
        if length > MAX_RECORD {
            return Err(self.damaged("a record of no possible length"));
        }
        let mut payload = vec![0; length];
        self.exactly(&mut payload)?;
        if crc32fast::hash(&payload) != checksum {
            return Err(self.damaged("a record's checksum is wrong"));
        }
        if !(may_end && payload.first() == Some(&END)) {
            self.hash.update(head);
            self.hash.update(&payload);
        }
        self.at += 8 + length as u64;
        Ok(payload)
    }

    fn end(&mut self, mut payload: &[u8]) -> Result<(), ArchiveError> {
        let whole = payload.len() == 40 && payload.get_u64_le() == self.entries;
        if !whole || payload != self.hash.clone().finalize().as_slice() {
            return Err(self.damaged("its end is not that of what is before it"));
        }
        let mut more = [0; 1];
        match self.input.read(&mut more) {
            Ok(0) => Ok(()),
            _ => Err(self.damaged("it goes on after its end")),
        }
    }

    /// The next entry; `None` at the end, which has been checked then.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn next_entry(&mut self) -> Result<Option<Entry>, ArchiveError> {
        if self.ended {
            return Ok(None);
        }
        let payload = Bytes::from(self.record(true)?);
        match payload.first() {
            Some(&END) => {
                self.end(&payload[1..])?;
                self.ended = true;
                Ok(None)
            }
            Some(&ENTRY) => {
                self.entries += 1;
                let entry = entry(payload.slice(1..)).ok_or_else(|| self.damaged("a record is no entry"))?;
                Ok(Some(entry))
            }
            _ => Err(self.damaged("a record of an unknown kind")),
        }
    }
}

fn entry(mut payload: Bytes) -> Option<Entry> {
    let create_revision = payload.try_get_u64_le().ok()?;
    let mod_revision = payload.try_get_u64_le().ok()?;
    let expires_at = payload.try_get_u64_le().ok()?;
    let length = payload.try_get_u32_le().ok()? as usize;
    if payload.len() < length {
        return None;
    }
    let key = String::from_utf8(payload.split_to(length).into()).ok()?;
    Some(Entry { key, value: payload, create_revision, mod_revision, expires_at })
}

/// Reads an archive from its beginning to its end, and gives its head and the number of its entries.
///
/// # Errors
/// [`ArchiveError`] if anything in it is not as it was written.
pub fn verify(path: &Path) -> Result<(Head, u64), ArchiveError> {
    let mut reader = ArchiveReader::open(path)?;
    while reader.next_entry()?.is_some() {}
    Ok((reader.head.clone(), reader.entries))
}

#[cfg(test)]
mod tests;
