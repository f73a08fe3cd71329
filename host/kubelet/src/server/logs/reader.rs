//! Reads a log's file: from its end backwards for the last lines, and on and on for those who follow.

use std::io::{self, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;
use jiff::Timestamp;
use portcullis_machinery::log_options::PodLogOptions;
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::super::LogFile;
use super::format::Filter;

/// How much is read at a time.
const BLOCK: usize = 64 * 1024;
/// How often a follower looks for more.
const POLL: Duration = Duration::from_millis(100);
/// How long the file may be missing while it is rotated.
const ROTATION: Duration = Duration::from_secs(5);

/// The log as a stream of bytes. The file is opened before this returns, so that what is wrong with it can be said in the
/// answer's status; reading it goes only as fast as the stream is read.
pub(super) async fn stream(
    log: LogFile,
    options: &PodLogOptions,
    now: Timestamp,
) -> io::Result<impl Stream<Item = io::Result<Bytes>> + use<>> {
    let mut file = File::open(&log.path).await?;
    if let Some(lines) = options.tail_lines {
        let start = last_lines(&mut file, u64::try_from(lines).unwrap_or(0)).await?;
        file.seek(SeekFrom::Start(start)).await?;
    }
    let (sender, receiver) = mpsc::channel(4);
    let filter = Filter::new(options, now);
    let follow = options.follow;
    tokio::spawn(async move {
        if let Err(error) = read(log, file, filter, follow, &sender).await {
            // The reader sees that the log ends before its end.
            let _ = sender.send(Err(error)).await;
        }
    });
    Ok(ReceiverStream::new(receiver))
}

/// Where the last `count` lines begin.
async fn last_lines(file: &mut File, count: u64) -> io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0)).await?;
    let mut found = 0;
    let mut block = vec![0; BLOCK];
    while end > 0 {
        let start = end.saturating_sub(BLOCK as u64);
        let part = block.get_mut(..usize::try_from(end - start).unwrap_or(BLOCK)).unwrap_or_default();
        file.seek(SeekFrom::Start(start)).await?;
        file.read_exact(part).await?;
        for (at, byte) in part.iter().enumerate().rev() {
            if *byte == b'\n' {
                found += 1;
                if found > count {
                    return Ok(start + at as u64 + 1);
                }
            }
        }
        end = start;
    }
    Ok(0)
}

async fn read(
    log: LogFile,
    mut file: File,
    mut filter: Filter,
    follow: bool,
    sender: &mpsc::Sender<io::Result<Bytes>>,
) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    let mut pending = Vec::new();
    // Once the container has ended, all it wrote is in the file: the next end of the file is the log's.
    let mut last_round = !follow;
    loop {
        let count = file.read(&mut block).await?;
        pending.extend_from_slice(block.get(..count).unwrap_or_default());
        let mut out = Vec::new();
        let mut begin = 0;
        while let Some(length) = pending[begin..].iter().position(|byte| *byte == b'\n') {
            filter.add(&pending[begin..begin + length], &mut out);
            begin += length + 1;
            if filter.is_full() {
                break;
            }
        }
        pending.drain(..begin);
        if count == 0 && last_round && !pending.is_empty() && !filter.is_full() {
            filter.add(&std::mem::take(&mut pending), &mut out);
        }
        if !out.is_empty() && sender.send(Ok(out.into())).await.is_err() {
            return Ok(());
        }
        if filter.is_full() {
            return Ok(());
        }
        if count > 0 {
            continue;
        }
        if let Some(next) = rotated(&log, &mut file, follow).await? {
            // The old file was read to its end after the new one was there, so nothing is left out.
            file = next;
            pending.clear();
            continue;
        }
        if last_round {
            return Ok(());
        }
        tokio::select! {
            () = log.ended.cancelled() => last_round = true,
            () = tokio::time::sleep(POLL) => {}
            () = sender.closed() => return Ok(()),
        }
    }
}

/// The file that has taken the place of the one that is read, if one has and the old one is read to its end.
async fn rotated(log: &LogFile, file: &mut File, follow: bool) -> io::Result<Option<File>> {
    if !follow {
        return Ok(None);
    }
    let deadline = tokio::time::Instant::now() + ROTATION;
    let next = loop {
        match File::open(&log.path).await {
            Ok(next) => break next,
            // It was renamed and is not made anew yet, unless the container is gone with all its files.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if log.ended.is_cancelled() || tokio::time::Instant::now() > deadline {
                    return Ok(None);
                }
                tokio::time::sleep(POLL).await;
            }
            Err(error) => return Err(error),
        }
    };
    let (old, new) = (file.metadata().await?, next.metadata().await?);
    let position = file.stream_position().await?;
    if old.ino() == new.ino() && old.dev() == new.dev() {
        if old.len() < position {
            // It was emptied in place.
            file.seek(SeekFrom::Start(0)).await?;
        }
        return Ok(None);
    }
    Ok((position >= old.len()).then_some(next))
}
