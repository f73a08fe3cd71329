//! `portcullis store`: what is done to a store from outside of a server.
//!
//! A snapshot of the embedded engine is read from its files, beside the server and without asking it
//! (`embedded::offline` of `host/storage` says why that is a consistent one): no way into the server that gives away
//! everything in it, and none that has to work when a snapshot is needed most. One of etcd is read at one revision. Both
//! are the same archive, which can be restored into either.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use portcullis_storage::archive::{self, ArchiveReader, ArchiveWriter, Entry, Head};
use portcullis_storage::embedded::offline;
use portcullis_storage::{RangeRequest, StoreError};
use portcullis_storage_etcd::EtcdStore;
use portcullis_storage_etcd::archive as etcd;
use portcullis_stored_form::describe;

use crate::store::{Engine, EngineFlags};

/// How far a restored store's revision is beyond that of the archive, unless it is said: in the embedded engine, and in etcd,
/// which has to be brought there write by write. The embedded one is not so far that its archives fit into no etcd.
const BUMP: (u64, u64) = (1_000_000, 10_000);

/// Which store.
#[derive(Args)]
pub struct Place {
    /// The data directory of a server with the embedded store
    #[arg(long, default_value = "portcullis-data")]
    data_dir: PathBuf,
    #[command(flatten)]
    engine: EngineFlags,
}

/// See the module.
#[derive(Subcommand)]
pub enum StoreCommand {
    /// Write the whole store to an archive, beside a running server
    Snapshot {
        /// The archive to make
        file: PathBuf,
        /// Make a snapshot of etcd's own instead, for etcdutl
        #[arg(long)]
        etcd_db: bool,
        #[command(flatten)]
        place: Place,
    },
    /// Make a new store of an archive: an embedded one in a new data directory, or in an etcd with nothing below the prefix
    Restore {
        /// The archive
        file: PathBuf,
        /// How far the revision is to be beyond the archive's: more than was written since, so that clients notice
        #[arg(long)]
        bump_revision: Option<u64>,
        #[command(flatten)]
        place: Place,
    },
    /// Discard history: of an embedded store that no server has open, or of etcd
    Compact {
        #[command(flatten)]
        place: Place,
    },
    /// Read everything, and say what is damaged; changes nothing
    Check {
        /// An archive, or a snapshot of etcd's own, instead of the store itself
        file: Option<PathBuf>,
        #[command(flatten)]
        place: Place,
    },
}

impl Place {
    fn directory(&self) -> PathBuf {
        self.data_dir.join("store")
    }
}

/// Runs a command. `check` fails where something is damaged.
///
/// # Errors
/// If it could not be done.
pub async fn run(command: StoreCommand) -> anyhow::Result<ExitCode> {
    match command {
        StoreCommand::Snapshot { file, etcd_db, place } => snapshot(&file, etcd_db, &place).await?,
        StoreCommand::Restore { file, bump_revision, place } => restore(&file, bump_revision, &place).await?,
        StoreCommand::Compact { place } => compact(&place).await?,
        StoreCommand::Check { file, place } => return check(file, &place).await,
    }
    Ok(ExitCode::SUCCESS)
}

async fn snapshot(file: &std::path::Path, etcd_db: bool, place: &Place) -> anyhow::Result<()> {
    let at = jiff::Timestamp::now().to_string();
    let shown = file.display();
    match place.engine.store {
        Engine::Embedded if etcd_db => bail!("--etcd-db needs --store=etcd"),
        Engine::Etcd if etcd_db => {
            let size = etcd::save_db(&place.engine.etcd_options(), file).await?;
            println!("{shown}: etcd's snapshot, {size} bytes, its checksum is right");
            return Ok(());
        }
        Engine::Embedded => {
            let directory = place.directory();
            let contents = tokio::task::spawn_blocking(move || offline::read(&directory)).await??;
            let head = Head { engine: "embedded".to_owned(), revision: contents.revision, at };
            let mut writer = ArchiveWriter::create(file, &head)?;
            for entry in &contents.entries {
                writer.put(entry)?;
            }
            writer.finish()?;
        }
        Engine::Etcd => drop(etcd::export(&place.engine.etcd_options(), file, &at).await?),
    }
    let (head, entries) = archive::verify(file)?;
    println!("{shown}: {entries} entries at revision {}, verified", head.revision);
    Ok(())
}

async fn restore(file: &std::path::Path, bump: Option<u64>, place: &Place) -> anyhow::Result<()> {
    // From its beginning to its end before anything is written.
    let (head, _) = archive::verify(file).context("nothing was restored")?;
    let mut reader = ArchiveReader::open(file)?;
    let (entries, revision, into) = match place.engine.store {
        Engine::Embedded => {
            let (directory, revision) = (place.directory(), head.revision + bump.unwrap_or(BUMP.0));
            let into = directory.display().to_string();
            let failed = |error: archive::ArchiveError| StoreError::Corrupt(error.to_string());
            let entries = std::iter::from_fn(move || reader.next_entry().map_err(failed).transpose());
            let restored = tokio::task::spawn_blocking(move || offline::restore(&directory, revision, entries));
            (restored.await??, revision, into)
        }
        Engine::Etcd => {
            let bump = bump.unwrap_or(BUMP.1);
            let (entries, revision) = etcd::import(&place.engine.etcd_options(), &mut reader, bump).await?;
            (entries, revision, "etcd".to_owned())
        }
    };
    println!("{into}: {entries} entries of revision {} were restored; the revision is {revision}", head.revision);
    Ok(())
}

