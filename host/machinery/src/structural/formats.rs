//! The formats of text that schemas may name. A format that is not known is not checked, as in the reference.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use base64::Engine as _;
use regex::Regex;

use super::meta;

/// Patterns by format, each compiled when it is first needed.
static PATTERNS: LazyLock<Vec<(&str, Regex)>> = LazyLock::new(|| {
    const HEX: &str = "[0-9a-fA-F]";
    let uuid = |version: &str, variant: &str| {
        format!("^{HEX}{{8}}-?{HEX}{{4}}-?{version}{HEX}{{3}}-?{variant}{HEX}{{3}}-?{HEX}{{12}}$")
    };
    let patterns = [
        ("bsonobjectid", format!("^{HEX}{{24}}$")),
        ("uuid", uuid(HEX, HEX)),
        ("uuid3", uuid("3", HEX)),
        ("uuid4", uuid("4", "[89abAB]")),
        ("uuid5", uuid("5", "[89abAB]")),
        ("mac", format!("^({HEX}{{2}}([:-]{HEX}{{2}}){{5}}|{HEX}{{2}}([:-]{HEX}{{2}}){{7}}|{HEX}{{4}}(\\.{HEX}{{4}}){{2,3}})$")),
        ("hexcolor", format!("^#?({HEX}{{3}}|{HEX}{{6}})$")),
        ("rgbcolor", "^rgb\\(\\s*(0|[1-9]\\d?|1\\d\\d?|2[0-4]\\d|25[0-5])\\s*(,\\s*(0|[1-9]\\d?|1\\d\\d?|2[0-4]\\d|25[0-5])\\s*){2}\\)$".into()),
        ("ssn", "^\\d{3}[- ]?\\d{2}[- ]?\\d{4}$".into()),
        ("isbn10", "^(?:[0-9]{9}X|[0-9]{10})$".into()),
        ("isbn13", "^(?:[0-9]{13})$".into()),
        ("creditcard", "^\\d{13,19}$".into()),
        ("email", "^[^@\\s<>\",;:()\\[\\]\\\\]+@[^@\\s<>\",;()\\[\\]\\\\]+$".into()),
        ("hostname", "^([a-zA-Z0-9\\p{L}]([a-zA-Z0-9\\p{L}-]{0,61}[a-zA-Z0-9\\p{L}])?)(\\.[a-zA-Z0-9\\p{L}]([a-zA-Z0-9\\p{L}-]{0,61}[a-zA-Z0-9\\p{L}])?)*\\.?$".into()),
        ("time", "^([0-9]{2}):([0-9]{2}):([0-9]{2})(\\.[0-9]+)?(z|([+-][0-9]{2}:[0-9]{2}))$".into()),
        ("uri", "^([a-zA-Z][a-zA-Z0-9+.-]*:|/)[^\\s]*$".into()),
        ("duration", "^[-+]?(\\s*[0-9]+(\\.[0-9]*)?\\s*(ns|us|µs|μs|ms|s|m|h|d|w|nano(second)?s?|micro(second)?s?|milli(second)?s?|sec(ond)?s?|min(ute)?s?|hours?|days?|weeks?))+$".into()),
    ];
    patterns.into_iter().filter_map(|(name, pattern)| Some((name, Regex::new(&pattern).ok()?))).collect()
});

fn by_pattern(format: &str, text: &str) -> Option<bool> {
    PATTERNS.iter().find(|(name, _)| *name == format).map(|(_, pattern)| pattern.is_match(text))
}

/// Whether a text has a format; true for formats that are not known.
pub fn matches(format: &str, text: &str) -> bool {
    // Dashes in the names do not count.
    let name: String = format.chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
    match name.as_str() {
        "datetime" => is_date_time(text),
        "date" => is_date(text),
        "ipv4" => text.parse::<Ipv4Addr>().is_ok(),
        "ipv6" => text.parse::<Ipv6Addr>().is_ok(),
        "cidr" => text.contains('/') && text.parse::<ipnet::IpNet>().is_ok(),
        "byte" => base64::engine::general_purpose::STANDARD.decode(text).is_ok(),
        "isbn" => {
            by_pattern("isbn10", &digits(text)) == Some(true) || by_pattern("isbn13", &digits(text)) == Some(true)
        }
        "isbn10" | "isbn13" | "creditcard" => by_pattern(&name, &digits(text)).unwrap_or(true),
        "k8sshortname" => meta::dns1123_label_error(text).is_none(),
        "k8slongname" => meta::dns1123_subdomain_error(text).is_none(),
        "duration" => text == "0" || by_pattern("duration", &text.to_ascii_lowercase()) == Some(true),
        _ => by_pattern(&name, text).unwrap_or(true),
    }
}

fn digits(text: &str) -> String {
    text.chars().filter(|c| !matches!(c, ' ' | '-')).collect()
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok()
}

/// RFC 3339, in any case.
fn is_date_time(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    let Some((date, time)) = lower.split_once('t') else { return false };
    let part = |range: std::ops::Range<usize>, highest: u32| {
        time.get(range).and_then(|part| part.parse::<u32>().ok()).is_some_and(|part| part <= highest)
    };
    is_date(date) && by_pattern("time", time) == Some(true) && part(0..2, 23) && part(3..5, 59) && part(6..8, 59)
}
