//! Values that another API server wrote: kube-apiserver stores built-in kinds in protobuf, and some in other versions.

use bytes::Bytes;
use portcullis_machinery::codec::{self, Media};
use portcullis_machinery::definition::ResourceDefinition;
use portcullis_machinery::{convert, defaults, object};

/// What protobuf begins with.
const MAGIC: &[u8] = b"k8s\0";

/// What values of this server's own begin with.
pub(crate) fn head(definition: &ResourceDefinition) -> String {
    let (group, version) = (&definition.storage.group, &definition.storage.version);
    let version = portcullis_machinery::definition::api_version(group, version);
    format!("{{\"kind\":\"{}\",\"apiVersion\":\"{version}\",", definition.kind)
}

/// A value in the form that this server writes, in which it has every field that is written by default. `definition` is any
/// of the resource's.
///
/// # Errors
/// Why it cannot be read.
pub(crate) fn to_own(definition: &ResourceDefinition, value: &Bytes) -> Result<Bytes, String> {
    let media = if value.starts_with(MAGIC) { Media::Protobuf } else { Media::Json };
    let decoded = codec::decode(value, media).map_err(|error| error.0)?.object;
    let mut stored = convert::older::to_stored_version(definition, decoded)?;
    codec::conform(&mut stored, &definition.schema).map_err(|error| error.0)?;
    defaults::apply_defaults(definition, &mut stored);
    object::remove_at(&mut stored, &["metadata", "selfLink"]);
    Ok(codec::encode_stored(&stored))
}
