//! Files by absolute path, over the directories that the runtime opened before the start.
//!
//! The guests build for `wasm32-unknown-unknown`, whose standard library has no files. WASI hands out directories with
//! the path at which the workload is to see each of them; a path is looked up in the directory whose path is the longest
//! beginning of it.

use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, ErrorCode, OpenFlags, PathFlags};

/// The directory that holds `path`, and what is left of the path inside it.
fn locate(path: &str) -> Result<(Descriptor, String), String> {
    let inside = |directory: &str| {
        let directory = directory.trim_end_matches('/');
        let rest = path.strip_prefix(directory)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_start_matches('/').to_owned())
    };
    let found = get_directories()
        .into_iter()
        .filter_map(|(descriptor, directory)| Some((directory.len(), descriptor, inside(&directory)?)))
        .max_by_key(|(length, ..)| *length);
    let (_, descriptor, rest) = found.ok_or_else(|| format!("{path}: in no directory of this workload"))?;
    Ok((descriptor, if rest.is_empty() { ".".to_owned() } else { rest }))
}

fn open(path: &str, how: OpenFlags, access: DescriptorFlags) -> Result<Descriptor, String> {
    let (directory, rest) = locate(path)?;
    directory.open_at(PathFlags::SYMLINK_FOLLOW, &rest, how, access).map_err(|code| failed(path, code))
}

fn failed(path: &str, code: ErrorCode) -> String {
    format!("{path}: {}", code.name())
}

/// The whole content of a file.
///
/// # Errors
/// A sentence that names the path.
pub fn read(path: &str) -> Result<Vec<u8>, String> {
    let file = open(path, OpenFlags::empty(), DescriptorFlags::READ)?;
    let mut content = Vec::new();
    loop {
        let offset = u64::try_from(content.len()).unwrap_or(u64::MAX);
        let (bytes, at_end) = file.read(64 * 1024, offset).map_err(|code| failed(path, code))?;
        content.extend_from_slice(&bytes);
        if at_end || bytes.is_empty() {
            return Ok(content);
        }
    }
}

/// Makes a file have this content.
///
/// # Errors
/// A sentence that names the path.
pub fn write(path: &str, content: &[u8]) -> Result<(), String> {
    let file = open(path, OpenFlags::CREATE | OpenFlags::TRUNCATE, DescriptorFlags::WRITE)?;
    let mut written = 0;
    while written < content.len() {
        let offset = u64::try_from(written).unwrap_or(u64::MAX);
        let count = file.write(&content[written..], offset).map_err(|code| failed(path, code))?;
        written += usize::try_from(count).unwrap_or(usize::MAX);
    }
    Ok(())
}

/// Removes a file.
///
/// # Errors
/// A sentence that names the path.
pub fn remove(path: &str) -> Result<(), String> {
    let (directory, rest) = locate(path)?;
    directory.unlink_file_at(&rest).map_err(|code| failed(path, code))
}

/// The names in a directory, sorted.
///
/// # Errors
/// A sentence that names the path.
pub fn list(path: &str) -> Result<Vec<String>, String> {
    let directory = open(path, OpenFlags::DIRECTORY, DescriptorFlags::READ)?;
    let entries = directory.read_directory().map_err(|code| failed(path, code))?;
    let mut names = Vec::new();
    while let Some(entry) = entries.read_directory_entry().map_err(|code| failed(path, code))? {
        names.push(entry.name);
    }
    names.sort();
    Ok(names)
}

/// An environment variable; empty if it is not set.
pub fn variable(name: &str) -> String {
    let all = wasip2::cli::environment::get_environment();
    all.into_iter().find(|(key, _)| key == name).map(|(_, value)| value).unwrap_or_default()
}

/// Sleeps.
pub fn sleep(milliseconds: u64) {
    wasip2::clocks::monotonic_clock::subscribe_duration(milliseconds.saturating_mul(1_000_000)).block();
}

/// Keeps the processor busy for that long by the clock.
pub fn burn(milliseconds: u64) -> u64 {
    let start = wasip2::clocks::monotonic_clock::now();
    let mut work = 1_u64;
    while wasip2::clocks::monotonic_clock::now() - start < milliseconds.saturating_mul(1_000_000) {
        for _ in 0..10_000 {
            work = std::hint::black_box(work.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
        }
    }
    work
}

/// Takes memory, a mebibyte at a time, and uses it.
pub fn allocate(mebibytes: usize) -> Vec<Vec<u8>> {
    (0..mebibytes).map(|number| vec![std::hint::black_box(number as u8 | 1); 1 << 20]).collect()
}
