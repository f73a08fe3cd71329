//! Lines of the CRI's log format, and what is left of them for a reader.

use jiff::Timestamp;
use portcullis_machinery::log_options::{LogStreams, PodLogOptions};

/// One entry: `TIME STREAM TAGS TEXT`.
struct Entry<'a> {
    time: &'a str,
    stream: &'a str,
    /// Whether the line goes on in the stream's next entry.
    partial: bool,
    text: &'a [u8],
}

fn parse(line: &[u8]) -> Option<Entry<'_>> {
    let mut parts = line.splitn(4, |byte| *byte == b' ');
    let mut word = || std::str::from_utf8(parts.next()?).ok();
    let (time, stream, tags) = (word()?, word()?, word()?);
    let partial = match tags.split(':').next()? {
        "F" => false,
        "P" => true,
        _ => return None,
    };
    matches!(stream, "stdout" | "stderr").then_some(())?;
    Some(Entry { time, stream, partial, text: parts.next().unwrap_or_default() })
}

/// A time as the log has it, with all nine digits of its fraction.
fn padded(time: &str) -> String {
    let zone = time.rfind(['Z', '+', '-']).filter(|at| *at > 10).unwrap_or(time.len());
    let (clock, zone) = time.split_at(zone);
    let (seconds, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    format!("{seconds}.{fraction:0<9}{zone}")
}

/// Turns entries into what a reader asked for.
pub(super) struct Filter {
    streams: LogStreams,
    since: Option<Timestamp>,
    timestamps: bool,
    left: Option<u64>,
    /// Whether the last entry written was a part of a line.
    within_line: bool,
}

impl Filter {
    pub(super) fn new(options: &PodLogOptions, now: Timestamp) -> Self {
        Self {
            streams: options.streams().unwrap_or_default(),
            since: options.since(now),
            timestamps: options.timestamps,
            left: options.limit_bytes.map(|bytes| u64::try_from(bytes).unwrap_or(0)),
            within_line: false,
        }
    }

    /// Whether the reader wants no more.
    pub(super) fn is_full(&self) -> bool {
        self.left == Some(0)
    }

    /// Adds to `out` what the reader sees of an entry (without its newline). What is no entry is left out.
    pub(super) fn add(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let Some(entry) = parse(line) else {
            if !line.is_empty() {
                tracing::debug!(bytes = line.len(), "a line of a container's log is not in the CRI's format");
            }
            return;
        };
        let wanted = match self.streams {
            LogStreams::All => true,
            LogStreams::Stdout => entry.stream == "stdout",
            LogStreams::Stderr => entry.stream == "stderr",
        };
        let Ok(time) = entry.time.parse::<Timestamp>() else { return };
        if !wanted || self.since.is_some_and(|since| time < since) {
            return;
        }
        let start = out.len();
        if self.timestamps && !self.within_line {
            out.extend_from_slice(padded(entry.time).as_bytes());
            out.push(b' ');
        }
        out.extend_from_slice(entry.text);
        if !entry.partial {
            out.push(b'\n');
        }
        self.within_line = entry.partial;
        if let Some(left) = &mut self.left {
            let fits = usize::try_from(*left).unwrap_or(usize::MAX).min(out.len() - start);
            out.truncate(start + fits);
            *left -= fits as u64;
        }
    }
}
