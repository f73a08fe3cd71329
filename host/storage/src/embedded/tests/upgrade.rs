//! Directories of the first format.

use std::path::Path;

use super::{names, open, put};
use crate::{Expect, StoreError};

/// A record as the first format framed it.
fn record(payload: &[u8]) -> Vec<u8> {
    let mut record = u32::try_from(payload.len()).unwrap().to_le_bytes().to_vec();
    record.extend(crc32fast::hash(payload).to_le_bytes());
    record.extend(payload);
    record
}

fn change(kind: u8, revision: u64, made: u64, key: &str, value: &str) -> Vec<u8> {
    let mut payload = vec![kind];
    for number in [revision, made, 0] {
        payload.extend(number.to_le_bytes());
    }
    payload.extend(u32::try_from(key.len()).unwrap().to_le_bytes());
    payload.extend(key.as_bytes());
    payload.extend(value.as_bytes());
    record(&payload)
}

fn numbers(kind: u8, numbers: &[u64]) -> Vec<u8> {
    let mut payload = vec![kind];
    payload.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
    record(&payload)
}

fn write(directory: &Path, segment: u64, log: &[Vec<u8>]) {
    std::fs::write(directory.join("FORMAT"), "portcullis-log 1\n").unwrap();
    std::fs::write(directory.join(format!("log-{segment:010}")), log.concat()).unwrap();
}

#[tokio::test]
async fn the_first_format_is_taken_over() {
    let log = [
        change(1, 1, 1, "/registry/a", "1"),
        change(1, 2, 1, "/registry/a", "2"),
        numbers(3, &[1]),
        change(1, 3, 3, "/registry/b", "3"),
        change(2, 4, 3, "/registry/b", ""),
    ];
    let directory = tempfile::tempdir().unwrap();
    let mut torn = log.to_vec();
    torn.push(change(1, 5, 5, "/registry/c", "5")[..20].to_vec());
    write(directory.path(), 1, &torn);
    for _ in 0..2 {
        let store = open(directory.path()).await.unwrap();
        assert_eq!(names(&store).await, ["a"]);
        assert_eq!((store.revision().await.unwrap(), store.compacted_revision().await.unwrap()), (4, 1));
        assert_eq!(store.get("/registry/b", Some(3)).await.unwrap().0.unwrap().value, "3");
    }
    assert!(!directory.path().join("log-0000000001").exists());
    assert_eq!(put(&open(directory.path()).await.unwrap(), "d").await.unwrap(), 5);
}

#[tokio::test]
async fn its_snapshots_too() {
    // The newest write before the snapshot was a deletion of which it has nothing.
    let log = [
        numbers(4, &[9, 9]),
        change(1, 7, 7, "/registry/a", "7"),
        numbers(3, &[9]),
        change(1, 10, 10, "/registry/b", "10"),
    ];
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), 2, &log);
    let store = open(directory.path()).await.unwrap();
    assert_eq!(names(&store).await, ["a", "b"]);
    assert_eq!((store.revision().await.unwrap(), store.compacted_revision().await.unwrap()), (10, 9));
    store.delete("/registry/a", Expect::ModRevision(7)).await.unwrap();
}

#[tokio::test]
async fn its_damage_is_reported() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = [change(1, 1, 1, "/registry/a", "1"), change(1, 2, 2, "/registry/b", "2")];
    log[0][30] ^= 1;
    write(directory.path(), 1, &log);
    assert!(matches!(open(directory.path()).await, Err(StoreError::Corrupt(_))));
    assert!(directory.path().join("log-0000000001").exists(), "and nothing is touched");
}
