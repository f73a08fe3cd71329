//! Links in what a proxied application answers: those that begin with `/` are made to lead back through the proxy.
//!
//! Redirects and HTML pages are rewritten, nothing else. A page is rewritten as it streams: only a tag that is not complete
//! yet is held back.

use std::io::Read as _;

use axum::body::Body;
use futures::StreamExt as _;
use http::Response;
use http::header::{self, HeaderValue};
use http_body_util::{BodyExt as _, Limited};

/// A tag that is longer than this is passed on as it is.
const MAX_TAG: usize = 64 * 1024;
/// The most bytes of a compressed page that are taken apart.
const MAX_PAGE: usize = 16 * 1024 * 1024;

/// The attributes that hold links, by element.
const LINKS: [(&str, &[&str]); 25] = [
    ("a", &["href"]),
    ("applet", &["codebase"]),
    ("area", &["href"]),
    ("audio", &["src"]),
    ("base", &["href"]),
    ("blockquote", &["cite"]),
    ("body", &["background"]),
    ("button", &["formaction"]),
    ("command", &["icon"]),
    ("del", &["cite"]),
    ("embed", &["src"]),
    ("form", &["action"]),
    ("frame", &["longdesc", "src"]),
    ("head", &["profile"]),
    ("html", &["manifest"]),
    ("iframe", &["longdesc", "src"]),
    ("img", &["longdesc", "src", "usemap"]),
    ("input", &["src", "usemap", "formaction"]),
    ("ins", &["cite"]),
    ("link", &["href"]),
    ("object", &["classid", "codebase", "data", "usemap"]),
    ("q", &["cite"]),
    ("script", &["src"]),
    ("source", &["src"]),
    ("video", &["poster", "src"]),
];

/// Elements whose content is text, whatever it looks like.
const RAW: [&str; 6] = ["script", "style", "textarea", "title", "xmp", "noembed"];

/// How the links of one answer are to be changed.
#[derive(Clone, Debug)]
pub(super) struct Rewrite {
    prefix: String,
    hosts: [String; 2],
}

impl Rewrite {
    /// Links on `target` (where the answer is from) or `asked` (the host that the client asked) get `prefix` before them.
    pub(super) fn new(prefix: &str, target: &str, asked: &str) -> Self {
        Self { prefix: prefix.to_owned(), hosts: [target.to_owned(), asked.to_owned()] }
    }

    /// A link as it should be.
    fn link(&self, url: &str) -> String {
        let local = match url.split_once("//") {
            Some(("" | "http:" | "https:", rest)) => {
                let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
                let (host, path) = rest.split_at(end);
                if !self.hosts.iter().any(|known| !known.is_empty() && known == host) || !path.starts_with('/') {
                    return url.to_owned();
                }
                path
            }
            _ => url,
        };
        if !local.starts_with('/') {
            return url.to_owned();
        }
        if local.starts_with(&self.prefix) { local.to_owned() } else { format!("{}{local}", self.prefix) }
    }

    /// The answer with its links changed.
    pub(super) async fn response(self, mut response: Response<Body>) -> Response<Body> {
        let headers = response.headers_mut();
        // The application's word on who may read its answers is not the API server's.
        for name in ["origin", "credentials", "headers", "methods"] {
            headers.remove(format!("access-control-allow-{name}"));
        }
        headers.remove("access-control-expose-headers");
        if let Some(location) = headers.get(header::LOCATION) {
            let changed = location.to_str().ok().and_then(|url| HeaderValue::from_str(&self.link(url)).ok());
            if let Some(changed) = changed {
                headers.insert(header::LOCATION, changed);
            }
            return response;
        }
        let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("");
        if !kind.split(';').next().unwrap_or("").trim().eq_ignore_ascii_case("text/html") {
            return response;
        }
        let encoding = headers.get(header::CONTENT_ENCODING).and_then(|coding| coding.to_str().ok()).unwrap_or("");
        match encoding {
            "" | "identity" => {}
            "gzip" => return self.compressed(response).await,
            // It cannot be read here; better unchanged than broken.
            _ => return response,
        }
        headers.remove(header::CONTENT_LENGTH);
        let (parts, body) = response.into_parts();
        let reading = Some((Page::new(self), body.into_data_stream()));
        let stream = futures::stream::unfold(reading, |reading| async move {
            let (mut page, mut data) = reading?;
            match data.next().await {
                Some(Ok(chunk)) => Some((Ok(page.feed(&chunk)), Some((page, data)))),
                Some(Err(error)) => Some((Err(error), None)),
                None => Some((Ok(page.finish()), None)),
            }
        });
        Response::from_parts(parts, Body::from_stream(stream))
    }

    async fn compressed(self, response: Response<Body>) -> Response<Body> {
        let (mut parts, body) = response.into_parts();
        let Ok(body) = Limited::new(body, MAX_PAGE).collect().await else {
            return Response::builder().status(502).body(Body::empty()).unwrap_or_default();
        };
        let packed = body.to_bytes();
        let mut page = Vec::new();
        let mut unpacking = flate2::read::MultiGzDecoder::new(&*packed).take(MAX_PAGE as u64 + 1);
        if unpacking.read_to_end(&mut page).is_err() || page.len() > MAX_PAGE {
            return Response::from_parts(parts, Body::from(packed));
        }
        let mut rewriting = Page::new(self);
        let mut out = rewriting.feed(&page);
        out.extend(rewriting.finish());
        parts.headers.remove(header::CONTENT_ENCODING);
        parts.headers.remove(header::CONTENT_LENGTH);
        Response::from_parts(parts, Body::from(out))
    }
}

