//! The words and signs of a label selector.

/// What a piece of a selector is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// The end of the text.
    End,
    /// `)`.
    Close,
    /// `(`.
    Open,
    /// `,`.
    Comma,
    /// `!`.
    Not,
    /// `=`.
    Equals,
    /// `==`.
    DoubleEquals,
    /// `!=`.
    NotEquals,
    /// `>`.
    Greater,
    /// `<`.
    Less,
    /// `in`.
    In,
    /// `notin`.
    NotIn,
    /// A key or value.
    Word,
}

fn sign(byte: u8) -> Option<Token> {
    Some(match byte {
        b')' => Token::Close,
        b'(' => Token::Open,
        b',' => Token::Comma,
        b'!' => Token::Not,
        b'=' => Token::Equals,
        b'>' => Token::Greater,
        b'<' => Token::Less,
        _ => return None,
    })
}

/// Splits a selector into tokens; the last one is [`Token::End`]. A NUL byte ends the text, as in the reference.
pub(super) fn lex(text: &str) -> Vec<(Token, &str)> {
    let text = text.split('\0').next().unwrap_or_default();
    let bytes = text.as_bytes();
    let blank = |byte: u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if blank(byte) {
            at += 1;
            continue;
        }
        let start = at;
        let token = match sign(byte) {
            Some(token) => {
                at += 1;
                match (token, bytes.get(at)) {
                    (Token::Equals, Some(b'=')) => {
                        at += 1;
                        Token::DoubleEquals
                    }
                    (Token::Not, Some(b'=')) => {
                        at += 1;
                        Token::NotEquals
                    }
                    _ => token,
                }
            }
            None => {
                while bytes.get(at).is_some_and(|byte| !blank(*byte) && sign(*byte).is_none()) {
                    at += 1;
                }
                match &text[start..at] {
                    "in" => Token::In,
                    "notin" => Token::NotIn,
                    _ => Token::Word,
                }
            }
        };
        tokens.push((token, text.get(start..at).unwrap_or_default()));
    }
    tokens.push((Token::End, ""));
    tokens
}
