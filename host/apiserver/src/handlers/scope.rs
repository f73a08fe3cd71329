//! What the handlers know of the request that they answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use portcullis_machinery::definition::{ResourceDefinition, SubresourceDefinition, api_version};
use portcullis_machinery::status::{Cause, StatusDetails};
use portcullis_machinery::{Status, Value, codec};
use portcullis_storage::cache::{CachedObject, JsonCodec, ResourceCache};
use portcullis_storage::{StoreError, Tenant};

use crate::admission::{AdmissionAttributes, GroupVersionName, Operation, Prepared};
use crate::context::Context;
use crate::customresources::codec::{CustomCodec, selectable};
use crate::negotiation::Output;
use crate::server::ApiServer;

/// A request for a resource that is served.
#[derive(Clone)]
pub struct Scope {
    /// The server.
    pub server: Arc<ApiServer>,
    /// The request's context.
    pub cx: Context,
    /// The resource.
    pub definition: Arc<ResourceDefinition>,
    /// The subresource, if one is asked for.
    pub subresource: Option<SubresourceDefinition>,
    /// The namespace in the path; empty for cluster-scoped resources and all namespaces.
    pub namespace: String,
    /// The name in the path.
    pub name: String,
    /// The query.
    pub query: Vec<(String, String)>,
    /// The request's headers.
    pub headers: HeaderMap,
    /// What the answer looks like.
    pub output: Output,
    /// The text of the sent object's data, where it matters (see `strategy::revision`).
    pub raw_data: Option<Arc<str>>,
}

impl Scope {
    /// Which tenant it is.
    pub fn tenant(&self) -> &Tenant {
        &self.server.tenant
    }

    /// The cache of the resource's objects, in the versions that they are stored in.
    pub fn cache(&self) -> Arc<ResourceCache> {
        cache_of(&self.server, &self.definition)
    }

    /// The group of the resource.
    pub fn group(&self) -> &str {
        &self.definition.group
    }

    /// The resource's plural name.
    pub fn resource(&self) -> &str {
        &self.definition.plural
    }

    /// The subresource's name; empty for the object itself.
    pub fn sub(&self) -> &str {
        self.subresource.as_ref().map_or("", |sub| sub.name.as_str())
    }

    /// The store's key of the object that the path names.
    pub fn key(&self) -> String {
        self.definition.key(&self.namespace, &self.name)
    }

    /// The version and kind of the objects in answers.
    pub fn answers_with(&self) -> (String, String) {
        match &self.subresource {
            Some(sub) => (api_version(&sub.group, &sub.version), sub.kind.clone()),
            None => (self.definition.api_version(), self.definition.kind.clone()),
        }
    }

    /// A cached object, in the request's version, as a message without its envelope. It is made once for each version of
    /// the object.
    pub fn message_of(&self, cached: &CachedObject) -> Option<Bytes> {
        cached.encoded(|value| codec::protobuf::message(value).map(Bytes::from))
    }

    /// 404 for the object that the path names.
    pub fn not_found(&self) -> Status {
        Status::not_found(self.group(), self.resource(), &self.name)
    }

    /// The attributes for admission.
    pub fn attributes(&self, operation: Operation, name: &str, dry_run: bool, options: Value) -> AdmissionAttributes {
        let definition = &self.definition;
        let (group, version, kind) = match &self.subresource {
            Some(sub) => (&sub.group, &sub.version, &sub.kind),
            None => (&definition.group, &definition.version, &definition.kind),
        };
        AdmissionAttributes {
            operation,
            kind: GroupVersionName { group: group.clone(), version: version.clone(), name: kind.clone() },
            resource: GroupVersionName {
                group: definition.group.clone(),
                version: definition.version.clone(),
                name: definition.plural.clone(),
            },
            subresource: self.sub().to_owned(),
            name: name.to_owned(),
            namespace: if definition.namespaced { self.namespace.clone() } else { String::new() },
            dry_run,
            old_object: None,
            namespace_object: self.namespace_object(),
            options,
            user: self.cx.user.clone(),
            prepared: Prepared::default(),
        }
    }

    fn namespace_object(&self) -> Option<Arc<Value>> {
        if !self.definition.namespaced || self.namespace.is_empty() {
            return None;
        }
        let registry = self.server.registry.load();
        let namespaces = registry.resource("", "v1", "namespaces")?;
        let key: &str = &namespaces.key("", &self.namespace);
        cache_of(&self.server, namespaces).peek().objects.get(key).map(|object| object.value())
    }

    /// A failure of the store or the cache as the client sees it.
    pub fn store_error(&self, error: &StoreError) -> Status {
        store_error(error)
    }
}

/// The cache of a resource.
pub fn cache_of(server: &ApiServer, definition: &ResourceDefinition) -> Arc<ResourceCache> {
    let prefix = definition.key_prefix(None);
    if let Some(cache) = server.hub.existing(&prefix) {
        return cache;
    }
    if let Some(custom) = &definition.custom {
        let codec = CustomCodec::new(custom);
        return server.hub.resource(&prefix, Arc::new(codec));
    }
    let keep = matches!(definition.plural.as_str(), "namespaces" | "nodes") && definition.group.is_empty();
    let codec = JsonCodec::new(&selectable(&definition.field_selectors)).keep_values(keep);
    server.hub.resource(&prefix, Arc::new(codec))
}

/// The reason of the Status for a store that did not answer, or did not take a write.
pub const SERVER_TIMEOUT: &str = "ServerTimeout";

/// A failure of the store or the cache as the client sees it.
pub fn store_error(error: &StoreError) -> Status {
    match error {
        StoreError::Compacted { compact_revision } => {
            Status::expired(format!("too old resource version: the oldest one kept is {compact_revision}"))
        }
        StoreError::FutureRevision { current } => too_large(0, *current),
        StoreError::TooLarge { .. } => Status::request_too_large(format!("Request entity too large: {error}")),
        StoreError::Unavailable(_) => Status::failure(504, SERVER_TIMEOUT, error.to_string())
            .with_details(StatusDetails { retry_after_seconds: 2, ..StatusDetails::default() }),
        other => Status::internal(other),
    }
}

/// 504 for a resourceVersion that has not happened yet.
pub fn too_large(wanted: u64, current: u64) -> Status {
    let message = format!("Timeout: Too large resource version: {wanted}, current: {current}");
    Status::timeout(message).with_details(StatusDetails {
        causes: vec![Cause {
            reason: "ResourceVersionTooLarge".into(),
            message: "Too large resource version".into(),
            field: String::new(),
        }],
        retry_after_seconds: 1,
        ..StatusDetails::default()
    })
}

/// How long a read at a given resourceVersion waits for it.
pub const FRESH_WITHIN: Duration = Duration::from_secs(3);

/// Reads a resourceVersion: `None` if it is empty.
///
/// # Errors
/// The text of the reference's parser.
pub fn parse_version(text: &str) -> Result<Option<u64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse::<u64>().map(Some).map_err(|error| {
        let why = match error.kind() {
            std::num::IntErrorKind::PosOverflow => "value out of range",
            _ => "invalid syntax",
        };
        let quoted = Value::from(text);
        format!("resourceVersion: Invalid value: {quoted}: strconv.ParseUint: parsing {quoted}: {why}")
    })
}