/// A page that is being rewritten.
struct Page {
    rewrite: Rewrite,
    pending: Vec<u8>,
    /// The element whose content is just text, while inside one.
    raw: Option<&'static str>,
}

impl Page {
    fn new(rewrite: Rewrite) -> Self {
        Self { rewrite, pending: Vec::new(), raw: None }
    }

    /// Takes more of the page, and gives what is ready.
    fn feed(&mut self, chunk: &[u8]) -> Vec<u8> {
        self.pending.extend_from_slice(chunk);
        let pending = std::mem::take(&mut self.pending);
        let mut out = Vec::with_capacity(pending.len() + 256);
        let mut rest = pending.as_slice();
        while let Some(at) = rest.iter().position(|byte| *byte == b'<') {
            let (text, tag) = rest.split_at(at);
            out.extend_from_slice(text);
            rest = tag;
            let Some(end) = self.end_of(tag) else { break };
            let (tag, after) = tag.split_at(end);
            self.tag(tag, &mut out);
            rest = after;
        }
        if rest.first() != Some(&b'<') || rest.len() > MAX_TAG {
            out.extend_from_slice(rest);
        } else {
            self.pending = rest.to_vec();
        }
        out
    }

    /// What is left when the page is over.
    fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.pending)
    }

    /// Where the tag or comment at the start of `text` ends; `None` if that is not there yet.
    fn end_of(&self, text: &[u8]) -> Option<usize> {
        if self.raw.is_none() {
            if text.starts_with(b"<!--") {
                return text.windows(3).position(|end| end == b"-->").map(|at| at + 3);
            }
            if text.len() < 4 && b"<!--".starts_with(text) {
                return None;
            }
        }
        let second = text.get(1)?;
        // Inside a script, only the tag that ends it counts.
        if !(second.is_ascii_alphabetic() || matches!(second, b'/' | b'!' | b'?'))
            || (self.raw.is_some() && *second != b'/')
        {
            return Some(1);
        }
        let mut quote = None;
        for (at, byte) in text.iter().enumerate() {
            match (quote, byte) {
                (None, b'>') => return Some(at + 1),
                // A quote counts where a value begins.
                (None, b'"' | b'\'')
                    if text.get(at.wrapping_sub(1)).is_some_and(|before| matches!(before, b'=' | b' ')) =>
                {
                    quote = Some(*byte);
                }
                (Some(open), byte) if open == *byte => quote = None,
                _ => {}
            }
        }
        None
    }

    fn tag(&mut self, tag: &[u8], out: &mut Vec<u8>) {
        let Ok(text) = std::str::from_utf8(tag) else {
            out.extend_from_slice(tag);
            return;
        };
        let name = |text: &str| {
            text.chars()
                .take_while(|c| !c.is_ascii_whitespace() && !matches!(c, '>' | '/'))
                .collect::<String>()
                .to_lowercase()
        };
        if let Some(raw) = self.raw {
            if text.strip_prefix("</").is_some_and(|closing| name(closing) == raw) {
                self.raw = None;
            }
            out.extend_from_slice(tag);
            return;
        }
        let element = name(text.get(1..).unwrap_or(""));
        if !text.ends_with("/>") {
            self.raw = RAW.iter().find(|raw| **raw == element).copied();
        }
        match LINKS.iter().find(|(known, _)| *known == element) {
            Some((_, attributes)) => out.extend_from_slice(self.attributes(text, attributes).as_bytes()),
            None => out.extend_from_slice(tag),
        }
    }

    /// A start tag with the links in `wanted` changed.
    fn attributes(&self, tag: &str, wanted: &[&str]) -> String {
        let mut out = String::with_capacity(tag.len() + self.rewrite.prefix.len());
        let mut rest = tag;
        while let Some(equals) = rest.find('=') {
            let (before, after) = rest.split_at(equals + 1);
            out.push_str(before);
            let name = before.trim_end_matches('=').trim_end();
            let name =
                name.rsplit(|c: char| c.is_ascii_whitespace() || matches!(c, '/' | '"' | '\'')).next().unwrap_or("");
            let value_at = after.len() - after.trim_start().len();
            out.push_str(after.get(..value_at).unwrap_or(""));
            let after = after.get(value_at..).unwrap_or("");
            let (value, end) = match after.chars().next() {
                Some(quote @ ('"' | '\'')) => {
                    out.push(quote);
                    let inner = after.get(1..).unwrap_or("");
                    inner.split_at(inner.find(quote).unwrap_or(inner.len()))
                }
                _ => after.split_at(after.find(|c: char| c.is_ascii_whitespace() || c == '>').unwrap_or(after.len())),
            };
            if wanted.iter().any(|known| name.eq_ignore_ascii_case(known)) {
                let plain = value.replace("&amp;", "&");
                let changed = self.rewrite.link(&plain);
                let changed = if changed == plain { value.to_owned() } else { changed.replace('&', "&amp;") };
                out.push_str(&changed);
            } else {
                out.push_str(value);
            }
            rest = end;
        }
        out.push_str(rest);
        out
    }
}

#[cfg(test)]
mod tests;
