//! Turns core wasm modules, as `cargo build --target wasm32-unknown-unknown` leaves them, into components.
//!
//! `portcullis-componentize IN.wasm OUT.wasm [IN OUT]...`. An output that is newer than its input is left alone, so
//! that running this over every guest costs nothing when nothing was rebuilt.

use std::{env, fs, path::Path, process::ExitCode};

use anyhow::{Context, Result, ensure};
use wit_component::ComponentEncoder;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portcullis-componentize: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let paths: Vec<String> = env::args().skip(1).collect();
    ensure!(!paths.is_empty() && paths.len() % 2 == 0, "usage: portcullis-componentize IN.wasm OUT.wasm [IN OUT]...");
    for pair in paths.chunks_exact(2) {
        let (from, to) = (Path::new(&pair[0]), Path::new(&pair[1]));
        if is_current(from, to)? {
            continue;
        }
        let component = componentize(from).with_context(|| format!("{}", from.display()))?;
        // A reader must never see half a component: write beside it, then rename.
        let partial = to.with_extension("partial");
        fs::write(&partial, &component).with_context(|| format!("{}", partial.display()))?;
        fs::rename(&partial, to).with_context(|| format!("{}", to.display()))?;
        println!("  {} ({} KiB)", to.display(), component.len().div_ceil(1024));
    }
    Ok(())
}

/// Whether `to` was made from `from` as it is now, judging by times.
fn is_current(from: &Path, to: &Path) -> Result<bool> {
    let source = fs::metadata(from).with_context(|| format!("{}", from.display()))?.modified()?;
    Ok(fs::metadata(to).is_ok_and(|made| made.modified().is_ok_and(|time| time > source)))
}

/// The component of one core module. The module carries its world in a custom section, which the SDK's macros put there.
fn componentize(path: &Path) -> Result<Vec<u8>> {
    let module = fs::read(path)?;
    ComponentEncoder::default().validate(true).module(&module)?.encode()
}
