//! Durable writes a second of the embedded engine, beside what the disk can do: the same bytes appended to a file, as many
//! at a time as there are writers, each time with an fdatasync. `cargo bench -p portcullis-storage`; a folder to write in
//! may follow `--`.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use portcullis_storage::Expect;
use portcullis_storage::embedded::{EmbeddedOptions, EmbeddedStore};

const VALUE: usize = 2048;
const LASTS: Duration = Duration::from_secs(3);

/// Appends and syncs; writes a second.
fn raw(directory: &Path, at_a_time: usize) -> f64 {
    let path = directory.join(format!("raw-{at_a_time}"));
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("a file");
    let bytes = vec![b'x'; VALUE * at_a_time];
    let (began, mut writes) = (Instant::now(), 0);
    while began.elapsed() < LASTS {
        file.write_all(&bytes).expect("a write");
        file.sync_data().expect("a sync");
        writes += at_a_time;
    }
    writes as f64 / began.elapsed().as_secs_f64()
}

/// Puts by as many writers, each to keys of its own; writes a second.
async fn store(directory: &Path, writers: usize) -> f64 {
    let directory = directory.join(format!("store-{writers}"));
    let store = EmbeddedStore::open(&directory, EmbeddedOptions::default()).await.expect("the store opens");
    let value = Bytes::from(vec![b'x'; VALUE]);
    let began = Instant::now();
    let tasks: Vec<_> = (0..writers)
        .map(|writer| {
            let (store, value) = (Arc::clone(&store), value.clone());
            tokio::spawn(async move {
                let mut writes = 0;
                while began.elapsed() < LASTS {
                    let key = format!("/registry/{writer}/{}", writes % 100);
                    store.put(&key, value.clone(), Expect::Any, None).await.expect("a put");
                    writes += 1;
                }
                writes
            })
        })
        .collect();
    let mut writes = 0;
    for task in tasks {
        writes += task.await.expect("a writer");
    }
    f64::from(writes) / began.elapsed().as_secs_f64()
}

fn main() {
    let place = std::env::args().skip(1).find(|argument| !argument.starts_with('-')).map(PathBuf::from);
    let directory = match &place {
        Some(place) => tempfile::tempdir_in(place),
        None => tempfile::tempdir(),
    };
    let directory = directory.expect("a temporary directory");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    println!("durable writes a second, {VALUE} bytes each, in {}", directory.path().display());
    println!("{:>8} {:>12} {:>12} {:>8}", "writers", "raw", "store", "share");
    for writers in [1, 16, 64] {
        // Before and after, since disks are not the same from one moment to the next.
        let before = raw(directory.path(), writers);
        let durable = runtime.block_on(store(directory.path(), writers));
        let raw = (before + raw(directory.path(), writers)) / 2.0;
        println!("{writers:>8} {raw:>12.0} {durable:>12.0} {:>7.0}%", durable / raw * 100.0);
    }
}
