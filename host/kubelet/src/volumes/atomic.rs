//! Files that change all at once.
//!
//! The files lie in a directory with a time in its name; the link `..data` names that directory, and each file (or
//! directory) that users see is a link into `..data`. A new version is a new directory, and renaming a link over `..data`
//! is the moment at which all files change. Wrong names cannot collide with these, as no path may begin with `..`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use cap_std::fs::{Dir, MetadataExt as _, OpenOptions, OpenOptionsExt as _, Permissions, PermissionsExt as _};
use jiff::Timestamp;

use super::VolumeProblem;

const DATA: &str = "..data";
const NEW_DATA: &str = "..data_tmp";
const MAX_PATH: usize = 4096;
const MAX_NAME: usize = 255;

/// A file to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct File {
    pub data: Vec<u8>,
    /// The permission bits.
    pub mode: u32,
}

/// The files of a volume by their paths in it.
pub(super) type Files = BTreeMap<String, File>;

/// Makes the volume hold these files and no others: whether anything had to be written.
pub(super) fn write(volume: &Dir, files: &Files) -> Result<bool, VolumeProblem> {
    let files = clean(files)?;
    let old = match volume.read_link_contents(DATA) {
        Ok(target) => Some(target),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(error.into()),
    };
    let old_paths = match &old {
        Some(directory) => paths_below(volume, directory)?,
        None => BTreeSet::new(),
    };
    let same = old.as_ref().is_some_and(|old| is_same(volume, old, &old_paths, &files));
    if !same {
        let new = fill(volume, &files)?;
        match volume.remove_file(NEW_DATA) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        volume.symlink(&new, NEW_DATA)?;
        volume.rename(NEW_DATA, volume, DATA)?;
    }
    // These follow even if nothing changed: an earlier attempt may have ended before them.
    let first = |path: &Path| path.components().next().map(|first| PathBuf::from(first.as_os_str()));
    let visible: BTreeSet<PathBuf> = files.keys().filter_map(|path| first(path)).collect();
    for name in &visible {
        if volume.read_link_contents(name).is_err() {
            volume.symlink(Path::new(DATA).join(name), name)?;
        }
    }
    for stale in old_paths.iter().filter_map(|path| first(path)).collect::<BTreeSet<_>>().difference(&visible) {
        match volume.remove_file(stale) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    if let (Some(old), false) = (&old, same)
        && let Err(error) = volume.remove_dir_all(old)
    {
        tracing::warn!(directory = %old.display(), %error, "an old version of a volume cannot be removed");
    }
    Ok(!same)
}

/// The files by their paths in normal form, if all of these lead inside.
fn clean(files: &Files) -> Result<BTreeMap<PathBuf, &File>, VolumeProblem> {
    let mut cleaned = BTreeMap::new();
    for (path, file) in files {
        let bad = |why: String| Err(VolumeProblem::Path(why));
        if path.is_empty() {
            return bad(format!("must not be empty: {path:?}"));
        }
        if path.starts_with('/') {
            return bad(format!("must be relative path: {path}"));
        }
        if path.len() > MAX_PATH {
            return bad(format!("must be less than or equal to {MAX_PATH} characters"));
        }
        let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        if parts.contains(&"..") {
            return bad(format!("must not contain '..': {path}"));
        }
        if parts.iter().any(|part| part.len() > MAX_NAME) {
            return bad(format!("filenames must be less than or equal to {MAX_NAME} characters"));
        }
        match parts.first() {
            None => return bad(format!("must not be empty: {path:?}")),
            Some(first) if first.starts_with("..") => return bad(format!("must not start with '..': {path}")),
            Some(_) => cleaned.insert(parts.iter().collect::<PathBuf>(), file),
        };
    }
    Ok(cleaned)
}

fn paths_below(volume: &Dir, top: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut paths = BTreeSet::new();
    let mut open = vec![PathBuf::new()];
    let top = match volume.open_dir(top) {
        Ok(top) => top,
        // Somebody took the directory away from under the link: everything is to be written.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(paths),
        Err(error) => return Err(error),
    };
    while let Some(directory) = open.pop() {
        let entries = if directory.as_os_str().is_empty() { top.entries()? } else { top.read_dir(&directory)? };
        for entry in entries {
            let entry = entry?;
            let path = directory.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                open.push(path);
            } else {
                paths.insert(path);
            }
        }
    }
    Ok(paths)
}

fn is_same(volume: &Dir, old: &Path, old_paths: &BTreeSet<PathBuf>, files: &BTreeMap<PathBuf, &File>) -> bool {
    let Ok(directory) = volume.open_dir(old) else { return false };
    old_paths.iter().eq(files.keys())
        && files.iter().all(|(path, file)| {
            directory.metadata(path).is_ok_and(|metadata| metadata.mode() & 0o7777 == file.mode)
                && directory.read(path).is_ok_and(|data| data == file.data)
        })
}

/// Writes the files to a new directory and names it.
fn fill(volume: &Dir, files: &BTreeMap<PathBuf, &File>) -> io::Result<String> {
    let name = format!("{}.{}", Timestamp::now().strftime("..%Y_%m_%d_%H_%M_%S"), rand::random::<u32>());
    volume.create_dir(&name)?;
    let filled = (|| {
        volume.set_permissions(&name, Permissions::from_mode(0o755))?;
        let directory = volume.open_dir(&name)?;
        for (path, file) in files {
            let mut above = PathBuf::new();
            for part in path.parent().into_iter().flat_map(Path::components) {
                above.push(part);
                match directory.create_dir(&above) {
                    Ok(()) => directory.set_permissions(&above, Permissions::from_mode(0o755))?,
                    Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                    Err(error) => return Err(error),
                }
            }
            // Nobody else may read it before it has its mode, which the umask has no say in.
            let mut options = OpenOptions::new();
            let mut open = directory.open_with(path, options.write(true).create_new(true).mode(0o600))?;
            open.write_all(&file.data)?;
            open.set_permissions(Permissions::from_mode(file.mode))?;
        }
        Ok(())
    })();
    match filled {
        Ok(()) => Ok(name),
        Err(error) => {
            let _ = volume.remove_dir_all(&name);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests;
