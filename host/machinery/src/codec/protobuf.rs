//! `application/vnd.kubernetes.protobuf`: an envelope of four magic bytes and a `runtime.Unknown` message, and in it the
//! object as the message of its kind (API reference, "Kubernetes Protobuf encoding").
//!
//! The messages come from the table `facts/protobuf.tsv`. What it does not say, namely which scalars the reference holds
//! by pointer and so leaves out, comes from the types ([`crate::schema`]). [`decode`] reads, [`encode`] writes; both
//! agree with the reference's bytes.

pub(crate) mod back;
mod decode;
mod encode;

use std::collections::HashMap;
use std::sync::LazyLock;

use crate::definition::split_api_version;

pub(super) use decode::decode;
pub use encode::{can_encode, encode, envelope, list, message, watch_frame};

const MAGIC: &[u8] = b"k8s\0";
/// The table; its first lines say how it is written.
const MESSAGES: &str = include_str!("../../facts/protobuf.tsv");
/// Where the types of custom resource definitions are.
const EXTENSIONS: &str = "k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.v1.";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Arity {
    One,
    Repeated,
    Map,
    /// The message's fields are the parent's in JSON.
    Inline,
}

struct Field {
    name: &'static str,
    arity: Arity,
    /// A scalar's name, or a message's in full.
    kind: String,
}

type Message = HashMap<u32, Field>;

static TABLE: LazyLock<HashMap<String, Message>> = LazyLock::new(|| {
    let mut table: HashMap<String, Message> = HashMap::new();
    let mut current = "";
    for line in MESSAGES.lines().filter(|line| !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('>') {
            current = name;
            table.entry(name.to_owned()).or_default();
            continue;
        }
        let mut columns = line.split('\t');
        let (Some(tag), Some(name), Some(kind)) = (columns.next(), columns.next(), columns.next()) else { continue };
        let (arity, kind) = match kind.split_at_checked(1) {
            Some(("*", rest)) => (Arity::Repeated, rest),
            Some(("%", rest)) => (Arity::Map, rest),
            Some(("^", rest)) => (Arity::Inline, rest),
            _ => (Arity::One, kind),
        };
        let is_message = kind.starts_with(|c: char| c.is_ascii_uppercase());
        let package = current.rsplit_once('.').map_or("", |(package, _)| package);
        let kind = if is_message { format!("{package}.{kind}") } else { kind.to_owned() };
        if let (Ok(tag), Some(message)) = (tag.parse(), table.get_mut(current)) {
            message.insert(tag, Field { name, arity, kind });
        }
    }
    table
});

/// The message of a kind: in its group's package, or one of the kinds that every group has (DeleteOptions).
fn message_of(api_version: &str, kind: &str) -> Option<String> {
    let (group, version) = split_api_version(api_version);
    let package = match group {
        "" => "core",
        "internal.apiserver.k8s.io" => "apiserverinternal",
        group => group.split('.').next().unwrap_or(group),
    };
    let candidates = [
        format!("api.{package}.{version}.{kind}"),
        format!("k8s.io.apiextensions_apiserver.pkg.apis.{package}.{version}.{kind}"),
        format!("k8s.io.kube_aggregator.pkg.apis.{package}.{version}.{kind}"),
        format!("machinery.apis.meta.v1.{kind}"),
    ];
    candidates.into_iter().find(|name| TABLE.contains_key(name))
}

#[cfg(test)]
mod tests;
