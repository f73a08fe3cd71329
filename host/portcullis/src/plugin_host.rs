//! What components may ask of this server: cluster reads under their own identity, and signature checks.

use std::sync::{Arc, OnceLock, Weak};

use portcullis_apiserver::authz::Decision;
use portcullis_apiserver::handlers::scope::cache_of;
use portcullis_apiserver::tokens::TokenIssuer;
use portcullis_apiserver::{ApiServer, RequestInfo, UserInfo};
use portcullis_machinery::Value;
use portcullis_policy::{KeySets, PolicyHost, ReadError, VerifyError};

/// The host of all policies of a server.
pub struct ServerHost {
    /// Set once the server exists; until then there is nothing to read.
    server: OnceLock<Weak<ApiServer>>,
    keys: KeySets,
}

impl ServerHost {
    /// A host that checks signatures with the keys of ServiceAccount tokens.
    pub fn new(tokens: &TokenIssuer) -> anyhow::Result<Arc<Self>> {
        Ok(Arc::new(Self { server: OnceLock::new(), keys: tokens.key_sets()? }))
    }

    /// Connects the host to the server whose caches it reads.
    pub fn connect(&self, server: &Arc<ApiServer>) {
        // A second call would be of the same server.
        let _ = self.server.set(Arc::downgrade(server));
    }
}

impl PolicyHost for ServerHost {
    fn cluster_get(
        &self,
        identity: &str,
        resource: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Arc<Value>>, ReadError> {
        let server = self.server.get().and_then(Weak::upgrade);
        let server = server.ok_or_else(|| ReadError::Unavailable("the server is starting".into()))?;
        let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
        let registry = server.registry.load();
        let definition = registry
            .preferred_resource(group, plural)
            .ok_or_else(|| ReadError::UnknownResource(format!("there is no resource {resource:?}")))?;
        let user = UserInfo {
            username: identity.to_owned(),
            groups: vec!["system:plugins".into(), "system:authenticated".into()],
            ..UserInfo::default()
        };
        let request = RequestInfo {
            is_resource_request: true,
            verb: "get".into(),
            api_group: definition.group.clone(),
            api_version: definition.version.clone(),
            namespace: namespace.to_owned(),
            resource: definition.plural.clone(),
            name: name.to_owned(),
            ..RequestInfo::default()
        };
        match server.authorizer.authorize_builtin(&user, &request) {
            Decision::Allow(_) => {}
            Decision::Deny(why) | Decision::NoOpinion(why) => {
                let grant = format!("user {identity:?} may not get {resource} {namespace}/{name}");
                return Err(ReadError::Forbidden(if why.is_empty() { grant } else { format!("{grant}: {why}") }));
            }
        }
        let snapshot = cache_of(&server, definition).peek();
        Ok(snapshot.objects.get(definition.key(namespace, name).as_str()).map(|object| object.value()))
    }

    fn verify(
        &self,
        key_set: &str,
        key_id: &str,
        algorithm: &str,
        message: &[u8],
        signature: &[u8],
    ) -> Result<bool, VerifyError> {
        self.keys.verify(key_set, key_id, algorithm, message, signature)
    }
}
