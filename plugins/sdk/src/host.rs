//! What a policy may ask of the host during a call.

use crate::bindings::common::portcullis::policy;

pub use policy::cluster::ReadError;
pub use policy::log::Level;
pub use policy::signatures::VerifyError;

/// Writes a line to the plugin's log.
pub fn log(level: Level, message: &str) {
    policy::log::write(level, message);
}

/// Milliseconds since 1970-01-01T00:00:00Z.
pub fn now_millis() -> u64 {
    policy::clock::now()
}

/// Random bytes from the host's cryptographic generator, 4,096 at most.
pub fn random(len: u32) -> Vec<u8> {
    policy::random::bytes(len)
}

/// A value of the document that was not declared, as a tape whose root it is.
pub fn review(path: &str) -> Option<Vec<u8>> {
    policy::review::bytes(path)
}

/// Paths of an object in the cluster, as a tape whose root is an array with one entry per path ([`crate::Input`] reads
/// it); `None` if there is no such object. Needs the grant `clusterRead` and RBAC rules for the plugin's user.
pub fn get(resource: &str, namespace: &str, name: &str, paths: &[&str]) -> Result<Option<Vec<u8>>, ReadError> {
    let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
    policy::cluster::get(resource, namespace, name, &paths)
}

/// What went wrong with a read, as a sentence.
pub fn describe(error: &ReadError) -> &str {
    match error {
        ReadError::Forbidden(text) | ReadError::UnknownResource(text) | ReadError::Unavailable(text) => text,
    }
}

/// Whether `signature` over `message` is good under a key of the set. Needs the grant `verify`.
pub fn verify(
    key_set: &str,
    key_id: &str,
    algorithm: &str,
    message: &[u8],
    signature: &[u8],
) -> Result<bool, VerifyError> {
    policy::signatures::verify(key_set, key_id, algorithm, message, signature)
}

/// For each node of the batch under evaluation, how many of its pods are in `namespace` and match `selector` (a
/// LabelSelector as JSON text).
pub fn count_pods(namespace: &str, selector: &str) -> Vec<u32> {
    policy::scheduling::count_pods(namespace, selector)
}
