//! An etcd's contents, to an archive and from one.
//!
//! An archive is read at one revision, page by page, beside whatever is being written. What is restored gets revisions of
//! etcd's own. Clients remember those of the archive's cluster and take lower ones for the past, so etcd's are brought
//! beyond them first. etcd knows no other way to do that than to write: one small write for each revision, which is
//! discarded when all is done. An etcd whose revision is there already, because it is the archive's own, needs none.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use etcd_client::{GetOptions, LeaseTimeToLiveOptions};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use portcullis_storage::archive::{ArchiveError, ArchiveReader, ArchiveWriter, Entry, Head};
use portcullis_storage::{Expect, RangeRequest, Store, StoreError};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::endpoints::{Call, Endpoint, Endpoints};
use crate::keys::Keys;
use crate::{EtcdOptions, EtcdStore, at_revision, number};

/// How many entries a page has, and how many writes are under way at once.
const PAGE: i64 = 500;
const PARALLEL: usize = 128;
/// The most writes that are made to bring etcd's revision beyond the archive's: some minutes of them.
const MAX_RAISE: u64 = 5_000_000;
/// etcd's own snapshots end with the SHA-256 of what is before it; what is before it is whole pages.
const HASH: usize = 32;
const DB_PAGE: u64 = 512;

/// Why contents were not taken over.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// etcd did not do it.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The archive cannot be written or read.
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    /// A file cannot be written or read.
    #[error("{0}")]
    File(String),
    /// There is something in etcd that would be mixed with what is restored.
    #[error("there are {0} entries in etcd below {1} already")]
    NotEmpty(u64, String),
    /// etcd's revision cannot be brought there by writes.
    #[error(
        "etcd's revision has to be {wanted} first, and is {missing} short of it: make the etcd of a snapshot of an empty \
         one, with `etcdutl snapshot restore --bump-revision {wanted} --mark-compacted`"
    )]
    TooFar {
        /// The revision.
        wanted: u64,
        /// How many are missing.
        missing: u64,
    },
    /// What etcd has sent is not what it says that it is.
    #[error("the snapshot's checksum is wrong")]
    Checksum,
}

/// Now, in milliseconds since 1970.
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The ends of leases, asked for once each.
struct Ends<'a> {
    endpoints: &'a Endpoints,
    known: HashMap<i64, u64>,
}

impl Ends<'_> {
    /// When entries of a lease end; 0 for never.
    async fn of(&mut self, lease: i64) -> Result<u64, StoreError> {
        if lease == 0 {
            return Ok(0);
        }
        if let Some(end) = self.known.get(&lease) {
            return Ok(*end);
        }
        let ask =
            |member: Endpoint| async move { member.lease().time_to_live(lease, None::<LeaseTimeToLiveOptions>).await };
        let answer = self.endpoints.call(Call::Repeatable, ask).await.map_err(|failure| failure.into_error(0))?;
        // One that has ended says so with a negative number.
        let end = now() + number(answer.ttl()).saturating_mul(1000).max(1);
        self.known.insert(lease, end);
        Ok(end)
    }
}

/// Writes all that is below the options' prefix to an archive. Returns its revision and the number of its entries.
///
/// # Errors
/// [`TransferError`].
pub async fn export(options: &EtcdOptions, path: &Path, at: &str) -> Result<(u64, u64), TransferError> {
    let endpoints = Endpoints::new(options).await?;
    endpoints.first_version(options.open_within).await?;
    let keys = Keys::new(&options.prefix);
    let mut ends = Ends { endpoints: &endpoints, known: HashMap::new() };
    let (mut start, end) = keys.range("", "");
    let (mut writer, mut revision) = (None, None);
    loop {
        let get = |member: Endpoint| {
            let options = at_revision(GetOptions::new(), revision).with_range(end.clone()).with_limit(PAGE);
            let start = start.clone();
            async move { member.kv().get(start, Some(options)).await }
        };
        let answer = endpoints.call(Call::Repeatable, get).await.map_err(|failure| failure.into_error(0))?;
        let read_at = *revision.get_or_insert(answer.header().map_or(0, |header| number(header.revision())));
        let out = match &mut writer {
            Some(writer) => writer,
            None => {
                let head = Head { engine: "etcd".to_owned(), revision: read_at, at: at.to_owned() };
                writer.insert(ArchiveWriter::create(path, &head)?)
            }
        };
        for kv in answer.kvs() {
            let Some(key) = keys.inner(kv.key()) else { continue };
            out.put(&Entry {
                key: key.to_string(),
                value: kv.value().to_vec().into(),
                create_revision: number(kv.create_revision()),
                mod_revision: number(kv.mod_revision()),
                expires_at: ends.of(kv.lease()).await?,
            })?;
        }
        match answer.kvs().last() {
            Some(last) if answer.more() => {
                start = String::from_utf8_lossy(last.key()).into_owned() + "\0";
            }
            _ => break,
        }
    }
    let entries = writer.map_or(Ok(0), ArchiveWriter::finish)?;
    Ok((revision.unwrap_or(0), entries))
}

