//! Volumes that are a path of the host.

use std::fs::FileType;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use portcullis_client::ObjectExt as _;
use portcullis_machinery::Value;

use super::{VolumeProblem, make};

/// Checks that the path is what the pod says it is, and makes it if the pod asks for that.
pub(super) fn check(volume: &Value) -> Result<PathBuf, VolumeProblem> {
    let text = volume.str_at(&["path"]);
    let path = PathBuf::from(text);
    if !path.is_absolute() || text.split('/').any(|part| part == "..") {
        return Err(VolumeProblem::HostPath(format!("{text} is not an absolute path without '..'")));
    }
    let kind = volume.str_at(&["type"]);
    match kind {
        "DirectoryOrCreate" if std::fs::symlink_metadata(&path).is_err() => make(&path, 0o755)?,
        "FileOrCreate" if std::fs::symlink_metadata(&path).is_err() => touch(&path)?,
        _ => {}
    }
    let expected: (fn(&FileType) -> bool, &str) = match kind {
        "" => return Ok(path),
        "Directory" | "DirectoryOrCreate" => (FileType::is_dir, "directory"),
        "File" | "FileOrCreate" => (FileType::is_file, "file"),
        "Socket" => (|kind| kind.is_socket(), "socket file"),
        "CharDevice" => (|kind| kind.is_char_device(), "character device"),
        "BlockDevice" => (|kind| kind.is_block_device(), "block device"),
        other => return Err(VolumeProblem::HostPath(format!("{other} is an invalid volume type"))),
    };
    match std::fs::metadata(&path) {
        Ok(metadata) if (expected.0)(&metadata.file_type()) => Ok(path),
        _ => Err(VolumeProblem::HostPath(format!("{text} is not a {}", expected.1))),
    }
}

fn touch(path: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Ok(()) };
    let parent = Dir::open_ambient_dir(parent, ambient_authority())?;
    let mut options = OpenOptions::new();
    parent.open_with(name, options.write(true).create_new(true).mode(0o644)).map(drop)
}
