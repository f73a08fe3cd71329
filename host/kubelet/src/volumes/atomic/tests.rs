use cap_std::ambient_authority;

use super::*;

fn files(list: &[(&str, &str, u32)]) -> Files {
    list.iter().map(|(path, data, mode)| ((*path).to_owned(), File { data: (*data).into(), mode: *mode })).collect()
}

/// Every path that a user of the volume sees, with content and mode.
fn seen(root: &Path) -> Vec<(String, String, u32)> {
    fn walk(root: &Path, directory: &Path, seen: &mut Vec<(String, String, u32)>) {
        for entry in std::fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let relative = path.strip_prefix(root).unwrap().display().to_string();
            if relative.starts_with("..") {
                continue;
            }
            if path.is_dir() {
                walk(root, &path, seen);
            } else {
                use std::os::unix::fs::PermissionsExt as _;
                let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
                seen.push((relative, std::fs::read_to_string(&path).unwrap(), mode));
            }
        }
    }
    let mut all = Vec::new();
    walk(root, root, &mut all);
    all.sort();
    all
}

#[test]
fn a_new_version_appears_at_once_and_the_old_one_goes() {
    let root = tempfile::tempdir().unwrap();
    let volume = Dir::open_ambient_dir(root.path(), ambient_authority()).unwrap();
    let check = |list: &[(&str, &str, u32)], changed: bool| {
        assert_eq!(write(&volume, &files(list)).unwrap(), changed, "{list:?}");
        let expected: Vec<_> = list.iter().map(|(p, d, m)| ((*p).to_owned(), (*d).to_owned(), *m)).collect();
        assert_eq!(seen(root.path()), expected);
        // One version, the link to it, and nothing that was left behind.
        let mut hidden: Vec<_> = std::fs::read_dir(root.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        hidden.retain(|name| name.to_string_lossy().starts_with(".."));
        assert_eq!(hidden.len(), 2, "{hidden:?}");
        assert!(std::fs::read_link(root.path().join("..data")).unwrap().to_string_lossy().starts_with("..20"));
    };
    check(&[("a", "1", 0o644), ("d/b", "2", 0o400), ("d/e/c", "3", 0o777)], true);
    check(&[("a", "1", 0o644), ("d/b", "2", 0o400), ("d/e/c", "3", 0o777)], false);
    check(&[("a", "1", 0o600), ("d/b", "2", 0o400), ("d/e/c", "3", 0o777)], true);
    check(&[("a", "changed", 0o600), ("new", "4", 0o644)], true);
    check(&[], true);
    check(&[], false);
    check(&[("a", "again", 0o644)], true);
    assert_eq!(std::fs::read_link(root.path().join("a")).unwrap(), Path::new("..data/a"));
}

#[test]
fn an_attempt_that_was_cut_off_is_made_good() {
    let root = tempfile::tempdir().unwrap();
    let volume = Dir::open_ambient_dir(root.path(), ambient_authority()).unwrap();
    let list = [("a", "1", 0o644), ("b", "2", 0o644)];
    write(&volume, &files(&list)).unwrap();
    std::fs::remove_file(root.path().join("b")).unwrap();
    std::os::unix::fs::symlink("..nowhere", root.path().join("..data_tmp")).unwrap();
    assert!(!write(&volume, &files(&list)).unwrap());
    assert_eq!(seen(root.path()).len(), 2);
    // The version itself was lost.
    let version = root.path().join(std::fs::read_link(root.path().join("..data")).unwrap());
    std::fs::remove_dir_all(version).unwrap();
    assert!(write(&volume, &files(&list)).unwrap());
    assert_eq!(seen(root.path()).len(), 2);
}

#[test]
fn paths_stay_inside() {
    let root = tempfile::tempdir().unwrap();
    let volume = Dir::open_ambient_dir(root.path(), ambient_authority()).unwrap();
    let long = "x".repeat(256);
    let check = |path: &str, expected: &str| {
        let error = write(&volume, &files(&[(path, "", 0o644)])).unwrap_err();
        assert_eq!(error.to_string(), format!("invalid path: {expected}"));
    };
    check("", "must not be empty: \"\"");
    check(".", "must not be empty: \".\"");
    check("/etc/passwd", "must be relative path: /etc/passwd");
    check("a/../../b", "must not contain '..': a/../../b");
    check("..data", "must not start with '..': ..data");
    check(&long, "filenames must be less than or equal to 255 characters");
    assert!(std::fs::read_dir(root.path()).unwrap().next().is_none());
}
