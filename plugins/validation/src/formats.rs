//! Formats of names and other short texts. Each function returns what is wrong, in the words that clients know; nothing
//! if the text is fine.

mod names;
mod network;
mod paths;

pub use names::*;
pub use network::*;
pub use paths::*;

/// How a pattern is explained: what must hold, examples, and the expression.
fn pattern(message: &str, examples: &[&str], pattern: &str) -> String {
    // One example is followed by a comma, several are each; the form is part of what tools look for.
    let examples: Vec<String> = examples.iter().map(|example| format!("'{example}', ")).collect();
    format!("{message} (e.g. {}regex used for validation is '{pattern}')", examples.join(" or "))
}

/// A number in `low..=high`.
pub fn in_range(number: i64, low: i64, high: i64) -> Option<String> {
    (!(low..=high).contains(&number)).then(|| format!("must be between {low} and {high}, inclusive"))
}

/// A user's or a group's number.
pub fn unix_id(number: i64) -> Option<String> {
    in_range(number, 0, i64::from(i32::MAX))
}

/// A percentage such as `25%`.
pub fn percent(text: &str) -> Vec<String> {
    let digits = text.strip_suffix('%').unwrap_or("");
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        let message = "a valid percent string must be a numeric string followed by an ending '%'";
        return vec![pattern(message, &["1%", "93%"], "[0-9]+%")];
    }
    Vec::new()
}
