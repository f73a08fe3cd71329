//! Paths: of files, and of URLs.

/// A segment of a URL path: anything but what has a meaning there.
pub fn path_segment(text: &str) -> Vec<String> {
    if matches!(text, "." | "..") {
        return vec![format!("may not be '{text}'")];
    }
    ["/", "%"].iter().filter(|part| text.contains(**part)).map(|part| format!("may not contain '{part}'")).collect()
}

/// A path that stays inside its volume: relative, and without steps back.
pub fn local_path(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.starts_with('/') {
        wrong.push("must be a relative path".to_owned());
    }
    wrong.extend(no_backsteps(text));
    wrong
}

/// A path without steps back.
pub fn no_backsteps(text: &str) -> Option<String> {
    text.split('/').any(|part| part == "..").then(|| "must not contain '..'".to_owned())
}

/// A local path whose name does not begin with two dots.
pub fn local_file(text: &str) -> Vec<String> {
    let mut wrong = local_path(text);
    // What begins with exactly two dots is reported already.
    if text.starts_with("..") && !text.starts_with("../") && text != ".." {
        wrong.push("must not start with '..'".to_owned());
    }
    wrong
}

/// Whether `inner` is `outer` or lies below it.
pub fn is_path_below(inner: &str, outer: &str) -> bool {
    let (inner, outer) = (inner.trim_end_matches('/'), outer.trim_end_matches('/'));
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
