//! Makes a table of the files that projects are made from: the SDKs, the templates and the interfaces.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Where the files are in this repository, and the folder that they have in the table.
const FOLDERS: [(&str, &str); 4] = [
    ("sdks", ""),
    ("wit", "wit"),
    ("plugins/sdk/src", "rust/sdk/portcullis-sdk/src"),
    ("host/tape/src", "rust/sdk/portcullis-tape/src"),
];

fn main() -> io::Result<()> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?).join("../..");
    let mut table = String::from("&[\n");
    for (from, to) in FOLDERS {
        let from = root.join(from).canonicalize()?;
        println!("cargo::rerun-if-changed={}", from.display());
        let mut files = Vec::new();
        walk(&from, &mut files)?;
        files.sort();
        for file in files {
            let relative = file.strip_prefix(&from).map_err(io::Error::other)?;
            let name = Path::new(to).join(relative);
            let line = writeln!(table, "    ({:?}, include_bytes!({:?})),", name.display().to_string(), file);
            line.map_err(io::Error::other)?;
        }
    }
    table.push(']');
    fs::write(PathBuf::from(env::var("OUT_DIR").map_err(io::Error::other)?).join("files.rs"), table)
}

fn walk(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        match entry.file_type()?.is_dir() {
            // What tools leave behind where the SDKs' own tests run is not theirs.
            true if name == "__pycache__" || name == "node_modules" => {}
            true => walk(&entry.path(), files)?,
            false => files.push(entry.path()),
        }
    }
    Ok(())
}
