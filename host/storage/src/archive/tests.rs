use super::*;

fn written(folder: &Path, entries: &[Entry]) -> PathBuf {
    let path = folder.join("archive");
    let head = Head { engine: "embedded".into(), revision: 7, at: "now".into() };
    let mut writer = ArchiveWriter::create(&path, &head).unwrap();
    entries.iter().for_each(|entry| writer.put(entry).unwrap());
    assert!(!path.exists(), "an archive that is not whole has its name");
    assert_eq!(writer.finish().unwrap(), entries.len() as u64);
    path
}

fn some() -> Vec<Entry> {
    let entry = |key: &str, value: &'static [u8], revision: u64| Entry {
        key: key.into(),
        value: Bytes::from_static(value),
        create_revision: revision - 1,
        mod_revision: revision,
        expires_at: if revision == 5 { 99 } else { 0 },
    };
    vec![
        entry("/registry/a/b", b"{}", 3),
        entry("/registry/ö", b"", 4),
        entry("/tenants/x/registry/a", &[0xff; 300], 5),
    ]
}

#[test]
fn goes_there_and_back() {
    let folder = tempfile::tempdir().unwrap();
    for entries in [Vec::new(), some()] {
        let path = written(folder.path(), &entries);
        let mut reader = ArchiveReader::open(&path).unwrap();
        assert_eq!((reader.head().engine.as_str(), reader.head().revision), ("embedded", 7));
        let mut read = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            read.push(entry);
        }
        assert_eq!(read, entries);
        assert_eq!(verify(&path).unwrap().1, entries.len() as u64);
        assert!(ArchiveWriter::create(&path, &Head::default()).is_err(), "an archive is written over");
        std::fs::remove_file(&path).unwrap();
    }
}

#[test]
fn damage_is_found_wherever_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), &some());
    let sound = std::fs::read(&path).unwrap();
    for at in 0..sound.len() {
        for bit in [1, 0x80] {
            let mut damaged = sound.clone();
            damaged[at] ^= bit;
            std::fs::write(&path, &damaged).unwrap();
            assert!(verify(&path).is_err(), "byte {at}");
        }
        std::fs::write(&path, &sound[..at]).unwrap();
        assert!(verify(&path).is_err(), "cut off at {at}");
    }
    std::fs::write(&path, [&sound[..], b"x"].concat()).unwrap();
    assert!(verify(&path).is_err(), "something after the end");
    std::fs::write(&path, &sound).unwrap();
    assert!(verify(&path).is_ok());
}
