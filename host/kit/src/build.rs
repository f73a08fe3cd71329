//! `plugin build`: the component of a project, by the toolchain of its language.

mod c;
mod go;
mod javascript;
mod packages;
mod python;
mod rust;
mod world;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::{KitError, Language, Project, embedded};

/// Builds a project and returns where the component is.
///
/// # Errors
/// [`KitError::Toolchain`] if the language cannot be built on this machine; otherwise whatever the build says.
pub fn build(project: &Project) -> Result<PathBuf, KitError> {
    if project.language != Language::Rust || !is_in_repository(&project.dir) {
        embedded::write_sdk(&project.dir, project.language)?;
    }
    let folder = project.dir.join("build");
    fs::create_dir_all(&folder).map_err(KitError::file(&folder))?;
    // Tools are run elsewhere than here, or want whole paths.
    let dir = fs::canonicalize(&project.dir).map_err(KitError::file(&project.dir))?;
    let whole = Project { dir, ..project.clone() };
    let component = match project.language {
        Language::Rust => rust::build(&whole)?,
        Language::JavaScript => javascript::build(&whole)?,
        Language::Python => python::build(&whole)?,
        Language::Go => go::build(&whole)?,
        Language::C => c::build(&whole)?,
    };
    let path = project.component();
    let partial = path.with_extension("partial");
    fs::write(&partial, component).map_err(KitError::file(&partial))?;
    fs::rename(&partial, &path).map_err(KitError::file(&path))?;
    Ok(path)
}

/// Builds a project unless the component is newer than every file of it.
///
/// # Errors
/// As [`build`].
pub fn ensure(project: &Project) -> Result<PathBuf, KitError> {
    let path = project.component();
    let built = fs::metadata(&path).and_then(|metadata| metadata.modified());
    match (built, newest(&project.dir)) {
        (Ok(built), Some(changed)) if built >= changed => Ok(path),
        _ => build(project),
    }
}

/// A crate that takes the SDK of the repository that it is in has no need of another.
fn is_in_repository(dir: &Path) -> bool {
    fs::read_to_string(dir.join("Cargo.toml")).is_ok_and(|manifest| manifest.contains("portcullis-sdk.workspace"))
}

/// When the last file of a project changed, without what was built and what the cases say.
fn newest(dir: &Path) -> Option<SystemTime> {
    const LEFT_OUT: [&str; 7] = ["build", "cases", "target", "node_modules", "__pycache__", "README.md", "plugin.yaml"];
    let entries = fs::read_dir(dir).ok()?;
    entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with('.') || LEFT_OUT.contains(&&*name) {
                return None;
            }
            match entry.file_type().ok()?.is_dir() {
                true => newest(&entry.path()),
                false => entry.metadata().ok()?.modified().ok(),
            }
        })
        .max()
}
