//! `subPath`: a mount of something inside a volume.

use std::io;
use std::path::{Component, Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Permissions, PermissionsExt as _};

/// The path on the host of `subpath` in a volume, made as a directory if it is not there. Links are followed inside the
/// volume only: one that leads out is an error, and so is a path with `..`.
///
/// The result names no link, but a container that can write to the volume can put one there later; a runtime that
/// mounts into a file system namespace of its own has to open it again with care.
///
/// # Errors
/// If the path leads out of the volume, or cannot be made.
pub fn subpath(volume: &Path, subpath: &str) -> io::Result<PathBuf> {
    let inside = Path::new(subpath);
    if inside.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!("subPath {subpath:?} leads out of its volume"),
        ));
    }
    if inside.components().all(|part| part == Component::CurDir) {
        return Ok(volume.to_owned());
    }
    let directory = Dir::open_ambient_dir(volume, ambient_authority())?;
    if directory.metadata(inside).is_err() {
        // What is made belongs to the volume, so it is as open as the volume is.
        let mode = directory.dir_metadata()?.permissions().mode() & 0o7777;
        let mut made = PathBuf::new();
        for part in inside.components() {
            made.push(part);
            match directory.create_dir(&made) {
                Ok(()) => directory.set_permissions(&made, Permissions::from_mode(mode))?,
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(volume.join(directory.canonicalize(inside)?))
}

#[cfg(test)]
mod tests;
