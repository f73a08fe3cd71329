//! What the log asks of a file, so that tests can have one that fails.

use std::fs::File;
use std::io::Write as _;

/// A file that is appended to.
pub(in super::super) trait Disk: Send {
    /// Writes all of the bytes at the end.
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()>;
    /// Makes what was written durable.
    fn sync(&mut self) -> std::io::Result<()>;
}

impl Disk for File {
    fn append(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.write_all(bytes)
    }

    fn sync(&mut self) -> std::io::Result<()> {
        self.sync_data()
    }
}
