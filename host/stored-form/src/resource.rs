//! Which resource a key of the store belongs to.
//!
//! Encryption is configured by resource, and what is stored of built-in ones may be in protobuf. The store knows keys: the
//! table of built-in resources says where each is, and custom resources are all at `/registry/<group>/<plural>/`.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use portcullis_machinery::definition::{ResourceDefinition, builtin_definitions};

use crate::foreign;

/// A resource and its group; built-in ones are in the group that they are stored in.
#[derive(Clone, Copy)]
pub(crate) struct Resource<'a> {
    pub group: &'a str,
    pub plural: &'a str,
    /// What is stored of it, if it is built in.
    pub stored: Option<&'static Stored>,
}

/// What is stored of a built-in resource.
pub(crate) struct Stored {
    /// The definition in the stored version.
    pub definition: &'static Arc<ResourceDefinition>,
    /// What values begin with that this server wrote.
    pub head: String,
}

/// What else kube-apiserver stores, which no API serves.
const INTERNAL: [(&str, &str); 3] = [
    ("ranges/serviceips", "serviceipallocations"),
    ("ranges/servicenodeports", "servicenodeportallocations"),
    ("masterleases", "apiServerIPInfo"),
];

/// A resource's group and plural, and what is stored of it.
type Entry = (&'static str, &'static str, Option<Stored>);

/// Built-in resources by what their keys begin with below `/registry/`.
static BUILTIN: LazyLock<HashMap<&'static str, Entry>> = LazyLock::new(|| {
    let mut table: HashMap<_, Entry> = INTERNAL.map(|(prefix, plural)| (prefix, ("", plural, None))).into();
    let is_stored = |definition: &ResourceDefinition| {
        let storage = &definition.storage;
        definition.is_stored() && storage.group == definition.group && storage.version == definition.version
    };
    for definition in builtin_definitions().iter().filter(|definition| is_stored(definition)) {
        let prefix = definition.storage.prefix.trim_start_matches("/registry/");
        let stored = Stored { definition, head: foreign::head(definition) };
        table.insert(prefix, (definition.group.as_str(), definition.plural.as_str(), Some(stored)));
    }
    table
});

/// The resource of a key of a store; `None` if it is none's.
pub(crate) fn of_key(key: &str) -> Option<Resource<'_>> {
    let path = match key.strip_prefix("/registry/") {
        Some(path) => path,
        None => key.strip_prefix("/tenants/")?.split_once("/registry/")?.1,
    };
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    let builtin = |prefix: &str| {
        BUILTIN.get(prefix).map(|(group, plural, stored)| Resource { group, plural, stored: stored.as_ref() })
    };
    let custom = |group, plural| Resource { group, plural, stored: None };
    builtin(first).or_else(|| {
        let second = rest.split('/').next().unwrap_or_default();
        let both = path.get(..first.len() + 1 + second.len()).and_then(builtin);
        // What nobody knows is still encrypted where everything is.
        both.or_else(|| Some(if first.contains('.') { custom(first, second) } else { custom("", first) }))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart() {
        let check = |key: &str, expected: Option<(&str, &str, bool)>| {
            let found = of_key(key).map(|found| (found.group, found.plural, found.stored.is_some()));
            assert_eq!(found, expected, "{key}");
        };
        check("/registry/secrets/default/a", Some(("", "secrets", true)));
        check("/registry/services/specs/default/a", Some(("", "services", true)));
        check("/registry/services/endpoints/default/a", Some(("", "endpoints", true)));
        check("/registry/minions/a", Some(("", "nodes", true)));
        check("/registry/events/default/a", Some(("", "events", true)));
        check("/registry/deployments/default/a", Some(("apps", "deployments", true)));
        check("/registry/ingress/default/a", Some(("networking.k8s.io", "ingresses", true)));
        check("/registry/horizontalpodautoscalers/a/b", Some(("autoscaling", "horizontalpodautoscalers", true)));
        let apis = "apiregistration.k8s.io";
        check(&format!("/registry/{apis}/apiservices/v1."), Some((apis, "apiservices", true)));
        check("/registry/example.com/widgets/a/b", Some(("example.com", "widgets", false)));
        check("/tenants/t/registry/secrets/a/b", Some(("", "secrets", true)));
        check("/registry/ranges/serviceips", Some(("", "serviceipallocations", false)));
        check("/registry/masterleases/10.0.0.1", Some(("", "apiServerIPInfo", false)));
        check("/registry/something", Some(("", "something", false)));
        check("/registry/something/a", Some(("", "something", false)));
        check(
            "/registry/plugins.portcullis.dev/moduleparts/a/0",
            Some(("plugins.portcullis.dev", "moduleparts", false)),
        );
        check("elsewhere", None);
    }
}
