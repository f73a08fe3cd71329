//! URLs.

use std::rc::Rc;

use super::{Outcome, failed};
use crate::value::Val;

/// A URL in its parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Url {
    /// As it was written.
    pub text: String,
    scheme: String,
    host: String,
    path: String,
    query: Vec<(String, Vec<String>)>,
}

impl Url {
    /// Reads an absolute URL, or an absolute path.
    fn parse(text: &str) -> Option<Self> {
        if text.is_empty() || text.chars().any(|c| c.is_control() || c == ' ') {
            return None;
        }
        let mut url = Self { text: text.to_owned(), ..Self::default() };
        let mut rest = text;
        if let Some((scheme, after)) = text.split_once(':').filter(|(scheme, _)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        }) {
            url.scheme = scheme.to_ascii_lowercase();
            rest = after;
        } else if !text.starts_with('/') {
            return None;
        }
        if let Some(after) = rest.strip_prefix("//") {
            let end = after.find(['/', '?', '#']).unwrap_or(after.len());
            let authority = &after[..end];
            url.host = authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_owned();
            let port = url.host.rsplit_once(':').filter(|_| !url.host.ends_with(']')).map(|(_, port)| port);
            if port.is_some_and(|port| !port.chars().all(|c| c.is_ascii_digit())) {
                return None;
            }
            rest = &after[end..];
        }
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        url.path = path.to_owned();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (key, value) = (unescape(key), unescape(value));
            match url.query.iter_mut().find(|(known, _)| *known == key) {
                Some((_, values)) => values.push(value),
                None => url.query.push((key, vec![value])),
            }
        }
        Some(url)
    }

    fn hostname(&self) -> &str {
        if let Some(inside) = self.host.strip_prefix('[') {
            return inside.split(']').next().unwrap_or_default();
        }
        self.host.split(':').next().unwrap_or_default()
    }

    fn port(&self) -> &str {
        let after =
            if self.host.starts_with('[') { self.host.split(']').nth(1).unwrap_or_default() } else { &self.host };
        after.rsplit_once(':').map_or("", |(_, port)| port)
    }
}

fn unescape(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let raw = text.as_bytes();
    let mut at = 0;
    while at < raw.len() {
        let hex = || u8::from_str_radix(text.get(at + 1..at + 3)?, 16).ok();
        match raw[at] {
            b'+' => bytes.push(b' '),
            b'%' if hex().is_some() => {
                bytes.extend(hex());
                at += 2;
            }
            byte => bytes.push(byte),
        }
        at += 1;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

pub(super) fn call<'a>(name: &str, args: &[Val<'a>]) -> Option<Outcome<'a>> {
    match (name, args) {
        ("url", [Val::String(text)]) => Some(match Url::parse(text) {
            Some(url) => Ok(Val::Url(Rc::new(url))),
            None => failed(format!(
                "URL parse error during conversion from string: parse {text:?}: invalid URI for request"
            )),
        }),
        ("isURL", [Val::String(text)]) => Some(Ok(Val::Bool(Url::parse(text).is_some()))),
        (_, [Val::Url(url)]) => Some(Ok(match name {
            "getScheme" => url.scheme.as_str().into(),
            "getHost" => url.host.as_str().into(),
            "getHostname" => url.hostname().into(),
            "getPort" => url.port().into(),
            "getEscapedPath" => url.path.as_str().into(),
            "getQuery" => {
                let list = |values: &Vec<String>| Val::list(values.iter().map(|value| value.as_str().into()).collect());
                let entries = url.query.iter().map(|(key, values)| (key.as_str().into(), list(values))).collect();
                Val::Map(Rc::new(entries))
            }
            _ => return None,
        })),
        _ => None,
    }
}
