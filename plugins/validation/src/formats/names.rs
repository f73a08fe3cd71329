//! Names, labels, and keys.

use super::pattern;

fn too_long(limit: usize) -> String {
    format!("must be no more than {limit} characters")
}

// Where the reference's newer checks do the counting, they call it bytes.
fn too_many_bytes(limit: usize) -> String {
    format!("must be no more than {limit} bytes")
}

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";

fn is_label(text: &str, first: impl Fn(u8) -> bool) -> bool {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    match text.as_bytes() {
        [] => false,
        bytes => {
            first(bytes[0]) && plain(bytes[bytes.len() - 1]) && bytes.iter().all(|byte| plain(*byte) || *byte == b'-')
        }
    }
}

fn is_subdomain(text: &str) -> bool {
    text.split('.').all(|part| is_label(part, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()))
}

/// A DNS label (RFC 1123): 63 lower-case letters, digits and hyphens.
pub fn dns_label(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 63 {
        wrong.push(too_long(63));
    }
    if !is_label(text, |byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) {
        wrong.push(if is_subdomain(text) {
            "must not contain dots".to_owned()
        } else {
            let message = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
                           start and end with an alphanumeric character";
            pattern(message, &["my-name", "123-abc"], LABEL)
        });
    }
    wrong
}

/// A DNS subdomain (RFC 1123): labels with dots between them, 253 characters in all.
pub fn dns_subdomain(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 253 {
        wrong.push(too_long(253));
    }
    if !is_subdomain(text) {
        let message = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                       must start and end with an alphanumeric character";
        wrong.push(pattern(message, &["example.com"], &format!("{LABEL}(\\.{LABEL})*")));
    }
    wrong
}

/// The same, said by those kinds whose names are checked by their declarations: they count bytes.
pub fn declared_name(text: &str) -> Vec<String> {
    let mut wrong = dns_subdomain(text);
    if text.len() > 253 {
        wrong[0] = too_many_bytes(253);
    }
    wrong
}

/// A DNS subdomain in which underscores are tolerated, one of them at the beginning of each label.
pub fn dns_subdomain_with_underscore(text: &str) -> Vec<String> {
    const LABEL: &str = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?";
    let mut wrong = Vec::new();
    if text.len() > 253 {
        wrong.push(too_long(253));
    }
    let fits = |part: &str| {
        let part = part.strip_prefix('_').unwrap_or(part);
        !part.starts_with('_') && !part.ends_with('_') && is_subdomain(&part.replace('_', "-"))
    };
    if !text.split('.').all(fits) {
        let message = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or \
                       '.', and must start and end with an alphanumeric character";
        wrong.push(pattern(message, &["example.com"], &format!("{LABEL}(\\.{LABEL})*")));
    }
    wrong
}

/// A DNS subdomain behind `*.`.
pub fn wildcard_subdomain(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 253 {
        wrong.push(too_long(253));
    }
    if !text.strip_prefix("*.").is_some_and(is_subdomain) {
        let message = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must \
                       consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character";
        wrong.push(pattern(message, &["*.example.com"], &format!("\\*\\.{LABEL}(\\.{LABEL})*")));
    }
    wrong
}

/// A DNS label (RFC 1035): as above, but it starts with a letter.
pub fn dns_1035_label(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 63 {
        wrong.push(too_long(63));
    }
    if !is_label(text, |byte| byte.is_ascii_lowercase()) {
        let message = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic \
                       character, and end with an alphanumeric character";
        wrong.push(pattern(message, &["my-name", "abc-123"], "[a-z]([-a-z0-9]*[a-z0-9])?"));
    }
    wrong
}

/// A name that must have several segments with dots between them.
pub fn full_domain(text: &str) -> Vec<String> {
    let mut wrong = dns_subdomain(text);
    if wrong.is_empty() && text.split('.').count() < 3 {
        wrong.push("should be a domain with at least three segments separated by dots".to_owned());
    }
    wrong
}

/// The name of an environment variable.
pub fn env_name(text: &str) -> Vec<String> {
    if !text.is_empty() && text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'=') {
        return Vec::new();
    }
    let detail = "a valid environment variable name must consist only of printable ASCII characters other than '='";
    vec![detail.to_owned()]
}

