//! Takes the descriptions of types and fields from the sources of the crate `k8s-openapi`, which are generated from the
//! API's own document, and writes them as a compressed table. The crate is only read: cargo downloads it, pinned by the
//! lock file in `source`, and nothing of it is compiled. `PORTCULLIS_K8S_OPENAPI` may name a folder that has it.
//!
//! A block of the table holds one package's types. Its records are sorted: `Type` or `Type.field`, a unit separator, the
//! text, a record separator.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The version of the API whose types are described.
const API: &str = "v1_36";
/// The generator's own type, which stands for all lists.
const LIST: &str = "io.k8s.List";

/// By package, by `Type` or `Type.field`.
type Texts = BTreeMap<String, BTreeMap<String, String>>;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=source/Cargo.lock");
    println!("cargo::rerun-if-env-changed=PORTCULLIS_K8S_OPENAPI");
    let source = match env::var_os("PORTCULLIS_K8S_OPENAPI") {
        Some(given) => PathBuf::from(given),
        None => match downloaded() {
            Ok(found) => found,
            Err(why) => {
                println!("cargo::error=the sources of k8s-openapi cannot be had: {why}");
                return;
            }
        },
    };
    let mut texts = Texts::new();
    if let Err(why) = folder(&source.join("src").join(API), &mut texts) {
        println!("cargo::error={}: {why}", source.display());
        return;
    }
    write(&texts);
    let version = source.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    fs::write(out_dir().join("version"), format!("{version} {API}")).expect("OUT_DIR is writable");
}

fn out_dir() -> PathBuf {
    PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"))
}

/// Where cargo has the sources.
fn downloaded() -> Result<PathBuf, String> {
    let manifest = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("no CARGO_MANIFEST_DIR")?);
    let variable = |name: &str| env::var(name).map_err(|error| format!("{name}: {error}"));
    let mut cargo = Command::new(variable("CARGO")?);
    cargo.args(["metadata", "--locked", "--format-version", "1", "--filter-platform", &variable("HOST")?]);
    cargo.arg("--manifest-path").arg(manifest.join("source/Cargo.toml"));
    // The surrounding build's settings are not for this look-up.
    const KEPT: [&str; 6] =
        ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTRIES_", "CARGO_REGISTRY_", "CARGO_SOURCE_"];
    for (name, _) in env::vars_os() {
        let Some(name) = name.to_str() else { continue };
        if (name.starts_with("CARGO") || name == "RUSTFLAGS") && !KEPT.iter().any(|kept| name.starts_with(kept)) {
            cargo.env_remove(name);
        }
    }
    let output = cargo.output().map_err(|error| error.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).replace('\n', " "));
    }
    let metadata = String::from_utf8_lossy(&output.stdout);
    let paths = metadata.split("\"manifest_path\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let found = paths.filter_map(|path| Path::new(path).parent()).find(|folder| {
        folder.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with("k8s-openapi-"))
    });
    found.map(Path::to_owned).ok_or_else(|| "cargo does not say where they are".to_owned())
}

fn folder(path: &Path, texts: &mut Texts) -> std::io::Result<()> {
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if path.is_dir() {
            folder(&path, texts)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            file(&fs::read_to_string(&path)?, texts);
        }
    }
    Ok(())
}

/// One type. Its schema is generated text of one form, so that indentation says what a line is: 12 spaces for the type's
/// own keywords, 16 for the names of fields, 20 for the keywords of a field.
fn file(text: &str, texts: &mut Texts) {
    let Some(name) = text.lines().next().and_then(|line| line.strip_prefix("// Generated from definition ")) else {
        return;
    };
    if name == LIST {
        return list(text, texts.entry(String::new()).or_default());
    }
    let Some((_, schema)) = text.split_once("json_schema!({") else { return };
    let (package, name) = name.rsplit_once('.').unwrap_or(("", name));
    let package = texts.entry(package.to_owned()).or_default();
    let mut field: Option<&str> = None;
    for line in schema.lines() {
        let trimmed = line.trim_start();
        match line.len() - trimmed.len() {
            12 if trimmed.starts_with('}') => field = None,
            12 => {
                if let Some(text) = described(trimmed) {
                    package.insert(name.to_owned(), text);
                }
            }
            16 => {
                if let Some(rest) = trimmed.strip_prefix('"') {
                    field = rest.split_once("\": ").map(|(name, _)| name);
                }
            }
            20 => {
                if let (Some(field), Some(text)) = (field, described(trimmed)) {
                    package.entry(format!("{name}.{field}")).or_insert(text);
                }
            }
            _ => {}
        }
    }
}

/// The type of all lists has no schema; its documentation says the same.
fn list(text: &str, package: &mut BTreeMap<String, String>) {
    let mut documentation = String::new();
    for line in text.lines().map(str::trim_start).take_while(|line| *line != "}") {
        if let Some(text) = line.strip_prefix("/// ") {
            text.clone_into(&mut documentation);
        } else if line.starts_with("pub struct ") {
            package.insert(LIST.to_owned(), std::mem::take(&mut documentation));
        } else if let Some((field, _)) = line.strip_prefix("pub ").and_then(|line| line.split_once(':')) {
            package.insert(format!("{LIST}.{field}"), std::mem::take(&mut documentation));
        }
    }
}

/// The text of a line that gives a description, as an entry or as a call.
fn described(line: &str) -> Option<String> {
    let rest = match line.strip_prefix("\"description\": \"") {
        Some(rest) => rest,
        None => line.split_once("insert(\"description\".into(), \"")?.1,
    };
    let mut text = String::new();
    let mut chars = rest.chars();
    loop {
        match chars.next()? {
            '"' => return Some(text),
            '\\' => match chars.next()? {
                'n' => text.push('\n'),
                't' => text.push('\t'),
                'r' => text.push('\r'),
                'u' => {
                    let code: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                    text.push(u32::from_str_radix(&code, 16).ok().and_then(char::from_u32)?);
                }
                other => text.push(other),
            },
            other => text.push(other),
        }
    }
}

fn write(texts: &Texts) {
    let out = out_dir();
    let mut table = String::from("&[\n");
    for (number, (package, records)) in texts.iter().filter(|(_, records)| !records.is_empty()).enumerate() {
        let mut block = String::new();
        for (key, text) in records {
            write!(block, "{key}\u{1f}{text}\u{1e}").expect("writing to a String");
        }
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        let compressed = encoder.write_all(block.as_bytes()).and_then(|()| encoder.finish());
        let name = format!("/{number}.deflate");
        fs::write(out.join(&name[1..]), compressed.expect("compressing into memory")).expect("OUT_DIR is writable");
        let bytes = format!("include_bytes!(concat!(env!(\"OUT_DIR\"), {name:?}))");
        let length = block.len();
        writeln!(table, "    Packed {{ package: {package:?}, length: {length}, bytes: {bytes} }},")
            .expect("writing to a String");
    }
    table.push_str("]\n");
    fs::write(out.join("table.rs"), table).expect("OUT_DIR is writable");
}
