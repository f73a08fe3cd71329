//! Content negotiation: what form an answer takes, and what form a body has (`Accept`, `Content-Type`).

use http::HeaderMap;
use portcullis_machinery::Status;
use portcullis_machinery::codec::Media;

/// What the server answers with, in order of preference.
pub const MEDIA_TYPES: &str = "application/json, application/yaml, application/vnd.kubernetes.protobuf";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const PROTOBUF_STREAM: &str = "application/vnd.kubernetes.protobuf;stream=watch";
const STREAM_MEDIA_TYPES: &str = "application/json;stream=watch, application/vnd.kubernetes.protobuf;stream=watch";

/// What objects are turned into before they are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transform {
    /// Nothing: the object itself.
    #[default]
    None,
    /// `meta.k8s.io` Table.
    Table,
    /// `meta.k8s.io` PartialObjectMetadata.
    Partial,
    /// `meta.k8s.io` PartialObjectMetadataList.
    PartialList,
}

/// The negotiated form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// JSON, YAML or protobuf.
    pub media: Media,
    /// What to make of objects.
    pub transform: Transform,
    /// The version of `meta.k8s.io` that the transformed object has: `v1`, or `v1beta1` for old clients.
    pub beta_meta: bool,
    /// Whether people will read it (`?pretty=true`, curl).
    pub pretty: bool,
}

impl Default for Output {
    fn default() -> Self {
        Self { media: Media::Json, transform: Transform::None, beta_meta: false, pretty: false }
    }
}

impl Output {
    /// The `Content-Type` of the answer.
    pub fn content_type(&self) -> &'static str {
        match self.media {
            Media::Json => "application/json",
            Media::Yaml => "application/yaml",
            Media::Protobuf => PROTOBUF,
        }
    }

    /// The `Content-Type` of a watch.
    pub fn stream_type(&self) -> &'static str {
        if self.media == Media::Protobuf { PROTOBUF_STREAM } else { "application/json" }
    }

    /// `meta.k8s.io/v1`.
    pub fn meta_version(&self) -> &'static str {
        if self.beta_meta { "meta.k8s.io/v1beta1" } else { "meta.k8s.io/v1" }
    }
}

/// One clause of an Accept header.
struct Clause<'a> {
    kind: &'a str,
    sub: &'a str,
    params: Vec<(&'a str, &'a str)>,
    quality: f32,
}

fn clauses(header: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<Clause<'_>> = header
        .split(',')
        .filter_map(|part| {
            let mut pieces = part.split(';').map(str::trim);
            let (kind, sub) = match pieces.next()? {
                "*" => ("*", "*"),
                range => range.split_once('/')?,
            };
            let mut clause = Clause { kind: kind.trim(), sub: sub.trim(), params: Vec::new(), quality: 1.0 };
            for (key, value) in pieces.filter_map(|p| p.split_once('=')) {
                match key {
                    "q" => clause.quality = value.parse().unwrap_or(1.0),
                    _ => clause.params.push((key.trim(), value.trim().trim_matches('"'))),
                }
            }
            Some(clause)
        })
        .collect();
    clauses.sort_by(|a, b| b.quality.total_cmp(&a.quality));
    clauses
}

/// The first value of a header as text; empty if absent or not text.
pub fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("")
}

/// What a client takes that does not say.
pub const ACCEPTS_ANYTHING: &str = "*/*";

/// The media ranges of an Accept header without their parameters, the preferred ones first.
pub fn media_ranges(accept: &str) -> Vec<String> {
    clauses(accept).into_iter().map(|clause| format!("{}/{}", clause.kind, clause.sub)).collect()
}

/// Whether the routing layer of the reference would let the request through: parameters do not count there.
///
/// # Errors
/// 406, with the list of what the route can produce.
pub fn check_route_accept(headers: &HeaderMap, streams: bool, extra: &[&str]) -> Result<(), Status> {
    let accept = header(headers, "accept");
    let produced = |range: &str| {
        matches!(range, "*/*" | "application/json" | "application/yaml" | "application/vnd.kubernetes.protobuf")
            || extra.contains(&range)
    };
    let takes =
        accept.is_empty() || accept.split(',').any(|part| produced(part.split(';').next().unwrap_or("").trim()));
    if takes {
        return Ok(());
    }
    let mut available = MEDIA_TYPES.to_owned();
    if streams {
        available = format!("{available}, {STREAM_MEDIA_TYPES}");
    }
    for more in extra {
        available = format!("{available}, {more}");
    }
    let message = format!("406: Not Acceptable\n\nAvailable representations: {available}");
    Err(Status::failure(406, "NotAcceptable", message).with_details(Default::default()))
}

