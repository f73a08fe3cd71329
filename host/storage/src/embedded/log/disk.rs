//! What the log asks of the file system, so that tests can have one that fails.

use std::fs::{self, File, OpenOptions};
use std::io::{Result, Write as _};
use std::path::Path;

/// A file that is appended to.
pub(in super::super) trait Disk: Send {
    /// Writes all of the bytes at the end.
    fn append(&mut self, bytes: &[u8]) -> Result<()>;
    /// Makes what was written durable.
    fn sync(&mut self) -> Result<()>;
}

impl Disk for File {
    fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> Result<()> {
        self.sync_data()
    }
}

/// The folder that the files are in.
pub(in super::super) trait Folder: Send {
    /// An empty file, in the place of one that is there.
    fn create(&self, path: &Path) -> Result<Box<dyn Disk>>;
    /// A file that is there.
    fn open(&self, path: &Path) -> Result<Box<dyn Disk>>;
    /// Gives a file another name.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;
    /// Deletes a file.
    fn remove(&self, path: &Path) -> Result<()>;
    /// Makes names durable.
    fn sync(&self, directory: &Path) -> Result<()>;
}

/// The folder as the system has it.
pub(in super::super) struct Real;

impl Folder for Real {
    fn create(&self, path: &Path) -> Result<Box<dyn Disk>> {
        Ok(Box::new(File::create(path)?))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Disk>> {
        Ok(Box::new(OpenOptions::new().append(true).open(path)?))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> Result<()> {
        fs::remove_file(path)
    }

    fn sync(&self, directory: &Path) -> Result<()> {
        File::open(directory)?.sync_all()
    }
}
