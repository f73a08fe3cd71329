//! `PodLogOptions`: what a request for a container's log asks for. The API server checks them before it asks the node, and
//! the kubelet again, as it may be asked by others.

use jiff::{SignedDuration, Timestamp};

use crate::status::{Cause, FieldErrorType};

/// Which of the two streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogStreams {
    /// Both, as they were written.
    #[default]
    All,
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
}

/// The options of a log request (core `v1` PodLogOptions).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PodLogOptions {
    /// The container; empty for a pod's only one.
    pub container: String,
    /// Go on with what is written from now on, until the container has ended.
    pub follow: bool,
    /// The container's instance before the present one.
    pub previous: bool,
    /// Only lines of the last so many seconds.
    pub since_seconds: Option<i64>,
    /// Only lines from this time on.
    pub since_time: Option<Timestamp>,
    /// Put its time before each line.
    pub timestamps: bool,
    /// Only the last so many lines.
    pub tail_lines: Option<i64>,
    /// No more bytes than these.
    pub limit_bytes: Option<i64>,
    /// The API server does not check the kubelet's certificate.
    pub insecure_skip_tls_verify_backend: bool,
    /// Which stream, as written; `None` stands for both.
    pub stream: Option<String>,
}

/// A value of the query that cannot be read at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unable to decode query parameter {name}: {why}")]
pub struct LogOptionsError {
    name: String,
    why: String,
}

impl PodLogOptions {
    /// Reads the options from a query's pairs; the first of several values counts, and what is not known is ignored.
    ///
    /// # Errors
    /// For a number or a time that is none.
    pub fn from_query(pairs: &[(String, String)]) -> Result<Self, LogOptionsError> {
        let first = |name: &str| pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let flag = |name: &str| first(name).is_some_and(|text| text != "0" && !text.eq_ignore_ascii_case("false"));
        let bad = |name: &str, why: String| LogOptionsError { name: name.to_owned(), why };
        let number = |name: &str| {
            first(name)
                .map(|text| text.parse::<i64>().map_err(|error| bad(name, format!("{text:?}: {error}"))))
                .transpose()
        };
        let since_time = first("sinceTime").filter(|text| !matches!(*text, "" | "null"));
        let since_time =
            since_time.map(|text| text.parse::<Timestamp>().map_err(|error| bad("sinceTime", error.to_string())));
        Ok(Self {
            container: first("container").unwrap_or_default().to_owned(),
            follow: flag("follow"),
            previous: flag("previous"),
            since_seconds: number("sinceSeconds")?,
            since_time: since_time.transpose()?,
            timestamps: flag("timestamps"),
            tail_lines: number("tailLines")?,
            limit_bytes: number("limitBytes")?,
            insecure_skip_tls_verify_backend: flag("insecureSkipTLSVerifyBackend"),
            stream: first("stream").map(str::to_owned),
        })
    }

    /// What is wrong with the options; empty if nothing is.
    pub fn validate(&self) -> Vec<Cause> {
        use FieldErrorType::{Forbidden, Invalid, NotSupported};
        let mut causes = Vec::new();
        let mut add = |kind, field: &str, value: String, detail: &str| {
            causes.push(Cause::field(kind, field, &value, detail));
        };
        if let Some(lines) = self.tail_lines.filter(|lines| *lines < 0) {
            add(Invalid, "tailLines", lines.to_string(), "must be greater than or equal to 0");
        }
        if let Some(bytes) = self.limit_bytes.filter(|bytes| *bytes < 1) {
            add(Invalid, "limitBytes", bytes.to_string(), "must be greater than 0");
        }
        match (self.since_seconds, self.since_time) {
            (Some(_), Some(_)) => {
                let detail = "at most one of `sinceTime` or `sinceSeconds` may be specified";
                add(Forbidden, "sinceSeconds", String::new(), detail);
            }
            (Some(seconds), None) if seconds < 1 => {
                add(Invalid, "sinceSeconds", seconds.to_string(), "must be greater than 0");
            }
            _ => {}
        }
        match (self.streams(), &self.stream) {
            (None, given) => {
                let given = serde_json::Value::from(given.clone().unwrap_or_default()).to_string();
                add(NotSupported, "stream", given, "supported values: \"All\", \"Stderr\", \"Stdout\"");
            }
            (Some(LogStreams::Stdout | LogStreams::Stderr), _) if self.tail_lines.is_some() => {
                let detail = "`tailLines` and specific `stream` are mutually exclusive for now";
                add(Forbidden, "", String::new(), detail);
            }
            _ => {}
        }
        causes
    }

    /// Which streams are asked for; `None` if the word is not known.
    pub fn streams(&self) -> Option<LogStreams> {
        match self.stream.as_deref() {
            None | Some("All") => Some(LogStreams::All),
            Some("Stdout") => Some(LogStreams::Stdout),
            Some("Stderr") => Some(LogStreams::Stderr),
            Some(_) => None,
        }
    }

    /// The time before which lines are left out.
    pub fn since(&self, now: Timestamp) -> Option<Timestamp> {
        let seconds = |seconds: i64| now.checked_sub(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MIN);
        self.since_time.or_else(|| self.since_seconds.map(seconds))
    }

    /// The options as a query for the kubelet, with those that are set in the order of their names.
    pub fn to_query(&self) -> Vec<(&'static str, String)> {
        let mut pairs = Vec::new();
        let mut flag = |name, set: bool| {
            if set {
                pairs.push((name, "true".to_owned()));
            }
        };
        flag("follow", self.follow);
        flag("previous", self.previous);
        flag("timestamps", self.timestamps);
        let mut put = |name, value: Option<String>| pairs.extend(value.map(|value| (name, value)));
        put("limitBytes", self.limit_bytes.map(|bytes| bytes.to_string()));
        put("sinceSeconds", self.since_seconds.map(|seconds| seconds.to_string()));
        put("sinceTime", self.since_time.map(crate::object::rfc3339));
        put("tailLines", self.tail_lines.map(|lines| lines.to_string()));
        put("stream", self.stream.clone().filter(|stream| stream != "All"));
        pairs.sort();
        pairs
    }
}

#[cfg(test)]
mod tests;
