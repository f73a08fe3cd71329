use super::{ContainerLog, MAX_FILES, MAX_LINE};

/// What is in the log after these writes to its standard output, without times.
fn check(writes: &[&str], expected: &[(&str, usize)]) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/0.log");
    let log = ContainerLog::open(&path).unwrap();
    let stream = log.stream("stdout");
    for text in writes {
        stream.inner.lock().push(text.as_bytes());
    }
    drop((stream, log));
    let text = std::fs::read_to_string(path).unwrap();
    let line = |line: &str| {
        let parts: Vec<String> = line.splitn(4, ' ').map(str::to_owned).collect();
        assert_eq!(parts[1], "stdout");
        (parts[2].clone(), parts[3].len())
    };
    let found: Vec<(String, usize)> = text.lines().map(line).collect();
    assert_eq!(found, expected.iter().map(|(tag, length)| ((*tag).to_owned(), *length)).collect::<Vec<_>>());
}

#[test]
fn lines() {
    check(&["one\ntwo\n"], &[("F", 3), ("F", 3)]);
    check(&["o", "ne\n\n"], &[("F", 3), ("F", 0)]);
    check(&["no end"], &[("F", 6)]);
    let long = "x".repeat(MAX_LINE + 10) + "\n";
    check(&[&long], &[("P", MAX_LINE), ("F", 10)]);
}

#[test]
fn rotation() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.log");
    let log = ContainerLog::with_max_size(&path, 1000).unwrap();
    for number in 0..200 {
        log.append(format!("{number:0100}\n").as_bytes());
    }
    let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), MAX_FILES, "{files:?}");
    let sizes: Vec<u64> = files.iter().map(|path| path.metadata().unwrap().len()).collect();
    assert!(sizes.iter().all(|size| *size <= 1010), "{sizes:?}");
    log.append(b"last\n");
    assert!(std::fs::read_to_string(path).unwrap().ends_with("last\n"));
}
