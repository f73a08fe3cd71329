//! What this host has, read from the kernel.

use std::path::{Path, PathBuf};

/// A host's size and software.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    pub(crate) cpu_millis: i64,
    pub(crate) memory_bytes: i64,
    pub(crate) storage_bytes: i64,
    pub(crate) machine_id: String,
    pub(crate) boot_id: String,
    pub(crate) kernel: String,
    pub(crate) os_image: String,
    /// Where pods' files are, whose disk may become full.
    root: PathBuf,
}

/// What a host is short of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pressure {
    pub(crate) memory: bool,
    pub(crate) disk: bool,
    pub(crate) pids: bool,
}

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// A field of /proc/meminfo in bytes.
fn meminfo(text: &str, field: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse::<i64>().ok().map(|kibibytes| kibibytes * 1024)
}

fn os_image(text: &str) -> String {
    let name = text.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    name.map_or_else(|| "Linux".to_owned(), |name| name.trim_matches('"').to_owned())
}

/// The whole and the free bytes of the file system of a path.
fn storage(path: &Path) -> Option<(i64, i64)> {
    let stat = rustix::fs::statvfs(path).ok()?;
    let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(stat.f_frsize)).unwrap_or(i64::MAX);
    Some((bytes(stat.f_blocks), bytes(stat.f_bavail)))
}

impl Machine {
    /// This host, with `root` for the disk of its pods.
    pub(crate) fn of_this_host(root: &Path) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
        Self {
            cpu_millis: i64::try_from(cores).unwrap_or(1).saturating_mul(1000),
            memory_bytes: meminfo(&read("/proc/meminfo"), "MemTotal").unwrap_or(0),
            storage_bytes: storage(root).map_or(0, |(whole, _)| whole),
            machine_id: read("/etc/machine-id"),
            boot_id: read("/proc/sys/kernel/random/boot_id"),
            kernel: read("/proc/sys/kernel/osrelease"),
            os_image: os_image(&read("/etc/os-release")),
            root: root.to_owned(),
        }
    }

    /// What it is short of now. The thresholds are the reference's, 100 MiB of memory and a tenth of the disk, but a large
    /// disk has enough with 2 GiB: what runs here brings no layers of images along.
    pub(crate) fn pressure(&self) -> Pressure {
        let available = meminfo(&read("/proc/meminfo"), "MemAvailable").unwrap_or(i64::MAX);
        let disk = storage(&self.root).is_some_and(|(whole, free)| free < (whole / 10).min(2 << 30));
        Pressure { memory: available < 100 << 20, disk, pids: false }
    }

    /// `amd64`, `arm64`: the names of Go, which labels use.
    pub(crate) fn architecture() -> &'static str {
        match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{meminfo, os_image};

    #[test]
    fn what_the_kernel_says() {
        let text = "MemTotal:       24600000 kB\nMemAvailable:    1000 kB\n";
        assert_eq!(meminfo(text, "MemTotal"), Some(24_600_000 * 1024));
        assert_eq!(meminfo(text, "MemAvailable"), Some(1_024_000));
        assert_eq!(meminfo(text, "Mem"), None);
        assert_eq!(os_image("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n"), "Debian GNU/Linux 12");
        assert_eq!(os_image(""), "Linux");
    }
}