/// Brings etcd's revision to `wanted`.
async fn raise(store: &Arc<dyn Store>, wanted: u64) -> Result<(), StoreError> {
    loop {
        let missing = wanted.saturating_sub(store.revision().await?);
        if missing == 0 {
            return Ok(());
        }
        let round = missing.min(100_000);
        tracing::info!(missing, "raising etcd's revision");
        let writes = (0..round)
            .map(|_| async { store.put("/registry/~touch", bytes::Bytes::new(), Expect::Any, None).await.map(drop) });
        stream::iter(writes).buffer_unordered(PARALLEL).try_collect::<()>().await?;
    }
}

/// Puts an archive's entries below the options' prefix, where there must be nothing, each with a revision after the
/// archive's and `bump` more; what was before is compacted. The archive has been verified. Returns the number of entries
/// and etcd's revision.
///
/// # Errors
/// [`TransferError`].
pub async fn import(
    options: &EtcdOptions,
    archive: &mut ArchiveReader,
    bump: u64,
) -> Result<(u64, u64), TransferError> {
    let store = EtcdStore::open(options.clone()).await?;
    let everything = RangeRequest { count_only: true, ..RangeRequest::default() };
    let there = store.range(everything).await?.remaining;
    let touched = u64::from(has_touch(options).await?);
    if there > touched {
        return Err(TransferError::NotEmpty(there - touched, options.prefix.clone()));
    }
    let wanted = archive.head().revision + bump;
    let missing = wanted.saturating_sub(store.revision().await?);
    if missing > MAX_RAISE {
        return Err(TransferError::TooFar { wanted, missing });
    }
    raise(&store, wanted).await?;
    let mut count = 0;
    loop {
        let mut batch = Vec::new();
        while batch.len() < PARALLEL {
            match archive.next_entry()? {
                Some(entry) => batch.push(entry),
                None => break,
            }
        }
        if batch.is_empty() {
            break;
        }
        count += batch.len() as u64;
        let put = |entry: Entry| {
            let store = &store;
            async move {
                let left = entry.expires_at.saturating_sub(now()).max(1000);
                let ttl = (entry.expires_at > 0).then_some(Duration::from_millis(left));
                store.put(&entry.key, entry.value, Expect::Absent, ttl).await.map(drop)
            }
        };
        stream::iter(batch.into_iter().map(put)).buffer_unordered(PARALLEL).try_collect::<()>().await?;
    }
    let revision = store.revision().await?;
    match store.compact(revision).await {
        Ok(()) | Err(StoreError::Compacted { .. }) => Ok((count, revision)),
        Err(error) => Err(error.into()),
    }
}

/// Whether there is the key that is written to make the revision pass by.
async fn has_touch(options: &EtcdOptions) -> Result<bool, StoreError> {
    let endpoints = Endpoints::new(options).await?;
    let touch = Keys::new(&options.prefix).touch().to_owned();
    let get = |member: Endpoint| {
        let touch = touch.clone();
        async move { member.kv().get(touch, Some(GetOptions::new().with_count_only())).await }
    };
    let answer = endpoints.call(Call::Repeatable, get).await.map_err(|failure| failure.into_error(0))?;
    Ok(answer.count() > 0)
}

/// Writes etcd's own snapshot of everything in it, for etcd's own tools, and checks it. Returns its size.
///
/// # Errors
/// [`TransferError`].
pub async fn save_db(options: &EtcdOptions, path: &Path) -> Result<u64, TransferError> {
    let failed = |error: std::io::Error| TransferError::File(format!("{}: {error}", path.display()));
    if path.exists() {
        return Err(failed(std::io::ErrorKind::AlreadyExists.into()));
    }
    let endpoints = Endpoints::new(options).await?;
    endpoints.first_version(options.open_within).await?;
    let begin = |member: Endpoint| async move { member.snapshot().await };
    let stream = endpoints.call(Call::Repeatable, begin).await;
    let mut stream = stream.map_err(|failure| failure.into_error(0))?;
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let mut file = tokio::fs::File::create(&partial).await.map_err(failed)?;
    let lost = |error: etcd_client::Error| StoreError::Unavailable(format!("the snapshot ended: {error}"));
    while let Some(part) = stream.message().await.map_err(lost)? {
        file.write_all(part.blob()).await.map_err(failed)?;
    }
    file.sync_all().await.map_err(failed)?;
    let size = check_db(Path::new(&partial)).await?;
    tokio::fs::rename(&partial, path).await.map_err(failed)?;
    Ok(size)
}

/// Checks a snapshot of etcd's own, and gives its size.
///
/// # Errors
/// [`TransferError::Checksum`] if it is not what etcd has sent.
pub async fn check_db(path: &Path) -> Result<u64, TransferError> {
    let failed = |error: std::io::Error| TransferError::File(format!("{}: {error}", path.display()));
    let mut file = tokio::fs::File::open(path).await.map_err(failed)?;
    let size = file.metadata().await.map_err(failed)?.len();
    if size % DB_PAGE != HASH as u64 {
        return Err(TransferError::Checksum);
    }
    let (mut hash, mut left, mut buffer) = (Sha256::new(), size - HASH as u64, vec![0; 1 << 20]);
    while left > 0 {
        let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let read = file.read(&mut buffer[..wanted]).await.map_err(failed)?;
        if read == 0 {
            return Err(TransferError::Checksum);
        }
        hash.update(&buffer[..read]);
        left -= read as u64;
    }
    let mut wanted = [0; HASH];
    file.read_exact(&mut wanted).await.map_err(failed)?;
    if hash.finalize().as_slice() == wanted { Ok(size) } else { Err(TransferError::Checksum) }
}
