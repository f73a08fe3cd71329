//! The `Warning` headers of an answer (RFC 7234).

use http::HeaderValue;

/// How many characters all warnings of an answer may have together before they are cut.
const TOTAL: usize = 4 * 1024;
/// How many characters are left of a warning that is cut.
const CUT: usize = 256;

/// The headers' values, as the reference bounds them: as long as all warnings together are short they are whole. Else each
/// is cut, and when even then there are too many, the last ones are left out.
pub fn headers(warnings: &[String]) -> Vec<HeaderValue> {
    // What cannot stand in a header is left out.
    let texts = warnings.iter().map(|text| text.chars().filter(|c| !c.is_control()).collect::<Vec<char>>());
    let texts: Vec<Vec<char>> = texts.filter(|text| !text.is_empty()).collect();
    let whole = texts.iter().map(Vec::len).sum::<usize>() <= TOTAL;
    let mut written = 0;
    let mut values = Vec::with_capacity(texts.len());
    for text in texts {
        if !whole && written >= TOTAL {
            break;
        }
        let shown = if whole { &text[..] } else { &text[..text.len().min(CUT)] };
        written += shown.len();
        let escaped = shown.iter().collect::<String>().replace('\\', "\\\\").replace('"', "\\\"");
        values.extend(HeaderValue::from_bytes(format!("299 - \"{escaped}\"").as_bytes()));
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths() {
        let check = |given: &[usize], expected: &[usize]| {
            let given: Vec<String> = given.iter().map(|length| "x".repeat(*length)).collect();
            let found: Vec<usize> = headers(&given).iter().map(|value| value.len() - "299 - \"\"".len()).collect();
            assert_eq!(found, expected);
        };
        check(&[], &[]);
        check(&[300, 0, 700], &[300, 700]);
        check(&[2_000, 2_096], &[2_000, 2_096]);
        check(&[2_000, 2_097, 3], &[256, 256, 3]);
        check(&[1_000; 20], &[256; 16]);
        assert_eq!(headers(&["a \"b\"\n\\".to_owned()]), [r#"299 - "a \"b\"\\""#]);
    }
}
