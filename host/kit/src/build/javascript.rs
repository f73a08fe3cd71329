//! JavaScript: componentize-js, which puts the script and an engine for it into one component.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::world;
use crate::{KitError, Project, tools};

const PACKAGE: &str = "@bytecodealliance/componentize-js";
const VERSION: &str = "0.23.0";

/// Calls componentize-js. It resolves packages from where its file is, so this goes beside them.
const SCRIPT: &str = include_str!("javascript.mjs");

pub(super) fn build(project: &Project) -> Result<Vec<u8>, KitError> {
    let node = tools::find("node").ok_or_else(|| lacking("there is no node"))?;
    let folder = tools_folder()?;
    let script = folder.join("portcullis.mjs");
    fs::write(&script, SCRIPT).map_err(KitError::file(&script))?;
    let out = project.dir.join("build").join("javascript.wasm");
    let mut command = Command::new(node);
    command.current_dir(&project.dir).arg(script);
    command.args([&project.dir.join("policy.js"), &world::cut(project, world::in_javascript)?]);
    command.arg(format!("{}-policy", project.stage.interface())).arg(&out);
    tools::run(&mut command)?;
    let component = fs::read(&out).map_err(KitError::file(&out))?;
    let _ = fs::remove_file(&out);
    Ok(component)
}

fn tools_folder() -> Result<PathBuf, KitError> {
    tools::ensure(&format!("componentize-js-{VERSION}"), |folder| {
        let npm = tools::find("npm").ok_or_else(|| lacking("there is no npm"))?;
        eprintln!("installing {PACKAGE} {VERSION} with npm");
        fs::create_dir_all(folder).map_err(KitError::file(folder))?;
        let mut command = Command::new(npm);
        command.args(["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"]);
        tools::run(command.arg(folder).arg(format!("{PACKAGE}@{VERSION}")))
    })
}

fn lacking(what: &str) -> KitError {
    let remedy = "install Node.js 20 or later with npm (`apt-get install nodejs npm`)".to_owned();
    KitError::Toolchain { language: "JavaScript", missing: what.to_owned(), remedy }
}
