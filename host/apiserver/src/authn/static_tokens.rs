//! `--token-auth-file`: reads the file and makes the bearer component's configuration of it. The tokens themselves stay
//! here: the component gets their SHA-256 sums.

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// It cannot be read.
    #[error("cannot read the token file: {0}")]
    Read(#[from] std::io::Error),
    /// A line has too few fields.
    #[error("line {0} of the token file must have at least the fields token, user name and user uid")]
    TooFewFields(usize),
    /// A line has no token.
    #[error("line {0} of the token file has an empty token")]
    EmptyToken(usize),
}

/// The fields of one line (RFC 4180): separated by commas, in quotes if they contain one.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let Some(field) = fields.last_mut() else { break };
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c if c.is_whitespace() && field.is_empty() && !quoted => {}
            c => field.push(c),
        }
    }
    fields
}

/// Reads the text of a token file into entries of the component's `staticTokens`.
///
/// # Errors
/// If a line is not as it should be.
pub fn parse(text: &str) -> Result<Vec<Value>, TokenFileError> {
    let mut tokens = Vec::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let fields = fields(line.trim_end());
        let [token, user, uid, rest @ ..] = fields.as_slice() else {
            return Err(TokenFileError::TooFewFields(at + 1));
        };
        if token.is_empty() {
            return Err(TokenFileError::EmptyToken(at + 1));
        }
        let groups: Vec<&str> = rest
            .first()
            .map(|list| list.split(',').map(str::trim).filter(|g| !g.is_empty()).collect())
            .unwrap_or_default();
        let sum = hex::encode(Sha256::digest(token));
        tokens.push(json!({"sha256": sum, "user": user, "uid": uid, "groups": groups}));
    }
    Ok(tokens)
}

/// Reads a token file.
///
/// # Errors
/// If it cannot be read, or a line is not as it should be.
pub fn read(path: &Path) -> Result<Vec<Value>, TokenFileError> {
    parse(&std::fs::read_to_string(path)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let sum = hex::encode(Sha256::digest("t"));
        let check = |line: &str, expected: Result<Value, &str>| {
            let found = parse(line).map(Value::from).map_err(|error| error.to_string());
            assert_eq!(found, expected.map_err(str::to_owned), "{line}");
        };
        check("t,jo,7,\"a, b\"", Ok(json!([{"sha256": sum, "user": "jo", "uid": "7", "groups": ["a", "b"]}])));
        check("# note\n\nt,\"j\"\"o\",", Ok(json!([{"sha256": sum, "user": "j\"o", "uid": "", "groups": []}])));
        check("t,jo", Err("line 1 of the token file must have at least the fields token, user name and user uid"));
        check("\n,jo,7", Err("line 2 of the token file has an empty token"));
    }
}
