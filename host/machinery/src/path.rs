//! Paths into objects, in the three notations that the API uses: field paths as error messages print them
//! (`spec.containers[0].name`), JSON pointers (RFC 6901), and the patterns by which policies declare what they read
//! (pointers with `*`, see `wit/types.wit`).

use std::fmt;

/// A path as validation messages print it. Each step makes a new path, so that a caller can keep the one it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath(String);

impl FieldPath {
    /// The path of a top-level field.
    pub fn new(name: &str) -> Self {
        Self(name.to_owned())
    }

    /// The whole object; its first child is printed without a dot.
    pub fn root() -> Self {
        Self::default()
    }

    /// A field of the value at this path: `.name`.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        if self.0.is_empty() { Self::new(name) } else { Self(format!("{}.{name}", self.0)) }
    }

    /// An item of the list at this path: `[3]`.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }

    /// An entry of the map at this path: `[a/b]`.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self(format!("{}[{key}]", self.0))
    }

    /// The path as it is printed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<FieldPath> for String {
    fn from(path: FieldPath) -> Self {
        path.0
    }
}

/// Why a text is no pointer or pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A pointer is empty or starts with `/`.
    #[error("path {0:?} must be empty or start with '/'")]
    Start(String),
    /// `~` is followed by `0` or `1`.
    #[error("path {0:?} has a '~' that is not followed by '0' or '1'")]
    Escape(String),
    /// More segments or bytes than a path may have.
    #[error("path is too long: at most {MAX_SEGMENTS} segments and {MAX_BYTES} bytes are allowed")]
    TooLong,
}

/// The most segments that a pointer or pattern may have.
pub const MAX_SEGMENTS: usize = 64;
/// The most bytes that a pointer or pattern may have.
pub const MAX_BYTES: usize = 4096;

/// Splits an RFC 6901 pointer into its unescaped segments.
pub fn parse_pointer(text: &str) -> Result<Vec<String>, PathError> {
    if text.len() > MAX_BYTES {
        return Err(PathError::TooLong);
    }
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let Some(rest) = text.strip_prefix('/') else { return Err(PathError::Start(text.to_owned())) };
    let segments = rest.split('/').map(|segment| unescape(segment, text)).collect::<Result<Vec<_>, _>>()?;
    if segments.len() > MAX_SEGMENTS { Err(PathError::TooLong) } else { Ok(segments) }
}

fn unescape(segment: &str, whole: &str) -> Result<String, PathError> {
    let mut out = String::with_capacity(segment.len());
    let mut chars = segment.chars();
    while let Some(char) = chars.next() {
        match char {
            '~' => match chars.next() {
                Some('0') => out.push('~'),
                Some('1') => out.push('/'),
                _ => return Err(PathError::Escape(whole.to_owned())),
            },
            char => out.push(char),
        }
    }
    Ok(out)
}

/// Escapes one segment for a JSON pointer.
pub fn escape_segment(segment: &str) -> String {
    segment.replace('~', "~0").replace('/', "~1")
}

/// The array index that a pointer's segment stands for: decimal, without leading zeros.
pub fn array_index(segment: &str) -> Option<usize> {
    let digits = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
    if digits && (segment.len() == 1 || !segment.starts_with('0')) { segment.parse().ok() } else { None }
}

/// One step of a [`Pattern`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Segment {
    /// The member with this key; in an array, the item with this index.
    Key(String),
    /// `*`: every member or item.
    Any,
}

/// A JSON pointer in which a segment `*` stands for every item or member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pattern {
    segments: Vec<Segment>,
    /// Whether one of them is `*`; asked at every projection.
    multiple: bool,
}

impl Pattern {
    /// Parses a pattern: a JSON pointer with `*` segments.
    pub fn parse(text: &str) -> Result<Self, PathError> {
        let segment = |text: String| if text == "*" { Segment::Any } else { Segment::Key(text) };
        let segments: Vec<Segment> = parse_pointer(text)?.into_iter().map(segment).collect();
        let multiple = segments.contains(&Segment::Any);
        Ok(Self { segments, multiple })
    }

    /// The steps.
    #[inline]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Whether there is a `*`, so that the pattern has any number of matches instead of one value.
    #[inline]
    pub fn is_multiple(&self) -> bool {
        self.multiple
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for segment in &self.segments {
            match segment {
                Segment::Key(key) => write!(f, "/{}", escape_segment(key))?,
                Segment::Any => f.write_str("/*")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
