//! Regular expressions that cannot be compiled, in the words of the reference's parser.

/// The commonest mistakes in a pattern: brackets that do not match, and nothing to repeat.
pub(super) fn wrong(pattern: &str) -> Option<String> {
    let (mut depth, mut class, mut escaped) = (0usize, None, false);
    for (index, c) in pattern.char_indices() {
        if std::mem::take(&mut escaped) {
            continue;
        }
        match c {
            '\\' => escaped = true,
            ']' if class.is_some_and(|start| index > start + 1) => class = None,
            _ if class.is_some() => {}
            '[' => class = Some(index),
            '(' => depth += 1,
            ')' if depth == 0 => return Some(format!("unexpected ): `{pattern}`")),
            ')' => depth -= 1,
            '*' | '+' | '?' if index == 0 => {
                return Some(format!("missing argument to repetition operator: `{c}`"));
            }
            _ => {}
        }
    }
    match (class, depth, escaped) {
        (Some(start), ..) => Some(format!("missing closing ]: `{}`", &pattern[start..])),
        (None, 1.., _) => Some(format!("missing closing ): `{pattern}`")),
        (None, 0, true) => Some("trailing backslash at end of expression: ``".to_owned()),
        _ => None,
    }
}
