//! The objects that a binding gives to its policy.

use std::sync::Arc;
use std::time::Duration;

use portcullis_machinery::definition::{ResourceDefinition, split_api_version};
use portcullis_machinery::selector::LabelSelector;
use portcullis_machinery::{Value, object};

use super::environment::namespace_of;
use super::hooks::Hook;
use crate::admission::AdmissionAttributes;
use crate::handlers::scope::cache_of;
use crate::server::ApiServer;

/// How long a request waits for the parameters to be read.
const FILLED_WITHIN: Duration = Duration::from_secs(1);

/// `paramRef`.
#[derive(Debug)]
pub struct ParamRef {
    name: String,
    namespace: String,
    selector: Result<LabelSelector, String>,
    /// Whether a request is refused if there are none.
    needed: bool,
}

impl ParamRef {
    /// Reads a `paramRef`.
    pub fn read(reference: &Value) -> Self {
        let text = |key: &str| object::str_at(reference, &[key]).unwrap_or_default().to_owned();
        Self {
            name: text("name"),
            namespace: text("namespace"),
            selector: LabelSelector::from_object(reference.get("selector")),
            needed: text("parameterNotFoundAction") == "Deny",
        }
    }
}

/// The resource of a policy's parameters, if it has any.
///
/// # Errors
/// If its kind is not served.
pub fn resource(server: &ApiServer, hook: &Hook) -> Result<Option<Arc<ResourceDefinition>>, String> {
    let Some((api_version, kind)) = &hook.param_kind else { return Ok(None) };
    let (group, version) = split_api_version(api_version);
    let registry = server.registry.load();
    match registry.kind(group, version, kind) {
        Some(definition) => Ok(Some(Arc::clone(definition))),
        None => Err(format!("failed to find resource referenced by paramKind: '{group}/{version}, Kind={kind}'")),
    }
}

/// The objects that a binding gives to a policy whose parameters are of this resource: one `None` if it gives none.
///
/// # Errors
/// Why there are none although there must be.
pub async fn of_binding(
    server: &ApiServer,
    definition: Option<&ResourceDefinition>,
    reference: Option<&ParamRef>,
    attributes: &AdmissionAttributes,
) -> Result<Vec<Option<Arc<Value>>>, String> {
    let (Some(definition), Some(reference)) = (definition, reference) else { return Ok(vec![None]) };
    let mut namespace = reference.namespace.as_str();
    if !definition.namespaced && !namespace.is_empty() {
        return Err("paramRef.namespace must not be provided for a cluster-scoped `paramKind`".into());
    }
    if definition.namespaced && namespace.is_empty() {
        namespace = namespace_of(attributes);
        if namespace.is_empty() {
            return Err("cannot use namespaced paramRef in policy binding that matches cluster-scoped resources".into());
        }
    }
    // A cache that is asked for the first time has to be filled first.
    let cache = cache_of(server, definition);
    let Ok(Ok(snapshot)) = tokio::time::timeout(FILLED_WITHIN, cache.snapshot(Some(0))).await else {
        let (version, kind) = (definition.api_version(), &definition.kind);
        let kind = format!("&ParamKind{{APIVersion:{version},Kind:{kind},}}");
        return Err(format!("paramKind kind `{kind}` not yet synced to use for admission"));
    };
    let value = |found: &portcullis_storage::cache::CachedObject| {
        let value = found.value();
        let converted =
            definition.storage.version != definition.version || definition.storage.group != definition.group;
        if converted {
            Arc::new(portcullis_machinery::convert::from_storage(definition, (*value).clone()))
        } else {
            value
        }
    };
    let found: Vec<Option<Arc<Value>>> = if reference.name.is_empty() {
        let selector = reference.selector.as_ref().map_err(Clone::clone)?;
        let prefix = definition.key_prefix(definition.namespaced.then_some(namespace));
        let all = snapshot.under(&prefix, None).filter(|object| selector.matches(|key| object.label(key)));
        all.map(|object| Some(value(object))).collect()
    } else {
        let key: &str = &definition.key(namespace, &reference.name);
        snapshot.objects.get(key).map(|object| Some(value(object))).into_iter().collect()
    };
    if found.is_empty() && reference.needed {
        return Err("no params found for policy binding with `Deny` parameterNotFoundAction".into());
    }
    Ok(found)
}
