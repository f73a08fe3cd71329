//! The machine's own numbers, from `/proc`.

use std::io;

use jiff::Timestamp;

/// Ticks in a second of `/proc/stat`: fixed for programs, whatever the kernel's own clock is (`USER_HZ`).
const TICKS: u64 = 100;

/// What the machine uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Usage {
    pub booted_at: Timestamp,
    pub cpu_nanos: u64,
    pub memory_available: u64,
    /// All but free memory.
    pub memory_used: u64,
    /// All but what could be given to somebody else at once.
    pub memory_working_set: u64,
}

pub(super) fn usage() -> io::Result<Usage> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let memory = std::fs::read_to_string("/proc/meminfo")?;
    parse(&stat, &memory).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "/proc is not as expected"))
}

fn parse(stat: &str, memory: &str) -> Option<Usage> {
    let line = |name: &str| stat.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let ticks: Vec<u64> = line("cpu")?.split_whitespace().filter_map(|ticks| ticks.parse().ok()).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal; the guests' times that follow are in user and nice already.
    let used = ticks.iter().take(8).enumerate().filter(|(index, _)| !matches!(index, 3 | 4)).map(|(_, ticks)| ticks);
    let bytes = |name: &str| {
        let text = memory.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        text.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
    };
    let (total, available) = (bytes("MemTotal")?, bytes("MemAvailable")?);
    Some(Usage {
        booted_at: Timestamp::from_second(line("btime")?.trim().parse().ok()?).ok()?,
        cpu_nanos: used.sum::<u64>().checked_mul(1_000_000_000 / TICKS)?,
        memory_available: available,
        memory_used: total.saturating_sub(bytes("MemFree")?),
        memory_working_set: total.saturating_sub(available),
    })
}

#[cfg(test)]
mod tests;
