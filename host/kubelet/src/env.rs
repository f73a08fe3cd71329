//! A container's environment: what its pod says, resolved against ConfigMaps, Secrets, the pod's own fields and the
//! namespace's services.
//!
//! Variables win in this order: `env` (a later one over an earlier one), `envFrom`, the services'. A reference that
//! cannot be resolved and is not optional keeps the container from being made (`CreateContainerConfigError`).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use base64::Engine as _;
use portcullis_client::ObjectExt as _;
use portcullis_machinery::Value;

use crate::facts::PodFacts;
use crate::fields::{self, FieldError};
use crate::source::ObjectSource;

mod expand;
mod services;

pub use self::expand::expand;

/// Why an environment cannot be made. The texts are the messages of `CreateContainerConfigError`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// A ConfigMap or Secret that is not optional is not there.
    #[error("{kind} {name:?} not found")]
    NotFound {
        /// `configmap` or `secret`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// The object is there and lacks a key that is not optional.
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    MissingKey {
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// The pod's namespace.
        namespace: String,
        /// The object's name.
        name: String,
        /// The key.
        key: String,
    },
    /// A field or resource of the pod has no text.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A variable is to come from somewhere that this kubelet does not know.
    #[error("environment variable {name:?}: no supported source in valueFrom")]
    Unsupported {
        /// The variable's name.
        name: String,
    },
    /// The API server did not say.
    #[error("{0}")]
    Source(String),
}

/// Resolves a container's environment. The result is sorted by name.
///
/// # Errors
/// The first reference that cannot be resolved.
pub async fn resolve(
    sources: &dyn ObjectSource,
    facts: &PodFacts,
    pod: &Value,
    container: &Value,
) -> Result<Vec<(String, String)>, EnvError> {
    let namespace = pod.namespace();
    let service_env = services::variables(sources, pod).await.map_err(EnvError::Source)?;
    let mut objects = Objects { sources, namespace, known: HashMap::new() };
    let mut env = BTreeMap::new();
    for from in container.list_at(&["envFrom"]) {
        let prefix = from.str_at(&["prefix"]);
        let (kind, reference) = match (from.get("configMapRef"), from.get("secretRef")) {
            (Some(reference), _) => (Kind::ConfigMap, reference),
            (None, Some(reference)) => (Kind::Secret, reference),
            (None, None) => continue,
        };
        if let Some(data) = objects.data(kind, reference).await? {
            env.extend(data.iter().map(|(key, value)| (format!("{prefix}{key}"), value.clone())));
        }
    }
    for variable in container.list_at(&["env"]) {
        let name = variable.str_at(&["name"]).to_owned();
        let text = variable.str_at(&["value"]);
        let value = if !text.is_empty() {
            let lookup = |name: &str| env.get(name).or_else(|| service_env.get(name)).cloned();
            expand::expand_with(text, lookup)
        } else if let Some(from) = variable.get("valueFrom").filter(|from| !from.is_null()) {
            match value_from(&mut objects, facts, pod, container, &name, from).await? {
                Some(value) => value,
                None => continue,
            }
        } else {
            String::new()
        };
        env.insert(name, value);
    }
    for (name, value) in service_env {
        env.entry(name).or_insert(value);
    }
    Ok(env.into_iter().collect())
}

/// The value from elsewhere; `None` if an optional reference leads nowhere.
async fn value_from(
    objects: &mut Objects<'_>,
    facts: &PodFacts,
    pod: &Value,
    container: &Value,
    name: &str,
    from: &Value,
) -> Result<Option<String>, EnvError> {
    if let Some(reference) = from.get("fieldRef") {
        return Ok(Some(fields::field_value(pod, facts, reference)?));
    }
    if let Some(reference) = from.get("resourceFieldRef") {
        return Ok(Some(fields::resource_value(pod, Some(container), &facts.allocatable, reference)?));
    }
    let (kind, reference) = match (from.get("configMapKeyRef"), from.get("secretKeyRef")) {
        (Some(reference), _) => (Kind::ConfigMap, reference),
        (None, Some(reference)) => (Kind::Secret, reference),
        (None, None) => return Err(EnvError::Unsupported { name: name.to_owned() }),
    };
    let Some(data) = objects.data(kind, reference).await? else { return Ok(None) };
    let key = reference.str_at(&["key"]);
    match data.get(key) {
        Some(value) => Ok(Some(value.clone())),
        None if reference.bool_at(&["optional"]) => Ok(None),
        None => Err(EnvError::MissingKey {
            kind: kind.kind(),
            namespace: pod.namespace().to_owned(),
            name: reference.str_at(&["name"]).to_owned(),
            key: key.to_owned(),
        }),
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    ConfigMap,
    Secret,
}

impl Kind {
    fn kind(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
        }
    }

    fn resource(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret",
        }
    }
}

/// The texts of an object's keys.
type Data = Arc<BTreeMap<String, String>>;

/// The objects that one environment refers to, each asked for once, so that all its variables are of one version.
struct Objects<'a> {
    sources: &'a dyn ObjectSource,
    namespace: &'a str,
    known: HashMap<(Kind, String), Option<Data>>,
}

impl Objects<'_> {
    /// The data of the object that `reference` names; `None` if it is not there and need not be.
    async fn data(&mut self, kind: Kind, reference: &Value) -> Result<Option<Data>, EnvError> {
        let name = reference.str_at(&["name"]);
        let key = (kind, name.to_owned());
        let data = match self.known.get(&key) {
            Some(known) => known.clone(),
            None => {
                let object = match kind {
                    Kind::ConfigMap => self.sources.config_map(self.namespace, name).await,
                    Kind::Secret => self.sources.secret(self.namespace, name).await,
                };
                let data = object.map_err(EnvError::Source)?.map(|object| Arc::new(texts(kind, &object)));
                self.known.insert(key, data.clone());
                data
            }
        };
        if data.is_none() && !reference.bool_at(&["optional"]) {
            return Err(EnvError::NotFound { kind: kind.resource(), name: name.to_owned() });
        }
        Ok(data)
    }
}

fn texts(kind: Kind, object: &Value) -> BTreeMap<String, String> {
    let Some(data) = object.get("data").and_then(Value::as_object) else { return BTreeMap::new() };
    let text = |value: &Value| {
        let value = value.as_str().unwrap_or_default();
        match kind {
            Kind::ConfigMap => value.to_owned(),
            Kind::Secret => {
                let bytes = base64::engine::general_purpose::STANDARD.decode(value).unwrap_or_default();
                String::from_utf8_lossy(&bytes).into_owned()
            }
        }
    };
    data.iter().map(|(key, value)| (key.clone(), text(value))).collect()
}

#[cfg(test)]
mod tests;
