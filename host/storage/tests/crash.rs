//! `kill -9` at random moments under load, and a file that the system does not let grow: a child process writes, this one
//! looks at what it left.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_storage::embedded::{EmbeddedOptions, EmbeddedStore};
use portcullis_storage::{Expect, RangeRequest, Store};

/// Names the directory, and makes the process the child.
const CHILD: &str = "PORTCULLIS_CRASH_DIRECTORY";
const WRITERS: u64 = 8;

/// How long the test kills children: `PORTCULLIS_CRASH_SECONDS`, or twelve seconds.
fn lasts() -> Duration {
    let asked = std::env::var("PORTCULLIS_CRASH_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    Duration::from_secs(asked.unwrap_or(12))
}

async fn open(directory: &Path) -> Arc<dyn Store> {
    // Small segments, so that children die while they are replaced, too.
    let options = EmbeddedOptions { rotate_at: 200_000, ..EmbeddedOptions::default() };
    EmbeddedStore::open(directory, options).await.expect("the store opens")
}

/// A value whose every byte follows from its beginning.
fn value(writer: u64, step: u64) -> String {
    let head = format!("{writer}:{step}:");
    let body = head.repeat(usize::try_from(1 + step % 97).unwrap_or(1));
    format!("{head}{body}")
}

/// The child: writes, deletes, compacts, and says on its output what was acknowledged.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async move {
        let store = open(Path::new(&directory)).await;
        let start = store.revision().await.unwrap();
        let writers = (0..WRITERS).map(|writer| {
            let store = Arc::clone(&store);
            tokio::spawn(async move {
                for step in start.. {
                    let key = format!("/registry/{writer}/{}", step % 11);
                    let said = if step % 7 == 6 {
                        match store.delete(&key, Expect::Any).await {
                            Ok((_, revision)) => format!("- {key} {revision}"),
                            Err(_) => continue,
                        }
                    } else {
                        let revision = store.put(&key, value(writer, step).into(), Expect::Any, None).await.unwrap();
                        format!("+ {key} {revision} {writer} {step}")
                    };
                    // One line with one write, so that a kill leaves no mixture.
                    std::io::stdout().write_all(format!("{said}\n").as_bytes()).unwrap();
                    if writer == 0 && step % 50 == 0 {
                        // Another one may have been faster.
                        let _ = store.compact(store.revision().await.unwrap()).await;
                    }
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    });
}

/// What was acknowledged of a key last: the revision, and who wrote which step (`None`: a deletion).
type Acknowledged = BTreeMap<String, (u64, Option<(u64, u64)>)>;

/// Runs a child until it ends, or for a while, kills it, and takes down what it said. `limits` are shell commands to run
/// before it.
fn run_child(directory: &Path, limits: &str, lasts: Duration, acknowledged: &mut Acknowledged) -> u64 {
    let mut child = Command::new("sh")
        .args(["-c", &format!("{limits} exec \"$0\" --exact child --nocapture --test-threads=1")])
        .arg(std::env::current_exe().unwrap())
        .env(CHILD, directory)
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    let reader = std::thread::spawn(move || output.lines().map_while(Result::ok).collect::<Vec<_>>());
    let until = Instant::now() + lasts;
    while Instant::now() < until && child.try_wait().unwrap().is_none() {
        std::thread::park_timeout(Duration::from_millis(10));
    }
    // One that has ended is as dead.
    let _ = child.kill();
    child.wait().unwrap();
    let mut newest = 0;
    for line in reader.join().unwrap() {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words.get(at).and_then(|word| word.parse::<u64>().ok());
        let (Some(revision), true) = (number(2), matches!(words[0], "+" | "-")) else { continue };
        newest = newest.max(revision);
        let written = number(3).zip(number(4));
        let entry = acknowledged.entry(words[1].to_owned()).or_default();
        if entry.0 < revision {
            *entry = (revision, written);
        }
    }
    newest
}

#[tokio::test]
async fn acknowledged_writes_survive_kill_9() {
    if std::env::var_os(CHILD).is_some() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::new();
    let (began, mut rounds, mut highest) = (Instant::now(), 0_u64, 0);
    while began.elapsed() < lasts() {
        // Anything from "has hardly begun" to "has written for a second", spread without a pattern.
        let lasts = Duration::from_millis(30 + (rounds * 7919 + u64::from(began.elapsed().subsec_nanos())) % 900);
        let newest = run_child(directory.path(), "", lasts, &mut acknowledged);
        highest = look(directory.path(), &acknowledged, newest.max(highest), rounds).await;
        rounds += 1;
    }
    assert!(rounds >= 8 && acknowledged.len() > 40, "{rounds} rounds, {} keys", acknowledged.len());
    println!("{rounds} kills, revision {highest}");
}

#[tokio::test]
async fn acknowledged_writes_survive_a_file_that_may_not_grow() {
    if std::env::var_os(CHILD).is_some() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = Acknowledged::new();
    let mut highest = 0;
    for round in 0..4 {
        // In units of 512 or 1024 bytes, depending on the shell; smaller than a segment that would be replaced.
        let limits = format!("trap '' XFSZ; ulimit -f {};", 60 + round * 40);
        let began = Instant::now();
        let newest = run_child(directory.path(), &limits, Duration::from_secs(20), &mut acknowledged);
        assert!(began.elapsed() < Duration::from_secs(20), "the child met no limit");
        highest = look(directory.path(), &acknowledged, newest.max(highest), round).await;
    }
    assert!(acknowledged.len() > 40, "{} keys", acknowledged.len());
}

/// Opens what a child has left, and checks it against what was acknowledged; `newest` is the newest revision of that.
/// Returns the revision of a write of its own.
async fn look(directory: &Path, acknowledged: &Acknowledged, newest: u64, round: u64) -> u64 {
    let store = open(directory).await;
    let revision = store.revision().await.unwrap();
    assert!(revision >= newest, "the store is at {revision}, {newest} was acknowledged");
    let range = store.range(RangeRequest::prefix("/registry/")).await.unwrap();
    let found: BTreeMap<String, _> = range.kvs.into_iter().map(|kv| (kv.key.to_string(), kv)).collect();
    for (key, kv) in &found {
        let text = std::str::from_utf8(&kv.value).unwrap();
        let mut head = text.split(':').map(|number| number.parse::<u64>().unwrap_or_default());
        let whole = value(head.next().unwrap_or_default(), head.next().unwrap_or_default());
        assert_eq!(text, whole, "{key} is half there");
    }
    for (key, (at, written)) in acknowledged {
        match (found.get(key), written) {
            // Something newer, whose acknowledgement died with the child.
            (Some(kv), _) if kv.mod_revision > *at => {}
            (Some(kv), Some((writer, step))) => {
                assert_eq!((kv.mod_revision, &kv.value[..]), (*at, value(*writer, *step).as_bytes()), "{key}");
            }
            (None, None) => {}
            (None, Some(_)) => {
                let deleted = store.get(key, Some(*at)).await;
                assert!(revision > *at && !matches!(deleted, Ok((None, _))), "{key} of revision {at} is gone");
            }
            (Some(kv), None) => panic!("{key} was deleted at {at} and is there at {}", kv.mod_revision),
        }
    }
    let own = store.put("/registry/marker", value(99, round).into(), Expect::Any, None).await.unwrap();
    assert!(own > newest, "revision {own} was given twice");
    own
}
