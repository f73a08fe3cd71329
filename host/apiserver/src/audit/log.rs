//! Where events go: a file or the standard output, one JSON object a line, written by a thread of its own.
//!
//! Requests never wait for the disk. Between them and the writer is a queue of bounded length; an event that finds it
//! full is dropped and counted, and the log says how many were.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

/// How many events may wait for the writer.
const QUEUE: usize = 10_000;
/// How long the end of the process waits for what is queued.
const FLUSH_WITHIN: Duration = Duration::from_secs(3);

enum Message {
    Event(Vec<u8>),
    /// Answered when everything before it is written.
    Flush(SyncSender<()>),
}

/// What was counted about events.
#[derive(Debug, Default)]
struct Counts {
    written: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

/// The queue's end where events go in.
pub struct Log {
    sender: SyncSender<Message>,
    counts: Arc<Counts>,
}

impl Log {
    /// Opens a file for appending (made readable by its owner only), or the standard output for `-`.
    ///
    /// # Errors
    /// If the file cannot be opened, or the thread not started.
    pub fn open(path: &Path) -> io::Result<Self> {
        let out: Box<dyn Write + Send> = if path == Path::new("-") {
            Box::new(io::stdout())
        } else {
            Box::new(OpenOptions::new().create(true).append(true).mode(0o600).open(path)?)
        };
        Self::start(out, QUEUE)
    }

    pub(super) fn start(out: Box<dyn Write + Send>, queue: usize) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(queue);
        let counts = Arc::new(Counts::default());
        let counted = Arc::clone(&counts);
        std::thread::Builder::new().name("audit-log".to_owned()).spawn(move || write(out, &receiver, &counted))?;
        Ok(Self { sender, counts })
    }

    /// Queues an event; it is dropped if the writer is that far behind.
    pub fn send(&self, event: Vec<u8>) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = self.sender.try_send(Message::Event(event))
            && self.counts.dropped.fetch_add(1, Ordering::Relaxed).is_power_of_two()
        {
            tracing::error!("the audit log cannot keep up: events are dropped");
        }
    }

    /// Waits until what was queued is written, for a bounded time. Blocking.
    pub fn flush(&self) {
        let (done, written) = sync_channel(1);
        if self.sender.send(Message::Flush(done)).is_ok() {
            let _ = written.recv_timeout(FLUSH_WITHIN);
        }
    }

    /// The counts as Prometheus text, with kube-apiserver's names.
    pub fn metrics(&self) -> String {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (written, dropped, failed) =
            (count(&self.counts.written), count(&self.counts.dropped), count(&self.counts.failed));
        format!(
            "# HELP apiserver_audit_event_total Audit events that were written.\n\
             # TYPE apiserver_audit_event_total counter\napiserver_audit_event_total {written}\n\
             # HELP apiserver_audit_error_total Audit events that were lost.\n\
             # TYPE apiserver_audit_error_total counter\n\
             apiserver_audit_error_total{{plugin=\"log\",reason=\"queue\"}} {dropped}\n\
             apiserver_audit_error_total{{plugin=\"log\",reason=\"write\"}} {failed}\n"
        )
    }
}

fn write(out: Box<dyn Write + Send>, receiver: &Receiver<Message>, counts: &Counts) {
    let mut out = BufWriter::with_capacity(256 << 10, out);
    while let Ok(first) = receiver.recv() {
        let mut next = Some(first);
        // All that waits is written before the buffer goes out: one write for many events under load.
        while let Some(message) = next {
            match message {
                Message::Event(mut event) => {
                    event.push(b'\n');
                    count(counts, out.write_all(&event));
                }
                Message::Flush(done) => {
                    flush(&mut out);
                    let _ = done.try_send(());
                }
            }
            next = receiver.try_recv().ok();
        }
        flush(&mut out);
    }
}

fn flush(out: &mut impl Write) {
    if let Err(error) = out.flush() {
        tracing::error!(%error, "the audit log cannot be written");
    }
}

fn count(counts: &Counts, result: io::Result<()>) {
    match result {
        Ok(()) => counts.written.fetch_add(1, Ordering::Relaxed),
        Err(error) => {
            if counts.failed.fetch_add(1, Ordering::Relaxed).is_power_of_two() {
                tracing::error!(%error, "the audit log cannot be written");
            }
            0
        }
    };
}
