//! Reads what a request asks for from its method, path and query, as the reference's `RequestInfoFactory` does.

use http::Method;

pub mod timeout;

use crate::context::RequestInfo;

/// Parses the query string of a request into decoded pairs, in order.
pub fn query_pairs(query: &str) -> Vec<(String, String)> {
    query
        .split('&')
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            (percent_decode(key, true), percent_decode(value, true))
        })
        .collect()
}

/// Decodes `%41` (and `+` in queries); an escape that is broken stays as it is.
pub fn percent_decode(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escaped =
            (byte == b'%').then(|| text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok())).flatten();
        match escaped {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(if byte == b'+' && plus_is_space { b' ' } else { byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The first value of a query parameter.
pub fn first<'a>(pairs: &'a [(String, String)], key: &str) -> Option<&'a str> {
    pairs.iter().find(|(k, _)| k == key).map(|(_, v)| v.as_str())
}

/// A boolean parameter: present means true, unless it says `false` or `0` (the reference's query conversion).
pub fn flag(pairs: &[(String, String)], key: &str) -> bool {
    first(pairs, key).is_some_and(|value| !(value == "0" || value.eq_ignore_ascii_case("false")))
}

/// What the request line asks for. `path` is the path as sent.
pub fn parse(method: &Method, path: &str, query: &str) -> RequestInfo {
    let path = percent_decode(path, false);
    let mut info =
        RequestInfo { path: path.clone(), verb: method.as_str().to_ascii_lowercase(), ..RequestInfo::default() };
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let mut rest: &[&str] = match parts.as_slice() {
        ["api", rest @ ..] if rest.len() >= 2 => rest,
        ["apis", group, rest @ ..] if rest.len() >= 2 => {
            info.api_group = (*group).to_owned();
            rest
        }
        _ => return info,
    };
    info.is_resource_request = true;
    let Some((version, after)) = rest.split_first() else { return info };
    info.api_version = (*version).to_owned();
    rest = after;
    if matches!(rest.first(), Some(&"watch" | &"proxy")) && rest.len() >= 2 {
        info.verb = rest[0].to_owned();
        rest = &rest[1..];
    } else {
        info.verb = match *method {
            Method::POST => "create",
            Method::GET | Method::HEAD => "get",
            Method::PUT => "update",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "",
        }
        .to_owned();
    }
    if rest.first() == Some(&"namespaces") && rest.len() > 1 {
        info.namespace = rest[1].to_owned();
        if rest.len() > 2 && !matches!(rest[2], "status" | "finalize") {
            rest = &rest[2..];
        }
    }
    info.resource = rest.first().copied().unwrap_or_default().to_owned();
    info.name = rest.get(1).copied().unwrap_or_default().to_owned();
    if info.verb != "proxy" {
        info.subresource = rest.get(2).copied().unwrap_or_default().to_owned();
    }
    if info.name.is_empty() && info.verb == "get" {
        let pairs = query_pairs(query);
        info.verb = if flag(&pairs, "watch") { "watch" } else { "list" }.to_owned();
        info.name = name_in_selector(&pairs).unwrap_or_default();
    }
    if info.name.is_empty() && info.verb == "delete" {
        info.verb = "deletecollection".to_owned();
    }
    info
}

/// The name that `fieldSelector=metadata.name=x` asks for, so that rules with resourceNames apply to such lists.
fn name_in_selector(pairs: &[(String, String)]) -> Option<String> {
    let selector = first(pairs, "fieldSelector")?;
    selector.split(',').find_map(|term| {
        let (field, value) = term.split_once('=')?;
        let value = value.strip_prefix('=').unwrap_or(value);
        let valid = !value.is_empty() && value != "." && value != ".." && !value.contains(['/', '%']);
        (field == "metadata.name" && valid).then(|| value.to_owned())
    })
}

#[cfg(test)]
mod tests;
