//! Python: componentize-py, which puts the script and CPython into one component.

use std::fs;
use std::process::Command;

use super::world;
use crate::{KitError, Project, tools};

const PACKAGE: &str = "componentize-py";
const VERSION: &str = "0.25.1";

pub(super) fn build(project: &Project) -> Result<Vec<u8>, KitError> {
    let folder = super::packages::python(PACKAGE, VERSION, "Python")?;
    let out = project.dir.join("build").join("python.wasm");
    let mut command = Command::new(folder.join("bin/python"));
    command.current_dir(&project.dir).args(["-c", "from componentize_py import script; script()"]);
    command.arg("--wit-path").arg(world::cut(project, world::in_python)?);
    command.args(["--world", &format!("{}-policy", project.stage.interface())]);
    // No file, no clock and no socket: the imports of WASI are answered inside the component, with errors.
    command.args(["componentize", "--stub-wasi", "policy", "-p", ".", "-p", "sdk", "-o"]).arg(&out);
    tools::run(&mut command)?;
    let component = fs::read(&out).map_err(KitError::file(&out))?;
    let _ = fs::remove_file(&out);
    Ok(component)
}
