//! Finds the built components and writes the table that embeds them. They are built by `make guests`
//! (`scripts/build-guests.sh`); a build without them stops here and says so, rather than making a binary that cannot
//! decide anything.

use std::{env, fmt::Write as _, fs, path::PathBuf};

/// Name of the component file, without `.wasm`.
const COMPONENTS: &str = include_str!("components.txt");

fn main() {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR"));
    let guests = env::var_os("PORTCULLIS_GUESTS").map_or_else(|| manifest.join("../../target/guests"), PathBuf::from);
    println!("cargo::rerun-if-env-changed=PORTCULLIS_GUESTS");
    println!("cargo::rerun-if-changed=components.txt");
    let mut table = String::from("&[\n");
    for name in COMPONENTS.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let path = guests.join(format!("{name}.wasm"));
        println!("cargo::rerun-if-changed={}", path.display());
        let Ok(path) = fs::canonicalize(&path) else {
            println!("cargo::error={} is missing: run `make guests` first", path.display());
            return;
        };
        writeln!(table, "    Component {{ name: {name:?}, bytes: include_bytes!({:?}) }},", path.display().to_string())
            .expect("writing to a String");
    }
    table.push_str("]\n");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    fs::write(out.join("components.rs"), table).expect("OUT_DIR is writable");
}