/// An identifier of the C language.
pub fn c_identifier(text: &str) -> Vec<String> {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !text.is_empty() && text.bytes().all(good) && !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Vec::new();
    }
    let message = "a valid C identifier must start with alphabetic character or '_', followed by a string of \
                   alphanumeric characters or '_'";
    vec![pattern(message, &["my_name", "MY_NAME", "MyName"], "[A-Za-z_][A-Za-z0-9_]*")]
}

/// A name of the form `domain/path`.
pub fn domain_prefixed_path(text: &str) -> Vec<String> {
    let Some((domain, path)) = text.split_once('/').filter(|(domain, path)| !domain.is_empty() && !path.is_empty())
    else {
        return vec!["must be a domain-prefixed path (such as \"acme.io/foo\")".to_owned()];
    };
    let mut wrong: Vec<String> =
        dns_subdomain(domain).into_iter().map(|message| format!("prefix part {message}")).collect();
    let allowed = |c: char| c.is_ascii_alphanumeric() || "!$&'()*+,;=:@-._~/%".contains(c);
    if !path.chars().all(allowed) {
        wrong.push(pattern("Invalid path", &["acme.io/foo"], "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+"));
    }
    wrong
}

const NAME: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const NAME_MESSAGE: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                            alphanumeric character";
const NAME_EXAMPLES: [&str; 3] = ["MyName", "my.name", "123-abc"];

fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let ends = [bytes.first(), bytes.last()].into_iter().all(|end| end.is_some_and(u8::is_ascii_alphanumeric));
    ends && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

/// A key of a label or an annotation: a name, perhaps behind a DNS subdomain and a slash.
pub fn qualified_name(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let parts: Vec<&str> = text.split('/').collect();
    let name = match parts[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                wrong.push("prefix part must be non-empty".to_owned());
            } else {
                wrong.extend(dns_subdomain(prefix).into_iter().map(|message| format!("prefix part {message}")));
            }
            name
        }
        _ => {
            let message = pattern(NAME_MESSAGE, &NAME_EXAMPLES, NAME);
            let rest = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {message} {rest}")];
        }
    };
    if name.is_empty() {
        wrong.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        wrong.push(format!("name part {}", too_many_bytes(63)));
    }
    if !is_name(name) {
        wrong.push(format!("name part {}", pattern(NAME_MESSAGE, &NAME_EXAMPLES, NAME)));
    }
    wrong
}

/// The value of a label.
pub fn label_value(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 63 {
        wrong.push(too_many_bytes(63));
    }
    if !text.is_empty() && !is_name(text) {
        let message = format!("a valid label must be an empty string or {}", NAME_MESSAGE.replacen("must ", "", 1));
        wrong.push(pattern(&message, &["MyValue", "my_value", "12345"], &format!("({NAME})?")));
    }
    wrong
}

/// A key of a ConfigMap or a Secret, which may become the name of a file.
pub fn config_key(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 253 {
        wrong.push(too_long(253));
    }
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')) {
        let message = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
        wrong.push(pattern(message, &["key.name", "KEY_NAME", "key-name"], "[-._a-zA-Z0-9]+"));
    }
    match text {
        "." => wrong.push("must not be '.'".to_owned()),
        ".." => wrong.push("must not be '..'".to_owned()),
        text if text.starts_with("..") => wrong.push("must not start with '..'".to_owned()),
        _ => {}
    }
    wrong
}

/// The name of a port (RFC 6335, lower case).
pub fn port_name(text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    if text.len() > 15 {
        wrong.push(too_long(15));
    }
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    if text.is_empty() || !text.bytes().all(allowed) {
        wrong.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned());
    }
    if !text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        wrong.push("must contain at least one letter (a-z)".to_owned());
    }
    if text.contains("--") {
        wrong.push("must not contain consecutive hyphens".to_owned());
    }
    if text.starts_with('-') || text.ends_with('-') {
        wrong.push("must not begin or end with a hyphen".to_owned());
    }
    wrong
}

/// The name of a header of HTTP.
pub fn http_header(text: &str) -> Vec<String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Vec::new();
    }
    let message = "a valid HTTP header must consist of alphanumeric characters or '-'";
    vec![pattern(message, &["X-Header-Name"], "[-A-Za-z0-9]+")]
}
