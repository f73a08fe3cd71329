//! What a module is, and whether it fits a stage and its grants.

use crate::{
    Digest, Grant, Grants, LoadError, Stage,
    stage::{PACKAGE, VERSION},
};
use wasmparser::{Parser, Payload};
use wasmtime::{Engine, component::Component};

/// What bytes are, as far as their outermost sections tell. Nothing is compiled and nothing else is checked: the module
/// store takes any content, and says of it what it can.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// `Component`, `CoreModule` or `Other`.
    pub form: &'static str,
    /// The stage whose interface it exports, if it is a policy of this version.
    pub stage: Option<Stage>,
    /// The interfaces that a component imports, in full.
    pub imports: Vec<String>,
    /// The interfaces that a component exports, in full.
    pub exports: Vec<String>,
    /// The grants that the imports need.
    pub grants: Vec<Grant>,
}

impl Content {
    /// Looks at bytes.
    pub fn of(bytes: &[u8]) -> Content {
        match bytes {
            [0, b'a', b's', b'm', _, _, 1, 0, ..] => {}
            [0, b'a', b's', b'm', _, _, 0, 0, ..] => return Content { form: "CoreModule", ..Content::default() },
            _ => return Content { form: "Other", ..Content::default() },
        }
        // What breaks off is still named a component; loading it says what is wrong.
        let (imports, exports) = names(bytes).unwrap_or_default();
        let stage = Stage::ALL.into_iter().find(|stage| exports_stage(&exports, *stage));
        Content { form: "Component", stage, grants: grants_of(&imports), imports, exports }
    }

    /// Whether a Plugin of this stage, with these grants, can be made of it, as far as its sections tell. What loads a
    /// component asks again; this is for whoever wants to know before.
    ///
    /// # Errors
    /// What would be wrong, in the words of a Plugin's status.
    pub fn check(&self, stage: Stage, grants: &Grants) -> Result<(), LoadError> {
        match self.form {
            "Component" => check_world(&self.imports, &self.exports, stage, grants),
            "CoreModule" => check_is_component(b"\0asm\x01\0\0\0"),
            _ => check_is_component(b"?"),
        }
    }
}

/// The names of a component's own imports and exports; those of the components within it are their own affair.
fn names(bytes: &[u8]) -> wasmparser::Result<(Vec<String>, Vec<String>)> {
    let (mut imports, mut exports, mut depth) = (Vec::new(), Vec::new(), 0usize);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(reader) if depth == 0 => {
                for import in reader {
                    imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(reader) if depth == 0 => {
                for export in reader {
                    exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((imports, exports))
}

fn grants_of(imports: &[String]) -> Vec<Grant> {
    imports.iter().filter_map(|name| Grant::of_import(interface(name)?.0)).collect()
}

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
    ModuleInfo { digest, bytes, stage, grants: grants_of(&imports), imports, exports }
}

fn exports_stage(exports: &[String], stage: Stage) -> bool {
    exports.iter().any(|name| interface(name) == Some((stage.interface(), true)))
}

/// Checks a component's imports and exports against a stage's world and the grants.
pub(crate) fn check_world(
    imports: &[String],
    exports: &[String],
    stage: Stage,
    grants: &Grants,
) -> Result<(), LoadError> {
    if !exports_stage(exports, stage) {
        return Err(LoadError::WrongWorld { stage, detail: wrong_world(exports, stage) });
    }
    for import in imports {
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

fn wrong_world(exports: &[String], stage: Stage) -> String {
    if let Some(other) = Stage::ALL.into_iter().find(|stage| exports_stage(exports, *stage)) {
        return format!(
            "it exports the interface of {}: set spec.stage to {other}, or build it for {}",
            other.interface(),
            stage.world()
        );
    }
    let version = exports.iter().find(|name| interface(name).is_some_and(|(_, same)| !same));
    if let Some(name) = version {
        return format!("it exports {name}, and this server speaks version {VERSION} of {PACKAGE}: build it for that");
    }
    let wanted = format!("{PACKAGE}/{}@{VERSION}", stage.interface());
    match exports {
        [] => format!("it exports nothing and must export {wanted}"),
        exports => format!("it exports {} and must export {wanted}", exports.join(", ")),
    }
}
