//! Rust: cargo, for `wasm32-unknown-unknown`.
//!
//! The target comes with rustup, or from Debian's packages, whose compiler builds the standard library from its source.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{KitError, Project, component, tools};

const TARGET: &str = "wasm32-unknown-unknown";

/// How a module can be compiled here.
enum Toolchain {
    /// The compiler that cargo takes by itself has the target.
    Plain,
    /// Debian's.
    Debian,
}

pub(super) fn build(project: &Project) -> Result<Vec<u8>, KitError> {
    let toolchain = toolchain(&project.dir)?;
    let mut cargo = match toolchain {
        Toolchain::Plain => Command::new("cargo"),
        Toolchain::Debian => debian(),
    };
    cargo.current_dir(&project.dir).args(["build", "--quiet", "--release", "--target", TARGET]);
    let (package, folder, name) = target(project)?;
    cargo.args(["--package", &package]).arg("--target-dir").arg(&folder);
    tools::run(&mut cargo)?;
    let module = folder.join(TARGET).join("release").join(format!("{}.wasm", name.replace('-', "_")));
    component::of_module(&fs::read(&module).map_err(KitError::file(&module))?)
}

fn debian() -> Command {
    let mut cargo = Command::new("/usr/bin/cargo");
    cargo.env_remove("RUSTUP_TOOLCHAIN").env("RUSTC_BOOTSTRAP", "1").env("RUSTC", "/usr/bin/rustc");
    cargo.env("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER", "wasm-ld").arg("-Zbuild-std=std,panic_abort");
    cargo
}

fn toolchain(dir: &Path) -> Result<Toolchain, KitError> {
    let has_target = || {
        let sysroot = tools::output(Command::new("rustc").current_dir(dir).args(["--print", "sysroot"]));
        sysroot.is_some_and(|sysroot| Path::new(&sysroot).join("lib/rustlib").join(TARGET).is_dir())
    };
    if has_target() {
        return Ok(Toolchain::Plain);
    }
    let source = tools::output(Command::new("/usr/bin/rustc").args(["--print", "sysroot"]))
        .map(|sysroot| PathBuf::from(sysroot).join("lib/rustlib/src/rust/library/std/Cargo.toml"));
    let debian = source.is_some_and(|source| source.is_file()) && Path::new("/usr/bin/cargo").is_file();
    if debian && tools::find("wasm-ld").is_some() {
        return Ok(Toolchain::Debian);
    }
    if tools::find("rustup").is_some() {
        eprintln!("adding the target {TARGET} to the Rust toolchain");
        let mut rustup = Command::new("rustup");
        if tools::run(rustup.current_dir(dir).args(["target", "add", TARGET])).is_ok() && has_target() {
            return Ok(Toolchain::Plain);
        }
    }
    Err(KitError::Toolchain {
        language: "Rust",
        missing: format!("there is no compiler for {TARGET}"),
        remedy: format!(
            "run `rustup target add {TARGET}`, or on Debian `apt-get install rustc-web cargo-web rust-web-src lld`"
        ),
    })
}

/// The package, the folder that cargo builds in, and the name of the library, as cargo knows them.
fn target(project: &Project) -> Result<(String, PathBuf, String), KitError> {
    let mut command = Command::new("cargo");
    command.current_dir(&project.dir).args(["metadata", "--no-deps", "--format-version", "1"]);
    let text = tools::output(&mut command)
        .ok_or_else(|| KitError::Tool { tool: "cargo metadata".into(), detail: String::new() })?;
    let wrong = |what: &str| KitError::Project(format!("{}: {what}", project.dir.join("Cargo.toml").display()));
    let metadata: Value = serde_json::from_str(&text).map_err(|error| wrong(&error.to_string()))?;
    let manifest = project.dir.join("Cargo.toml");
    let list = |value: &Value, member: &str| value[member].as_array().cloned().unwrap_or_default();
    let package = list(&metadata, "packages")
        .into_iter()
        .find(|package| package["manifest_path"].as_str().is_some_and(|path| Path::new(path) == manifest))
        .ok_or_else(|| wrong("cargo finds no package"))?;
    let is_library = |target: &Value| list(target, "kind").iter().any(|kind| kind == "cdylib");
    let library = list(&package, "targets").into_iter().find(is_library);
    let library = library.ok_or_else(|| wrong("the library's crate-type must have \"cdylib\""))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(&package["name"]);
    Ok((name, PathBuf::from(text(&metadata["target_directory"])), text(&library["name"])))
}
