//! Compiled code on disk, so that a component is compiled once for each version of the engine.

use crate::{Digest, LoadError, RuntimeError, engine, modules::Folder};
use std::path::Path;
use wasmtime::{Engine, component::Component};

/// The cache of compiled components.
pub(crate) struct Artifacts {
    folder: Folder,
    /// What was compiled when the program was built; only read.
    shipped: Option<Folder>,
    compatibility: String,
}

/// Each file starts with the SHA-256 of the rest, as 64 hexadecimal digits.
const RECORD: usize = 64;

impl Artifacts {
    /// Opens the cache in `compiled/` of the data directory, and what came with the program, if it did.
    pub(crate) fn open(data_dir: &Path, shipped: Option<&Path>, engine: &Engine) -> Result<Artifacts, RuntimeError> {
        let folder = Folder::open(&data_dir.join("compiled"))?;
        let shipped = shipped.map(|path| path.join("compiled")).filter(|path| path.is_dir());
        let shipped = shipped.map(|path| Folder::open(&path)).transpose()?;
        Ok(Artifacts { folder, shipped, compatibility: engine::compatibility(engine) })
    }

    /// The component with this content, compiled before or now. Slow for large ones: not for an async thread.
    pub(crate) fn component(&self, engine: &Engine, digest: Digest, bytes: &[u8]) -> Result<Component, LoadError> {
        let name = format!("{}-{}.cwasm", digest.to_hex(), self.compatibility);
        for folder in [Some(&self.folder), self.shipped.as_ref()].into_iter().flatten() {
            match read(engine, folder, &name) {
                Some(Ok(component)) => return Ok(component),
                Some(Err(())) => {
                    tracing::warn!(name, "a compiled component on disk cannot be used, compiling it again");
                }
                None => {}
            }
        }
        let component = Component::new(engine, bytes).map_err(|error| LoadError::Compile(format!("{error:#}")))?;
        // The cache only saves time: a full disk must not keep a plugin from loading.
        let saved = component
            .serialize()
            .map_err(std::io::Error::other)
            .and_then(|code| self.folder.write(&name, &[Digest::of(&code).to_hex().as_bytes(), &code]));
        if let Err(error) = saved {
            tracing::warn!(%digest, %error, "the compiled component cannot be saved");
        }
        Ok(component)
    }
}

/// The compiled component in a file; `Err` if the file cannot be used, `None` if there is none.
fn read(engine: &Engine, folder: &Folder, name: &str) -> Option<Result<Component, ()>> {
    let file = folder.read(name).ok().flatten()?;
    let loaded = match file.split_at_checked(RECORD) {
        Some((record, code)) if record == Digest::of(code).to_hex().as_bytes() => deserialize(engine, code),
        _ => None,
    };
    Some(loaded.ok_or(()))
}

/// Loads compiled code. The engine checks that its own version and configuration made it.
#[allow(unsafe_code, reason = "wasmtime cannot tell whether compiled code is what its compiler wrote; see SAFETY")]
fn deserialize(engine: &Engine, code: &[u8]) -> Option<Component> {
    // SAFETY: `code` must be what `Component::serialize` returned. It comes from a file in the server's own data
    // directory, which only this module writes and which holds the server's private keys as well, or from the folder
    // beside the program itself, written by the same program when it was built: who can write to either already is the
    // server. Accidents (a torn write, a bad disk) are ruled out by the digest that was recorded with
    // the code and that the caller has just checked over these very bytes in memory.
    unsafe { Component::deserialize(engine, code) }.ok()
}
