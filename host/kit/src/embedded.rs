//! The files that projects are made from, which the binary carries.

use std::fs;
use std::path::Path;

use crate::{KitError, Language};

/// Every file with its path: `wit/types.wit`, `<language>/sdk/…`, `<language>/project/…`, `<language>/stages/…`,
/// `stages/<stage>/…`.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The files below a folder, with their paths in it.
pub fn below<'f>(folder: &'f str) -> impl Iterator<Item = (&'static str, &'static [u8])> + 'f {
    FILES.iter().filter_map(move |(path, bytes)| Some((path.strip_prefix(folder)?.strip_prefix('/')?, *bytes)))
}

/// One file as text.
pub fn text(path: &str) -> Option<&'static str> {
    let (_, bytes) = FILES.iter().find(|(name, _)| *name == path)?;
    std::str::from_utf8(bytes).ok()
}

/// Writes what a project of this language needs of ours into its `sdk/` folder, where it differs from what is there:
/// compilers look at times. The folder belongs to this program, and need not be kept under version control.
///
/// # Errors
/// If the folder cannot be written.
pub fn write_sdk(project: &Path, language: Language) -> Result<(), KitError> {
    let sdk = project.join("sdk");
    let source = format!("{language}/sdk");
    for (path, bytes) in below("wit") {
        write(&sdk.join("wit").join(path), bytes)?;
    }
    for (path, bytes) in below(&source) {
        // In the repository the crate's way to the interfaces is another.
        match path.ends_with("bindings.rs").then(|| std::str::from_utf8(bytes)) {
            Some(Ok(text)) => write(&sdk.join(path), text.replace("\"../../wit\"", "\"../wit\"").as_bytes())?,
            _ => write(&sdk.join(path), bytes)?,
        }
    }
    Ok(())
}

/// Writes a file, and the folders above it, unless it has that content.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), KitError> {
    if fs::read(path).is_ok_and(|found| found == bytes) {
        return Ok(());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).map_err(KitError::file(folder))?;
    fs::write(path, bytes).map_err(KitError::file(path))
}