/// Finds the form of the answer to a request for an object or a list; `protobuf` is whether the kind has that form.
///
/// # Errors
/// 406 if the client takes nothing that the server has.
pub fn negotiate(headers: &HeaderMap, query: &[(String, String)], protobuf: bool) -> Result<Output, Status> {
    negotiate_for(headers, query, true, protobuf)
}

/// The same for kinds that are no tables, and of which there is no metadata alone: reviews, bindings, evictions, tokens.
///
/// # Errors
/// 406 if the client takes nothing that the server has.
pub fn negotiate_untransformed(
    headers: &HeaderMap,
    query: &[(String, String)],
    protobuf: bool,
) -> Result<Output, Status> {
    negotiate_for(headers, query, false, protobuf)
}

/// The same for answers that cannot be transformed (errors, discovery documents).
///
/// # Errors
/// 406 if the client takes nothing that the server has.
pub fn negotiate_plain(headers: &HeaderMap, query: &[(String, String)]) -> Result<Output, Status> {
    negotiate_for(headers, query, false, true)
}

fn negotiate_for(
    headers: &HeaderMap,
    query: &[(String, String)],
    transforms: bool,
    protobuf: bool,
) -> Result<Output, Status> {
    let accept = header(headers, "accept");
    let wants_pretty = wants_pretty(headers, query);
    if accept.is_empty() {
        return Ok(Output { pretty: wants_pretty, ..Output::default() });
    }
    for clause in clauses(accept) {
        let forms = [(Media::Json, "json"), (Media::Yaml, "yaml"), (Media::Protobuf, "vnd.kubernetes.protobuf")];
        for (media, sub) in forms.into_iter().filter(|(media, _)| protobuf || *media != Media::Protobuf) {
            let fits = match (clause.kind, clause.sub) {
                ("*", "*") | ("application", "*") => true,
                ("application", wanted) => wanted == sub,
                _ => false,
            };
            if let Some(output) = fits.then(|| accept_params(&clause, media, transforms)).flatten() {
                return Ok(Output { pretty: output.pretty || wants_pretty, ..output });
            }
        }
    }
    Err(Status::not_acceptable(MEDIA_TYPES))
}

fn accept_params(clause: &Clause<'_>, media: Media, transforms: bool) -> Option<Output> {
    let mut output = Output { media, ..Output::default() };
    let (mut as_, mut group, mut version) = (None, None, None);
    for (key, value) in &clause.params {
        match *key {
            "as" => as_ = Some(*value),
            "g" => group = Some(*value),
            "v" => version = Some(*value),
            "stream" if *value != "watch" && !value.is_empty() => return None,
            "stream" if media == Media::Yaml => return None,
            "pretty" => output.pretty = *value == "1",
            _ => {}
        }
    }
    if as_.is_none() && group.is_none() && version.is_none() {
        return Some(output);
    }
    if !transforms || group != Some("meta.k8s.io") {
        return None;
    }
    output.beta_meta = match version {
        Some("v1") => false,
        Some("v1beta1") => true,
        _ => return None,
    };
    output.transform = match as_ {
        // A table has no message.
        Some("Table") if media != Media::Protobuf => Transform::Table,
        Some("PartialObjectMetadata") => Transform::Partial,
        Some("PartialObjectMetadataList") => Transform::PartialList,
        _ => return None,
    };
    Some(output)
}

/// Whether an answer should be indented: asked for, or a tool that people read the output of.
fn wants_pretty(headers: &HeaderMap, query: &[(String, String)]) -> bool {
    if let Some((_, value)) = query.iter().find(|(key, value)| key == "pretty" && !value.is_empty()) {
        return matches!(value.as_str(), "1" | "t" | "T" | "true" | "TRUE" | "True");
    }
    let agent = header(headers, "user-agent");
    agent.starts_with("curl") || agent.starts_with("Wget") || agent.starts_with("Mozilla/5.0")
}

/// Checks that a watch can be sent in the negotiated form.
///
/// # Errors
/// 406 for YAML, which has no framing.
pub fn check_stream(output: &Output) -> Result<(), Status> {
    match output.media {
        Media::Json | Media::Protobuf => Ok(()),
        Media::Yaml => Err(Status::not_acceptable(STREAM_MEDIA_TYPES)),
    }
}

/// The form of a request's body.
///
/// # Errors
/// 415 for a form that is not read.
pub fn body_media(headers: &HeaderMap) -> Result<Media, Status> {
    let content_type = header(headers, "content-type");
    match content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase().as_str() {
        "" | "application/json" => Ok(Media::Json),
        "application/yaml" => Ok(Media::Yaml),
        "application/vnd.kubernetes.protobuf" => Ok(Media::Protobuf),
        _ => Err(Status::unsupported_media_type(MEDIA_TYPES)),
    }
}

#[cfg(test)]
mod tests;
