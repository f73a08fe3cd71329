//! C: clang as zig carries it, or a clang of the machine's own; without a C library.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::{KitError, Project, component, tools};

const PACKAGE: &str = "ziglang";
const VERSION: &str = "0.17.0";

pub(super) fn build(project: &Project) -> Result<Vec<u8>, KitError> {
    let module = project.dir.join("build").join("c.wasm");
    let mut command = compiler()?;
    command.current_dir(&project.dir);
    command.args(["-std=c17", "-Os", "-Wall", "-Wextra", "-Wno-unused-parameter", "-nostdlib", "-Isdk"]);
    command.args(["-fno-builtin", "-mbulk-memory", "-Wl,--no-entry", "-Wl,--strip-all", "-o"]).arg(&module);
    command.args(sources(&project.dir)?).args(sources(&project.dir.join("sdk"))?);
    tools::run(&mut command)?;
    let bytes = fs::read(&module).map_err(KitError::file(&module))?;
    let _ = fs::remove_file(&module);
    component::of_stage(bytes, &project.dir.join("sdk/wit"), project.stage)
}

fn sources(folder: &Path) -> Result<Vec<OsString>, KitError> {
    let entries = fs::read_dir(folder).map_err(KitError::file(folder))?;
    let mut sources: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    sources.retain(|path| path.extension().is_some_and(|end| end == "c"));
    sources.sort();
    Ok(sources.into_iter().map(OsString::from).collect())
}

fn compiler() -> Result<Command, KitError> {
    let targets = tools::find("clang").and_then(|clang| tools::output(Command::new(clang).arg("--print-targets")));
    if targets.is_some_and(|targets| targets.contains("wasm32")) && tools::find("wasm-ld").is_some() {
        let mut command = Command::new("clang");
        command.arg("--target=wasm32");
        return Ok(command);
    }
    let folder = super::packages::python(PACKAGE, VERSION, "C")?;
    let mut command = Command::new(folder.join("bin/python"));
    command.args(["-m", "ziglang", "cc", "--target=wasm32-freestanding"]);
    Ok(command)
}
