//! Damage to the file: what was acknowledged is reported, what was not is dropped.

use std::path::Path;

use super::super::log::HEADER;
use super::{log_file, names, open, put, with_three};
use crate::StoreError;

/// The log of three writes, each a commit of the same length, without the seal of its clean end.
async fn unsealed(directory: &Path) -> Vec<u8> {
    with_three(directory).await;
    let mut whole = std::fs::read(log_file(directory)).unwrap();
    whole.truncate(whole.len() - HEADER);
    assert_eq!(whole.len() % 3, 0, "three commits of one length");
    whole
}

#[tokio::test]
async fn a_torn_end_is_cut_off_at_every_length() {
    let directory = tempfile::tempdir().unwrap();
    let whole = unsealed(directory.path()).await;
    for cut in 1..whole.len() / 3 {
        std::fs::write(log_file(directory.path()), &whole[..whole.len() - cut]).unwrap();
        let store = open(directory.path()).await.unwrap();
        assert_eq!(store.revision().await.unwrap(), 3, "cut by {cut}");
        // The revision of the write that was never acknowledged is free again, and the log goes on whole.
        assert_eq!(put(&store, "d").await.unwrap(), 4);
        drop(store);
        let store = open(directory.path()).await.unwrap();
        assert_eq!(names(&store).await, ["a", "b", "d"], "cut by {cut}");
    }
}

/// After a power cut the end of the last append may be there and its beginning not.
#[tokio::test]
async fn an_end_with_holes_is_dropped_whole() {
    let directory = tempfile::tempdir().unwrap();
    let whole = unsealed(directory.path()).await;
    let last = whole.len() / 3 * 2;
    for at in last..whole.len() {
        for value in [0, 0xff] {
            let mut damaged = whole.clone();
            if damaged[at] == value {
                continue;
            }
            damaged[at] = value;
            std::fs::write(log_file(directory.path()), &damaged).unwrap();
            let store = open(directory.path()).await.unwrap_or_else(|error| panic!("byte {at}: {error}"));
            assert_eq!(names(&store).await, ["a", "b"], "byte {at}");
        }
    }
}

#[tokio::test]
async fn damage_is_reported_and_never_served() {
    let directory = tempfile::tempdir().unwrap();
    let whole = unsealed(directory.path()).await;
    let seal = {
        drop(open(directory.path()).await.unwrap());
        std::fs::read(log_file(directory.path())).unwrap()
    };
    let check = async |log: &[u8], end: usize| {
        for at in (0..end).step_by(3) {
            let mut damaged = log.to_vec();
            damaged[at] ^= 0x40;
            std::fs::write(log_file(directory.path()), &damaged).unwrap();
            let result = open(directory.path()).await.map(|_| ());
            assert!(matches!(result, Err(StoreError::Corrupt(_))), "byte {at}: {result:?}");
        }
    };
    check(&whole, whole.len() / 3 * 2).await;
    // With its seal, the last commit is known to have been acknowledged.
    check(&seal, whole.len()).await;
    // A part that is missing in the middle.
    let mut gap = seal[..whole.len() / 3].to_vec();
    gap.extend_from_slice(&seal[whole.len() / 3 * 2..]);
    std::fs::write(log_file(directory.path()), &gap).unwrap();
    assert!(matches!(open(directory.path()).await, Err(StoreError::Corrupt(_))));
    // The whole log.
    std::fs::remove_file(log_file(directory.path())).unwrap();
    assert!(matches!(open(directory.path()).await, Err(StoreError::Corrupt(_))));
}

/// Writes that share a commit are there all or none, wherever it is cut.
#[tokio::test]
async fn a_commit_is_never_half_there() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path()).await.unwrap();
    let all: Vec<String> = (0..40).map(|at| format!("{at:02}")).collect();
    futures::future::join_all(all.iter().map(|name| put(&store, name))).await;
    drop(store);
    let whole = std::fs::read(log_file(directory.path())).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for length in (0..whole.len()).step_by(11) {
        std::fs::write(log_file(directory.path()), &whole[..length]).unwrap();
        seen.insert(names(&open(directory.path()).await.unwrap()).await.len());
    }
    assert!(seen.len() < 20, "40 writes came in {} commits", seen.len());
    assert!(seen.contains(&0));
}

#[tokio::test]
async fn another_format_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("FORMAT"), "something-else 7\n").unwrap();
    assert!(matches!(open(directory.path()).await, Err(StoreError::Unsupported(_))));
}