async fn compact(place: &Place) -> anyhow::Result<()> {
    match place.engine.store {
        Engine::Embedded => {
            let directory = place.directory();
            let into = directory.display().to_string();
            let done = tokio::task::spawn_blocking(move || offline::compact(&directory)).await?;
            let (revision, before, after) = match done {
                Err(StoreError::Locked(why)) => bail!("{why}; a server compacts by itself every five minutes"),
                done => done?,
            };
            println!("{into}: compacted at revision {revision}; the log had {before} bytes and has {after}");
        }
        Engine::Etcd => {
            let store = EtcdStore::open(place.engine.etcd_options()).await?;
            let revision = store.revision().await?;
            match store.compact(revision).await {
                Ok(()) | Err(StoreError::Compacted { .. }) => println!("etcd: compacted at revision {revision}"),
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// What a check has seen.
#[derive(Default)]
struct Report {
    entries: u64,
    bytes: u64,
    encrypted: u64,
    foreign: u64,
    damaged: Vec<String>,
}

impl Report {
    fn look(&mut self, key: &str, value: &[u8]) {
        self.entries += 1;
        self.bytes += value.len() as u64;
        match describe(key, value) {
            Ok(describe::Form::Plain) => {}
            Ok(describe::Form::Encrypted) => self.encrypted += 1,
            Ok(describe::Form::Foreign) => self.foreign += 1,
            Err(why) => self.damaged.push(format!("{key}: {why}")),
        }
    }

    fn take(&mut self, entry: &Entry) {
        self.look(&entry.key, &entry.value);
    }
}

async fn check(file: Option<PathBuf>, place: &Place) -> anyhow::Result<ExitCode> {
    let mut report = Report::default();
    let what = match (file, place.engine.store) {
        (Some(file), _) => match check_file(&file, &mut report).await {
            Ok(what) => what,
            Err(error) => return Ok(damaged(&error)),
        },
        (None, Engine::Embedded) => {
            let directory = place.directory();
            let shown = directory.display().to_string();
            let contents = match tokio::task::spawn_blocking(move || offline::read(&directory)).await? {
                Ok(contents) => contents,
                Err(error @ StoreError::Corrupt(_)) => return Ok(damaged(&error.into())),
                Err(error) => return Err(error.into()),
            };
            contents.entries.iter().for_each(|entry| report.take(entry));
            let offline::Contents { revision, compacted, commits, bytes, unfinished, .. } = contents;
            let mut what = format!(
                "{shown}: revision {revision}, compacted at {compacted}; {commits} commits in {bytes} bytes, every \
                 checksum is right"
            );
            if unfinished > 0 {
                what += &format!(
                    "; {unfinished} bytes after them are a commit that is not finished, of which nobody was told"
                );
            }
            what
        }
        (None, Engine::Etcd) => {
            let store = EtcdStore::open(place.engine.etcd_options()).await?;
            let mut request = RangeRequest { limit: 500, ..RangeRequest::default() };
            loop {
                let page = store.range(request.clone()).await?;
                request.at = Some(page.revision);
                page.kvs.iter().for_each(|kv| report.look(&kv.key, &kv.value));
                match page.kvs.last() {
                    Some(last) if page.more => request.start = format!("{}\0", last.key),
                    _ => break,
                }
            }
            format!("etcd: revision {}", request.at.unwrap_or_default())
        }
    };
    println!("{what}");
    let Report { entries, bytes, encrypted, foreign, damaged } = report;
    println!("{entries} entries of {bytes} bytes: {encrypted} encrypted, {foreign} as another API server stores them");
    for line in &damaged {
        println!("DAMAGED {line}");
    }
    Ok(if damaged.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn damaged(error: &anyhow::Error) -> ExitCode {
    println!("DAMAGED {error:#}");
    ExitCode::FAILURE
}

async fn check_file(file: &std::path::Path, report: &mut Report) -> anyhow::Result<String> {
    let shown = file.display();
    match ArchiveReader::open(file) {
        Err(archive::ArchiveError::NoArchive(_)) => {
            let size =
                etcd::check_db(file).await.with_context(|| format!("{shown} is neither an archive nor etcd's own"))?;
            Ok(format!("{shown}: etcd's snapshot, {size} bytes, its checksum is right"))
        }
        Err(error) => Err(error.into()),
        Ok(mut reader) => {
            while let Some(entry) = reader.next_entry()? {
                report.take(&entry);
            }
            let Head { engine, revision, at } = reader.head();
            Ok(format!("{shown}: an archive of {engine} at revision {revision}, made {at}; every checksum is right"))
        }
    }
}
