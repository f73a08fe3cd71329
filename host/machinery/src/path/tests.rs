use super::*;

fn check_pointer(text: &str, expected: Result<&[&str], PathError>) {
    let found = parse_pointer(text);
    assert_eq!(found, expected.map(|list| list.iter().map(|s| (*s).to_owned()).collect()), "{text:?}");
}

#[test]
fn pointers() {
    check_pointer("", Ok(&[]));
    check_pointer("/", Ok(&[""]));
    check_pointer("/a/0", Ok(&["a", "0"]));
    check_pointer("/a~1b/c~0d/~01", Ok(&["a/b", "c~d", "~1"]));
    check_pointer("a", Err(PathError::Start("a".into())));
    check_pointer("/a~", Err(PathError::Escape("/a~".into())));
    check_pointer("/a~2", Err(PathError::Escape("/a~2".into())));
    check_pointer(&"/a".repeat(65), Err(PathError::TooLong));
    check_pointer(&format!("/{}", "a".repeat(4096)), Err(PathError::TooLong));
}

#[test]
fn field_paths() {
    let path = FieldPath::root().child("spec").child("containers").index(2).child("name");
    assert_eq!(path.to_string(), "spec.containers[2].name");
    assert_eq!(FieldPath::new("metadata").child("labels").key("a/b").as_str(), "metadata.labels[a/b]");
}

#[test]
fn patterns() {
    for text in ["", "/object/spec/containers/*/image", "/a~1b/*/~0"] {
        let pattern = Pattern::parse(text).expect(text);
        assert_eq!(pattern.to_string(), text);
        assert_eq!(pattern.is_multiple(), text.contains('*'));
    }
    assert_eq!(array_index("10"), Some(10));
    assert_eq!(array_index("0"), Some(0));
    for bad in ["", "01", "-", "+1", "1a", "99999999999999999999999"] {
        assert_eq!(array_index(bad), None, "{bad:?}");
    }
}
