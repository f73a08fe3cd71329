//! The module store: files that are named by the digest of their content.

use crate::{Digest, RuntimeError};
use cap_std::{ambient_authority, fs::Dir};
use std::{
    io::{self, Write},
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

/// A folder of the data directory. It is opened once, and no name can lead out of it.
pub(crate) struct Folder {
    dir: Dir,
    /// The same folder, to be synced: `dir` is a handle for names only, which the system does not sync.
    entries: std::fs::File,
}

/// Makes the names of files that are being written distinct.
static WRITES: AtomicU64 = AtomicU64::new(0);

impl Folder {
    /// Opens a folder, making it if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Folder, RuntimeError> {
        let open = || -> io::Result<Folder> {
            std::fs::create_dir_all(path)?;
            let dir = Dir::open_ambient_dir(path, ambient_authority())?;
            Ok(Folder { dir, entries: std::fs::File::open(path)? })
        };
        open().map_err(|error| RuntimeError(format!("{}: {error}", path.display())))
    }

    /// The content of a file, or `None` if there is none.
    pub(crate) fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match self.dir.read(name) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether there is such a file.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.dir.is_file(name)
    }

    /// Writes a file whole or not at all: under another name, synced, renamed, and the folder synced.
    pub(crate) fn write(&self, name: &str, parts: &[&[u8]]) -> io::Result<()> {
        let temporary = format!(".{name}.{}.{}", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed));
        let write = || -> io::Result<()> {
            let mut file = self.dir.create(&temporary)?;
            for part in parts {
                file.write_all(part)?;
            }
            file.sync_all()?;
            self.dir.rename(&temporary, &self.dir, name)?;
            self.entries.sync_all()
        };
        write().inspect_err(|_| drop(self.dir.remove_file(&temporary)))
    }
}

/// The modules that were pushed.
pub(crate) struct Modules(Folder);

impl Modules {
    /// Opens the store in `modules/` of the data directory.
    pub(crate) fn open(data_dir: &Path) -> Result<Modules, RuntimeError> {
        Folder::open(&data_dir.join("modules")).map(Modules)
    }

    fn file(digest: Digest) -> String {
        format!("{}.wasm", digest.to_hex())
    }

    /// Stores content durably; nothing happens if it is there already.
    pub(crate) fn push(&self, bytes: &[u8]) -> io::Result<Digest> {
        let digest = Digest::of(bytes);
        if self.get(digest)?.is_none() {
            self.0.write(&Modules::file(digest), &[bytes])?;
        }
        Ok(digest)
    }

    /// Whether the store has a file for that content.
    pub(crate) fn has(&self, digest: Digest) -> bool {
        self.0.has(&Modules::file(digest))
    }

    /// The content; `None` if it was never pushed, or if what is on disk is something else by now.
    pub(crate) fn get(&self, digest: Digest) -> io::Result<Option<Vec<u8>>> {
        let Some(bytes) = self.0.read(&Modules::file(digest))? else { return Ok(None) };
        if Digest::of(&bytes) == digest {
            return Ok(Some(bytes));
        }
        tracing::error!(%digest, "the module on disk is damaged and is not used: push it again");
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_stored_once_and_checked() {
        let dir = tempfile::tempdir().unwrap();
        let store = Modules::open(dir.path()).unwrap();
        let digest = store.push(b"module").unwrap();
        assert_eq!(digest.to_string().len(), 7 + 64);
        assert_eq!(store.push(b"module").unwrap(), digest);
        assert!(store.has(digest));
        assert_eq!(store.get(digest).unwrap().as_deref(), Some(&b"module"[..]));
        assert_eq!(store.get(Digest::of(b"another")).unwrap(), None);
        let path = dir.path().join("modules").join(format!("{}.wasm", digest.to_hex()));
        std::fs::write(&path, b"damaged").unwrap();
        assert_eq!(store.get(digest).unwrap(), None, "damaged content must not be used");
        store.push(b"module").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"module", "a push repairs it");
        assert_eq!(std::fs::read_dir(dir.path().join("modules")).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn names_do_not_lead_out() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("secret"), b"x").unwrap();
        let folder = Folder::open(&dir.path().join("inner")).unwrap();
        assert!(folder.read("../secret").is_err());
    }
}
