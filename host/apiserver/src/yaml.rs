//! Writes YAML as the reference's encoder does: sorted keys, lists not indented under their key, plain scalars where
//! they read back as the same string, lines folded after column 80.

use portcullis_machinery::Value;

const WIDTH: usize = 80;

/// The document as YAML text.
pub fn to_yaml(value: &Value) -> String {
    let mut out = String::new();
    write_node(&mut out, value, 0, false);
    if !out.ends_with('\n') {
        out.push('\n');
    }
    out
}

fn pad(out: &mut String, indent: usize) {
    out.extend(std::iter::repeat_n(' ', indent));
}

/// Writes a node whose first line starts where `out` ends. `inline` says that a collection's first entry goes onto
/// the current line (after `- `).
fn write_node(out: &mut String, value: &Value, indent: usize, inline: bool) {
    match value {
        Value::Object(map) if map.is_empty() => out.push_str("{}\n"),
        Value::Array(list) if list.is_empty() => out.push_str("[]\n"),
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            for (at, key) in keys.into_iter().enumerate() {
                if at > 0 || !inline {
                    pad(out, indent);
                }
                write_scalar(out, key, indent, true);
                out.push(':');
                write_entry(out, &map[key.as_str()], indent);
            }
        }
        Value::Array(list) => {
            for (at, item) in list.iter().enumerate() {
                if at > 0 || !inline {
                    pad(out, indent);
                }
                out.push_str("- ");
                write_node(out, item, indent + 2, true);
            }
        }
        Value::String(text) => {
            write_scalar(out, text, indent, false);
            out.push('\n');
        }
        other => {
            out.push_str(&other.to_string());
            out.push('\n');
        }
    }
}

/// Writes the value of a mapping entry, after the colon.
fn write_entry(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            out.push('\n');
            write_node(out, value, indent + 2, false);
        }
        Value::Array(list) if !list.is_empty() => {
            out.push('\n');
            write_node(out, value, indent, false);
        }
        Value::String(text) => {
            out.push(' ');
            write_scalar(out, text, indent + 2, false);
            out.push('\n');
        }
        other => {
            out.push(' ');
            write_node(out, other, indent, false);
        }
    }
}

fn write_scalar(out: &mut String, text: &str, indent: usize, key: bool) {
    if text.contains('\n') && !key && !text.chars().any(unprintable) && !text.starts_with([' ', '\n']) {
        write_literal(out, text, indent);
    } else if text.contains('\n') || text.chars().any(unprintable) || reads_as_other(text) {
        write_double(out, text, indent, key);
    } else if plain_allowed(text) {
        write_folded(out, text, indent, key, |c, out| out.push(c));
    } else {
        out.push('\'');
        write_folded(out, text, indent, key, |c, out| {
            if c == '\'' {
                out.push('\'');
            }
            out.push(c);
        });
        out.push('\'');
    }
}

fn unprintable(c: char) -> bool {
    (c.is_control() && c != '\n') || c == '\u{feff}' || matches!(c, '\u{2028}' | '\u{2029}' | '\u{85}')
}

/// Whether the text, unquoted, would be read as a number, a boolean, null or a time.
fn reads_as_other(text: &str) -> bool {
    const WORDS: [&str; 11] = ["", "~", "null", "true", "false", "y", "n", "yes", "no", "on", "off"];
    if WORDS.iter().any(|w| w.eq_ignore_ascii_case(text)) || text == "<<" {
        return true;
    }
    let digits = text.trim_start_matches(['+', '-']);
    let number = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.');
    if !number {
        return false;
    }
    let plain = digits.replace('_', "");
    let radix = |prefix: &str, radix| plain.strip_prefix(prefix).is_some_and(|d| u64::from_str_radix(d, radix).is_ok());
    let base60 = digits.contains(':') && digits.chars().all(|c| c.is_ascii_digit() || matches!(c, ':' | '.' | '_'));
    plain.parse::<f64>().is_ok()
        || radix("0x", 16)
        || radix("0b", 2)
        || radix("0o", 8)
        || base60
        || matches!(digits, ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN")
        || reads_as_time(text)
}

fn reads_as_time(text: &str) -> bool {
    let bytes = text.as_bytes();
    let date = bytes.len() >= 8
        && bytes.iter().take(4).all(u8::is_ascii_digit)
        && bytes.get(4) == Some(&b'-')
        && bytes.iter().skip(5).all(|b| b.is_ascii_digit() || b"-:.TtZz+ ".contains(b));
    date && text.split(['-', 'T', 't', ' ']).take(3).all(|part| !part.is_empty() && part.len() <= 4)
}

fn plain_allowed(text: &str) -> bool {
    let bytes = text.as_bytes();
    let first = bytes.first().copied().unwrap_or(b' ');
    if text.starts_with(' ') || text.ends_with(' ') || text.starts_with("---") || text.starts_with("...") {
        return false;
    }
    if b"#,[]{}&*!|>'\"%@`".contains(&first) {
        return false;
    }
    if matches!(first, b'-' | b'?' | b':') && bytes.get(1).is_none_or(|b| *b == b' ') {
        return false;
    }
    !(text.contains(": ") || text.ends_with(':') || text.contains(" #"))
}

fn column(out: &str) -> usize {
    out.rsplit('\n').next().map_or(0, |line| line.chars().count())
}

/// Writes the characters and breaks the line at single spaces once it is too long.
fn write_folded(out: &mut String, text: &str, indent: usize, key: bool, mut write: impl FnMut(char, &mut String)) {
    let mut at_column = column(out);
    let mut after_space = false;
    let mut chars = text.chars().peekable();
    let mut first = true;
    while let Some(c) = chars.next() {
        let next_is_space = chars.peek().is_none_or(|next| *next == ' ');
        if c == ' ' && !key && !after_space && !first && at_column > WIDTH && !next_is_space {
            out.push('\n');
            pad(out, indent);
            at_column = indent;
        } else {
            write(c, out);
            at_column += 1;
        }
        after_space = c == ' ';
        first = false;
    }
}

fn write_literal(out: &mut String, text: &str, indent: usize) {
    out.push('|');
    if !text.ends_with('\n') {
        out.push('-');
    } else if text.ends_with("\n\n") || text == "\n" {
        out.push('+');
    }
    for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
        out.push('\n');
        if !line.is_empty() {
            pad(out, indent);
            out.push_str(line);
        }
    }
}

fn write_double(out: &mut String, text: &str, indent: usize, key: bool) {
    out.push('"');
    let mut at_column = column(out);
    let mut chars = text.chars().peekable();
    let mut first = true;
    while let Some(c) = chars.next() {
        let before = out.len();
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\0"),
            '\u{1b}' => out.push_str("\\e"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            '\u{feff}' => out.push_str("\\uFEFF"),
            c if unprintable(c) && (c as u32) < 0x100 => out.push_str(&format!("\\x{:02X}", c as u32)),
            c if unprintable(c) => out.push_str(&format!("\\u{:04X}", c as u32)),
            ' ' if !key && !first && at_column > WIDTH && chars.peek().is_some() => {
                out.push('\n');
                pad(out, indent);
                if chars.peek() == Some(&' ') {
                    out.push('\\');
                }
                at_column = indent;
                continue;
            }
            c => out.push(c),
        }
        at_column += out.len() - before;
        first = false;
    }
    out.push('"');
}

#[cfg(test)]
mod tests;
