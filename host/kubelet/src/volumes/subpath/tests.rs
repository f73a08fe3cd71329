use super::*;

#[test]
fn subpaths_stay_inside_their_volume() {
    let root = tempfile::tempdir().unwrap();
    let volume = root.path().join("v");
    std::fs::create_dir_all(volume.join("real")).unwrap();
    std::fs::write(volume.join("real/file"), "x").unwrap();
    std::fs::write(root.path().join("outside"), "secret").unwrap();
    std::os::unix::fs::symlink("real", volume.join("inner")).unwrap();
    std::os::unix::fs::symlink("../outside", volume.join("escape")).unwrap();
    std::os::unix::fs::symlink("/", volume.join("root")).unwrap();
    let check = |path: &str, expected: Option<&str>| {
        let found = subpath(&volume, path);
        assert_eq!(found.as_ref().ok(), expected.map(|path| volume.join(path)).as_ref(), "{path}: {found:?}");
    };
    check("real/file", Some("real/file"));
    check("inner/file", Some("real/file"));
    check("made/here", Some("made/here"));
    check("", Some(""));
    for bad in ["escape", "root/etc", "../outside", "a/../../outside", "/etc", "real/file/below"] {
        check(bad, None);
    }
    assert!(volume.join("made/here").is_dir());
}
