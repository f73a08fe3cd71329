//! The documents in which the server says what it serves.

use crate::Value;
use crate::definition::Registry;

/// The content type of the aggregated form.
pub const AGGREGATED_V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// `GET /api`: an `APIVersions`. `server_address` is host and port.
pub fn api_versions(server_address: &str) -> Value {
    let _ = server_address;
    unimplemented!()
}

/// `GET /apis`: an `APIGroupList`.
pub fn api_group_list(registry: &Registry) -> Value {
    let _ = registry;
    unimplemented!()
}

/// `GET /apis/<group>`: an `APIGroup`, if the group is served.
pub fn api_group(registry: &Registry, group: &str) -> Option<Value> {
    let _ = (registry, group);
    unimplemented!()
}

/// `GET /api/v1` and `GET /apis/<group>/<version>`: an `APIResourceList`, if the version is served.
pub fn api_resource_list(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let _ = (registry, group, version);
    unimplemented!()
}

/// The aggregated form of `GET /api` (`core` true) and `GET /apis`: an `APIGroupDiscoveryList`.
pub fn aggregated_v2(registry: &Registry, core: bool) -> Value {
    let _ = (registry, core);
    unimplemented!()
}

/// The value of an `ETag` for a document: a quoted hash of its text, in upper-case hex.
pub fn etag(document: &Value) -> String {
    let _ = document;
    unimplemented!()
}
