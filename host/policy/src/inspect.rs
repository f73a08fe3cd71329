//! What a module is, and whether it fits a stage and its grants.

use crate::{
    Digest, Grant, Grants, LoadError, Stage,
    stage::{PACKAGE, VERSION},
};
use wasmtime::{Engine, component::Component};

/// What a component exports, imports and weighs.
#[derive(Clone, Debug)]
pub struct ModuleInfo {
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes.
    pub bytes: usize,
    /// The stage whose interface it exports, if it is a policy of this version.
    pub stage: Option<Stage>,
    /// The interfaces that it imports, in full.
    pub imports: Vec<String>,
    /// The interfaces that it exports, in full.
    pub exports: Vec<String>,
    /// The grants that its imports need.
    pub grants: Vec<Grant>,
}

/// An interface of the policy package: its name without package and version, and whether this host speaks the version.
fn interface(name: &str) -> Option<(&str, bool)> {
    let (interface, version) = name.strip_prefix(PACKAGE)?.strip_prefix('/')?.split_once('@')?;
    // Below 1.0 a minor version is a promise of its own; patch releases only add.
    let ours = VERSION.rsplit_once('.').map_or(VERSION, |(minor, _)| minor);
    let same = version.strip_prefix(ours).is_some_and(|rest| rest.starts_with('.'));
    Some((interface, same))
}

/// Says what bytes are that are not a component, before the compiler says it in its own words.
pub(crate) fn check_is_component(bytes: &[u8]) -> Result<(), LoadError> {
    let detail = match bytes {
        [] => "the file is empty".to_owned(),
        // Magic, then the layer: 0 for core modules, 1 for components.
        [0, b'a', b's', b'm', _, _, 1, 0, ..] => return Ok(()),
        [0, b'a', b's', b'm', _, _, 0, 0, ..] => {
            "it is a core module: make a component of it with `wasm-tools component new`".to_owned()
        }
        [0, b'a', b's', b'm', ..] => "it is of a version of WebAssembly that this server does not know".to_owned(),
        [b'(', ..] => "it is WebAssembly text: translate it with `wasm-tools parse`".to_owned(),
        _ => "it does not start with the magic number \\0asm of WebAssembly".to_owned(),
    };
    Err(LoadError::NotAComponent { detail })
}

/// What a compiled component is.
pub(crate) fn info(engine: &Engine, component: &Component, digest: Digest, bytes: usize) -> ModuleInfo {
    let ty = component.component_type();
    let exports: Vec<String> = ty.exports(engine).map(|(name, _)| name.to_owned()).collect();
    let imports: Vec<String> = ty.imports(engine).map(|(name, _)| name.to_owned()).collect();
    let stage = Stage::ALL.into_iter().find(|stage| exports_stage(&exports, *stage));
    let grants = imports.iter().filter_map(|name| Grant::of_import(interface(name)?.0)).collect();
    ModuleInfo { digest, bytes, stage, imports, exports, grants }
}

fn exports_stage(exports: &[String], stage: Stage) -> bool {
    exports.iter().any(|name| interface(name) == Some((stage.interface(), true)))
}

/// Checks a component's imports and exports against a stage's world and the grants.
pub(crate) fn check_world(info: &ModuleInfo, stage: Stage, grants: &Grants) -> Result<(), LoadError> {
    if !exports_stage(&info.exports, stage) {
        return Err(LoadError::WrongWorld { stage, detail: wrong_world(info, stage) });
    }
    for import in &info.imports {
        let found = interface(import).filter(|(name, same)| *same && stage.imports().contains(name));
        let Some((name, _)) = found else {
            return Err(LoadError::UnknownImport { stage, import: import.clone() });
        };
        if let Some(grant) = Grant::of_import(name)
            && !grants.has(grant)
        {
            return Err(LoadError::MissingGrant { import: import.clone(), grant });
        }
    }
    Ok(())
}

fn wrong_world(info: &ModuleInfo, stage: Stage) -> String {
    if let Some(other) = info.stage {
        return format!(
            "it exports the interface of {}: set spec.stage to {other}, or build it for {}",
            other.interface(),
            stage.world()
        );
    }
    let version = info.exports.iter().find(|name| interface(name).is_some_and(|(_, same)| !same));
    if let Some(name) = version {
        return format!("it exports {name}, and this server speaks version {VERSION} of {PACKAGE}: build it for that");
    }
    let wanted = format!("{PACKAGE}/{}@{VERSION}", stage.interface());
    match info.exports.as_slice() {
        [] => format!("it exports nothing and must export {wanted}"),
        exports => format!("it exports {} and must export {wanted}", exports.join(", ")),
    }
}
