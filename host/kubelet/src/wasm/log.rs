//! Output of workloads, in the CRI's log format: `<RFC 3339 time> <stream> <F|P> <text>`, one line a line.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

#[cfg(test)]
mod tests;

/// Past this length a line is written in parts marked `P`, as container runtimes do.
const MAX_LINE: usize = 16 * 1024;

/// A log that has grown to this size is put aside (`containerLogMaxSize`) ...
const MAX_SIZE: u64 = 10 << 20;
/// ... and so many files of one container are kept, the present one included (`containerLogMaxFiles`).
const MAX_FILES: usize = 5;

/// A container's log file.
#[derive(Clone)]
pub(super) struct ContainerLog {
    output: Arc<Mutex<Output>>,
}

/// The file that is written now.
struct Output {
    file: std::fs::File,
    path: PathBuf,
    size: u64,
    max_size: u64,
}

impl Output {
    fn open(path: &Path, max_size: u64) -> std::io::Result<Self> {
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        let size = file.metadata()?.len();
        Ok(Self { file, path: path.to_owned(), size, max_size })
    }

    fn write(&mut self, text: &[u8]) -> std::io::Result<()> {
        self.file.write_all(text)?;
        self.size += u64::try_from(text.len()).unwrap_or(0);
        if self.size >= self.max_size { self.rotate() } else { Ok(()) }
    }

    /// Puts the file aside as `<name>.<time>`, where whoever follows it still reads its end, and begins a new one.
    fn rotate(&mut self) -> std::io::Result<()> {
        let mut aside = self.path.clone().into_os_string();
        aside.push(format!(".{}", Timestamp::now().as_nanosecond()));
        std::fs::rename(&self.path, aside)?;
        *self = Self::open(&self.path, self.max_size)?;
        let (Some(folder), Some(name)) = (self.path.parent(), self.path.file_name().and_then(|name| name.to_str()))
        else {
            return Ok(());
        };
        let prefix = format!("{name}.");
        let mut old: Vec<PathBuf> = std::fs::read_dir(folder)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| {
                path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(&prefix))
            })
            .collect();
        old.sort();
        for path in old.iter().rev().skip(MAX_FILES - 1) {
            std::fs::remove_file(path)?;
        }
        Ok(())
    }
}

impl ContainerLog {
    /// Opens the file for appending, with the directories above it.
    pub(super) fn open(path: &Path) -> std::io::Result<Self> {
        Self::with_max_size(path, MAX_SIZE)
    }

    fn with_max_size(path: &Path, max_size: u64) -> std::io::Result<Self> {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        Ok(Self { output: Arc::new(Mutex::new(Output::open(path, max_size)?)) })
    }

    /// One of the two streams that end in this log.
    pub(super) fn stream(&self, name: &'static str) -> LogStream {
        LogStream { inner: Arc::new(Mutex::new(Lines { log: self.clone(), name, pending: Vec::new() })) }
    }

    /// Writes whole lines with a single system call, so that the two streams never mix within a line. A full disk
    /// loses output, never the workload.
    fn append(&self, text: &[u8]) {
        if let Err(error) = self.output.lock().write(text) {
            tracing::warn!(%error, "a container's log cannot be written");
        }
    }
}

/// The bytes of one stream that do not make a line yet.
struct Lines {
    log: ContainerLog,
    name: &'static str,
    pending: Vec<u8>,
}

impl Lines {
    fn push(&mut self, bytes: &[u8]) {
        let mut out = Vec::with_capacity(bytes.len() + 64);
        for &byte in bytes {
            if byte == b'\n' {
                self.line(&mut out, 'F');
            } else {
                self.pending.push(byte);
                if self.pending.len() == MAX_LINE {
                    self.line(&mut out, 'P');
                }
            }
        }
        if !out.is_empty() {
            self.log.append(&out);
        }
    }

    fn line(&mut self, out: &mut Vec<u8>, tag: char) {
        out.extend_from_slice(format!("{:.9} {} {tag} ", Timestamp::now(), self.name).as_bytes());
        out.append(&mut self.pending);
        out.push(b'\n');
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        if !self.pending.is_empty() {
            let mut out = Vec::new();
            self.line(&mut out, 'F');
            self.log.append(&out);
        }
    }
}

/// A stream of a container's output; clones write to the same one.
#[derive(Clone)]
pub(super) struct LogStream {
    inner: Arc<Mutex<Lines>>,
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait::async_trait]
impl Pollable for LogStream {
    async fn ready(&mut self) {}
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.inner.lock().push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(64 * 1024)
    }
}

impl tokio::io::AsyncWrite for LogStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        self.inner.lock().push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
