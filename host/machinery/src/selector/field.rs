//! Field selectors: the text of `fieldSelector=`.

use crate::Status;
use std::fmt;

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FieldOperator {
    /// `field=value` or `field==value`.
    Equals,
    /// `field!=value`.
    NotEquals,
}

/// One term.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldTerm {
    /// The field, such as `spec.nodeName`.
    pub field: String,
    /// How it is compared.
    pub operator: FieldOperator,
    /// With what.
    pub value: String,
}

/// Terms that must all hold; without any, everything matches.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FieldSelector {
    terms: Vec<FieldTerm>,
}

impl FieldSelector {
    /// Parses `fieldSelector=`. Whether a resource knows the fields is the caller's to check. The error is the 400 of a
    /// bad query.
    pub fn parse(text: &str) -> Result<Self, Status> {
        let mut parts = split_terms(text);
        parts.sort_unstable();
        let mut terms = Vec::new();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let Some((field, operator, value)) = split_term(part) else {
                return Err(Status::bad_request(format!("invalid selector: '{text}'; can't understand '{part}'")));
            };
            terms.push(FieldTerm { field: field.to_owned(), operator, value: unescape(value)? });
        }
        Ok(Self { terms })
    }

    /// Whether all terms hold; `get` gives a field's value (an absent field is the empty string).
    pub fn matches<'a>(&self, get: impl Fn(&str) -> Option<&'a str>) -> bool {
        self.terms.iter().all(|term| {
            let same = get(&term.field).unwrap_or("") == term.value;
            same == (term.operator == FieldOperator::Equals)
        })
    }

    /// The same terms about fields of other names.
    pub fn renamed(&self, name: impl Fn(&str) -> String) -> Self {
        let terms = self.terms.iter().map(|term| FieldTerm { field: name(&term.field), ..term.clone() });
        Self { terms: terms.collect() }
    }

    /// The value that a field must have, if the selector says so exactly: what lets a watch of one node's pods or of one
    /// object's name use an index.
    pub fn required(&self, field: &str) -> Option<&str> {
        let term = self.terms.iter().find(|term| term.field == field && term.operator == FieldOperator::Equals)?;
        Some(&term.value)
    }

    /// Whether everything matches.
    pub fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }

    /// The terms, in the order of their text.
    pub fn terms(&self) -> &[FieldTerm] {
        &self.terms
    }
}

/// Splits at commas that no backslash precedes.
fn split_terms(text: &str) -> Vec<&str> {
    let (mut terms, mut start, mut escaped) = (Vec::new(), 0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b',' => {
                terms.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    terms.push(&text[start..]);
    terms
}

fn split_term(term: &str) -> Option<(&str, FieldOperator, &str)> {
    let at = term
        .char_indices()
        .map(|(at, _)| at)
        .find(|at| term[*at..].starts_with("!=") || term[*at..].starts_with('='))?;
    let (field, rest) = term.split_at(at);
    Some(match rest.strip_prefix("!=") {
        Some(value) => (field, FieldOperator::NotEquals, value),
        None => {
            (field, FieldOperator::Equals, rest.strip_prefix("==").or_else(|| rest.strip_prefix('=')).unwrap_or(rest))
        }
    })
}

fn unescape(value: &str) -> Result<String, Status> {
    let bad_escape =
        |sequence: String| Status::bad_request(format!("invalid field selector: invalid escape sequence: {sequence}"));
    let mut out = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(char) = chars.next() {
        match char {
            '\\' => match chars.next() {
                Some(char @ ('\\' | ',' | '=')) => out.push(char),
                Some(char) => return Err(bad_escape(format!("\\{char}"))),
                None => return Err(bad_escape("\\".to_owned())),
            },
            ',' | '=' => {
                let why = format!("invalid field selector: unescaped character in value: {}", u32::from(char));
                return Err(Status::bad_request(why));
            }
            char => out.push(char),
        }
    }
    Ok(out)
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, term) in self.terms.iter().enumerate() {
            let value = term.value.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
            let operator = if term.operator == FieldOperator::Equals { "=" } else { "!=" };
            write!(f, "{}{}{operator}{value}", if index > 0 { "," } else { "" }, term.field)?;
        }
        Ok(())
    }
}
