//! Finding and running the tools of the languages, and getting those that a package manager has.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use crate::KitError;

/// The folder of tools that this program installs: `$PORTCULLIS_TOOLS`, or a folder in the user's cache.
pub(crate) fn folder() -> PathBuf {
    let given = env::var_os("PORTCULLIS_TOOLS").map(PathBuf::from);
    let cache = || env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    given.or_else(|| Some(cache().or_else(home)?.join("portcullis/tools"))).unwrap_or_else(env::temp_dir)
}

/// A program on the PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// What a command writes to its standard output, if it succeeds.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

/// Runs a command, whose output the person sees on the standard error.
pub(crate) fn run(command: &mut Command) -> Result<(), KitError> {
    let tool = command.get_program().to_string_lossy().into_owned();
    let failed = |detail: String| KitError::Tool { tool: tool.clone(), detail };
    command.stdin(Stdio::null()).stdout(std::io::stderr());
    let status = command.status().map_err(|error| failed(format!(": {error}")))?;
    match status.success() {
        true => Ok(()),
        false => Err(failed(status.code().map_or(": it was ended".to_owned(), |code| format!(" (exit code {code})")))),
    }
}

/// Sees to it that a set of packages is installed in a folder of its own below [`folder`], by `install`, which is given
/// the folder. A folder that is there is complete: it is renamed into place at the end.
pub(crate) fn ensure(name: &str, install: impl FnOnce(&Path) -> Result<(), KitError>) -> Result<PathBuf, KitError> {
    let folder = folder();
    let ready = folder.join(name);
    if ready.is_dir() {
        return Ok(ready);
    }
    let partial = folder.join(format!("{name}.partial"));
    fs::create_dir_all(&folder).map_err(KitError::file(&folder))?;
    let _ = fs::remove_dir_all(&partial);
    install(&partial)?;
    fs::rename(&partial, &ready).map_err(KitError::file(&ready))?;
    Ok(ready)
}
