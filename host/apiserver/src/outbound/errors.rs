//! What can go wrong on the way, in the words of the reference's HTTP client.

use std::error::Error as StdError;
use std::io;

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use jiff::Timestamp;
use portcullis_machinery::Status;
use portcullis_machinery::status::{Cause, StatusDetails};
use rustls::CertificateError;
use rustls_pki_types::UnixTime;

/// Why a request to somebody else had no good answer.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum OutboundError {
    /// The destination makes no sense; nothing was sent.
    #[error("{0}")]
    Config(String),
    /// There was no answer, or not a whole one.
    #[error("{method} \"{url}\": {problem}")]
    Transport {
        /// `Post`.
        method: &'static str,
        /// What was asked.
        url: String,
        /// What went wrong.
        problem: String,
    },
    /// The answer has a code that is no success.
    #[error("{}", .0.message)]
    Refused(Box<Status>),
}

/// What went wrong with a connection.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Problem(pub String);

/// What lies behind an error of hyper's, whose own words say only where.
pub(super) fn problem_of(error: &(dyn StdError + 'static)) -> String {
    let mut cause: Option<&(dyn StdError + 'static)> = Some(error);
    let mut last = String::new();
    while let Some(error) = cause {
        if let Some(problem) = error.downcast_ref::<Problem>() {
            return problem.0.clone();
        }
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_incomplete_message) {
            return "EOF".to_owned();
        }
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return format!("net/http: HTTP/1.x transport connection broken: malformed HTTP response: {error}");
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            match error.kind() {
                io::ErrorKind::ConnectionReset => return "read: connection reset by peer".to_owned(),
                io::ErrorKind::BrokenPipe => return "write: broken pipe".to_owned(),
                io::ErrorKind::UnexpectedEof => return "unexpected EOF".to_owned(),
                _ => {}
            }
        }
        last = error.to_string();
        cause = error.source();
    }
    last
}

/// What a failed handshake failed of.
pub(super) fn tls_problem(error: &io::Error) -> String {
    let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => "EOF".to_owned(),
            io::ErrorKind::ConnectionReset => "read: connection reset by peer".to_owned(),
            _ => error.to_string(),
        };
    };
    match inner {
        rustls::Error::InvalidCertificate(why) => format!("tls: failed to verify certificate: {}", x509(why)),
        rustls::Error::InvalidMessage(_) => "http: server gave HTTP response to HTTPS client".to_owned(),
        rustls::Error::AlertReceived(alert) => format!("remote error: tls: {alert:?}"),
        other => format!("tls: {other}"),
    }
}

fn x509(why: &CertificateError) -> String {
    let time = |time: &UnixTime| {
        let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        Timestamp::from_second(seconds).map(|time| time.to_string()).unwrap_or_default()
    };
    let expired = "x509: certificate has expired or is not yet valid";
    match why {
        // An issuer of the right name whose key is another one is as unknown.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "x509: certificate signed by unknown authority".to_owned()
        }
        CertificateError::ExpiredContext { time: now, not_after } => {
            format!("{expired}: current time {} is after {}", time(now), time(not_after))
        }
        CertificateError::NotValidYetContext { time: now, not_before } => {
            format!("{expired}: current time {} is before {}", time(now), time(not_before))
        }
        CertificateError::Expired | CertificateError::NotValidYet => expired.to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => names(&expected.to_str(), presented),
        CertificateError::NotValidForName => "x509: certificate is valid for other names".to_owned(),
        other => format!("x509: {other}"),
    }
}

/// `presented` are the certificate's names as rustls writes them: `DnsName("x")`, `IpAddress(127.0.0.1)`.
fn names(expected: &str, presented: &[String]) -> String {
    let bare = |name: &String| {
        let inside = name.split_once('(').map_or(name.as_str(), |(_, inside)| inside.trim_end_matches(')'));
        inside.trim_matches('"').to_owned()
    };
    let ip = expected.parse::<std::net::IpAddr>().is_ok();
    let of_kind = presented.iter().filter(|name| name.starts_with("IpAddress") == ip);
    let list: Vec<String> = of_kind.map(bare).collect();
    match (list.is_empty(), ip) {
        (true, true) => {
            format!("x509: cannot validate certificate for {expected} because it doesn't contain any IP SANs")
        }
        (true, false) => "x509: certificate relies on legacy Common Name field, use SANs instead".to_owned(),
        (false, _) => format!("x509: certificate is valid for {}, not {expected}", list.join(", ")),
    }
}

/// The failure that an answer with another code than a success stands for: the Status that it carries, or else what its
/// code says.
pub(super) fn unexpected(code: u16, headers: &HeaderMap, body: &[u8], retry_after: Option<u32>) -> Status {
    if let Ok(status) = serde_json::from_slice::<Status>(body)
        && status.kind == "Status"
        && status.status == "Failure"
    {
        return status;
    }
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let said = match media.split('/').next() {
        Some("text") => String::from_utf8_lossy(body).trim().to_owned(),
        _ => "unknown".to_owned(),
    };
    let quoted = serde_json::to_string(&said).unwrap_or_default();
    let (reason, message) = match code {
        400 => ("BadRequest", "the server rejected our request for an unknown reason".to_owned()),
        401 => ("Unauthorized", "the server has asked for the client to provide credentials".to_owned()),
        403 => ("Forbidden", said.clone()),
        404 => ("NotFound", "the server could not find the requested resource".to_owned()),
        405 => ("MethodNotAllowed", "the server does not allow this method on the requested resource".to_owned()),
        409 => ("AlreadyExists", "the server reported a conflict".to_owned()),
        415 => ("UnsupportedMediaType", said.clone()),
        422 => ("Invalid", "the server rejected our request due to an error in our request".to_owned()),
        429 => {
            let text = "the server has received too many requests and has asked us to try again later";
            ("TooManyRequests", text.to_owned())
        }
        503 => ("ServiceUnavailable", "the server is currently unable to handle the request".to_owned()),
        504 => {
            let text = "the server was unable to return a response in the time allotted, but may still be processing \
                        the request";
            ("Timeout", text.to_owned())
        }
        500.. => {
            ("InternalError", format!("an error on the server ({quoted}) has prevented the request from succeeding"))
        }
        _ => {
            let text = format!("the server responded with the status code {code} but did not return more information");
            ("", text)
        }
    };
    let cause = Cause { reason: "UnexpectedServerResponse".into(), message: said, ..Cause::default() };
    let retry_after_seconds = retry_after.unwrap_or_default();
    Status::failure(code, reason, message).with_details(StatusDetails {
        causes: vec![cause],
        retry_after_seconds,
        ..StatusDetails::default()
    })
}
