//! From a core module to a component, in this process.

use std::path::Path;

use portcullis_policy::Stage;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use crate::KitError;

/// What a module of a language with a C-like runtime may want of WASI. A policy is given none of it: time and random
/// bytes come from the host by the policy's own interfaces, text that is written to a standard stream goes nowhere, and
/// all else fails as it does where there is nothing.
const WASI: &str = include_str!("wasi.wat");
/// The module whose functions those are.
const ADAPTED: &str = "wasi_snapshot_preview1";

fn wrong(error: impl std::fmt::Display) -> KitError {
    KitError::Component(format!("{error:#}"))
}

/// The component of a module that carries its world in a custom section, as what Rust's macros make does.
pub(crate) fn of_module(module: &[u8]) -> Result<Vec<u8>, KitError> {
    let mut encoder = ComponentEncoder::default().validate(true).module(module).map_err(wrong)?;
    encoder.encode().map_err(wrong)
}

/// The component of a module that follows the canonical ABI of its stage's world by hand, with stubs for WASI.
pub(crate) fn of_stage(mut module: Vec<u8>, wit: &Path, stage: Stage) -> Result<Vec<u8>, KitError> {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(wit).map_err(wrong)?;
    let world = format!("{}-policy", stage.interface());
    let world = resolve.select_world(&[package], Some(&world)).map_err(wrong)?;
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).map_err(wrong)?;
    if !module.windows(ADAPTED.len()).any(|bytes| bytes == ADAPTED.as_bytes()) {
        return of_module(&module);
    }
    let imports = "package portcullis:kit; world stubs { import portcullis:policy/clock@0.1.0; import portcullis:policy/random@0.1.0; }";
    let own = resolve.push_str("kit.wit", imports).map_err(wrong)?;
    let stubs = resolve.select_world(&[own], Some("stubs")).map_err(wrong)?;
    let mut adapter = wat::parse_str(WASI).map_err(wrong)?;
    embed_component_metadata(&mut adapter, &resolve, stubs, StringEncoding::UTF8).map_err(wrong)?;
    let encoder = ComponentEncoder::default().validate(true).module(&module).map_err(wrong)?;
    let mut encoder = encoder.adapter(ADAPTED, &adapter).map_err(wrong)?;
    encoder.encode().map_err(wrong)
}
