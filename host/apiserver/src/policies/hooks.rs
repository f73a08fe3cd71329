//! The policies and their bindings as requests find them: by the resource that they are about.
//!
//! An [`Index`] is made anew when a policy or a binding has changed, which is seen by the caches' states not being the
//! same as before, and so each change is in force with the next request. What was compiled is taken over for policies
//! that have not changed. A request for a resource that no policy names is a look into a map.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use parking_lot::Mutex;
use portcullis_machinery::{Value, object};
use portcullis_storage::cache::{ResourceCache, Snapshot};

use super::GROUP;
use super::compiled::Compiled;
use super::matching::Matcher;
use super::parameters::ParamRef;
use crate::handlers::scope::cache_of;
use crate::server::ApiServer;

/// A policy with those of its bindings that there are.
#[derive(Debug)]
pub struct Hook {
    /// The policy's name.
    pub name: String,
    /// Its constraints.
    pub matcher: Matcher,
    /// Whether what cannot be evaluated is refused.
    pub fails: bool,
    /// The version and kind of its parameters.
    pub param_kind: Option<(String, String)>,
    /// Its expressions.
    pub compiled: Arc<Compiled>,
    /// Its bindings.
    pub bindings: Vec<Binding>,
}

/// A binding.
#[derive(Debug)]
pub struct Binding {
    /// Its name.
    pub name: String,
    /// What it narrows the policy to.
    pub matcher: Option<Matcher>,
    /// The parameters that it gives.
    pub param_ref: Option<ParamRef>,
    /// What is done about a denial.
    pub actions: Vec<String>,
}

/// The hooks of one kind of policy.
#[derive(Default)]
pub struct Index {
    policies: Option<Snapshot>,
    bindings: Option<Snapshot>,
    hooks: Vec<Arc<Hook>>,
    /// Places in `hooks`, by the plural name of a resource.
    named: HashMap<String, Vec<usize>>,
    /// Places of those that are about any resource.
    any: Vec<usize>,
    compiled: HashMap<String, (i64, Arc<Compiled>)>,
}

impl Index {
    fn is_of(&self, policies: &Snapshot, bindings: &Snapshot) -> bool {
        let same = |mine: &Option<Snapshot>, other: &Snapshot| {
            mine.as_ref().is_some_and(|mine| mine.objects.ptr_eq(&other.objects))
        };
        same(&self.policies, policies) && same(&self.bindings, bindings)
    }

    /// The index of a state.
    fn new(policies: Snapshot, bindings: Snapshot, before: &Self) -> Self {
        let mut of_policies: BTreeMap<String, Vec<Binding>> = BTreeMap::new();
        for found in bindings.objects.values() {
            let binding = found.value();
            let policy = object::str_at(&binding, &["spec", "policyName"]).unwrap_or_default();
            of_policies.entry(policy.to_owned()).or_default().push(Binding::read(&binding));
        }
        let mut index = Self::default();
        for found in policies.objects.values() {
            let policy = found.value();
            // A policy without a binding does nothing.
            let Some(bindings) = of_policies.remove(object::name(&policy)) else { continue };
            let (uid, generation) = (object::uid(&policy).to_owned(), object::generation(&policy));
            let compiled = match before.compiled.get(&uid) {
                Some((made, compiled)) if *made == generation => Arc::clone(compiled),
                _ => Arc::new(Compiled::new(&policy)),
            };
            index.compiled.insert(uid, (generation, Arc::clone(&compiled)));
            index.add(Hook::read(&policy, compiled, bindings));
        }
        index.policies = Some(policies);
        index.bindings = Some(bindings);
        index
    }

    fn add(&mut self, hook: Hook) {
        let place = self.hooks.len();
        match hook.matcher.plurals() {
            Some(plurals) => {
                for plural in plurals {
                    let places = self.named.entry(plural.to_owned()).or_default();
                    if places.last() != Some(&place) {
                        places.push(place);
                    }
                }
            }
            None => self.any.push(place),
        }
        self.hooks.push(Arc::new(hook));
    }

    /// The hooks that may be about a resource, in the order of the policies' names.
    fn of(&self, plural: &str) -> Vec<Arc<Hook>> {
        let named = self.named.get(plural).map_or(&[][..], Vec::as_slice);
        let mut places: Vec<usize> = named.iter().chain(&self.any).copied().collect();
        places.sort_unstable();
        places.into_iter().filter_map(|place| self.hooks.get(place).cloned()).collect()
    }
}

impl Hook {
    fn read(policy: &Value, compiled: Arc<Compiled>, bindings: Vec<Binding>) -> Self {
        let kind = object::get_at(policy, &["spec", "paramKind"]);
        let text = |of: &Value, key: &str| object::str_at(of, &[key]).unwrap_or_default().to_owned();
        let constraints = object::get_at(policy, &["spec", "matchConstraints"]).unwrap_or(&Value::Null);
        Self {
            name: object::name(policy).to_owned(),
            matcher: Matcher::read(constraints),
            fails: object::str_at(policy, &["spec", "failurePolicy"]) != Some("Ignore"),
            param_kind: kind.map(|kind| (text(kind, "apiVersion"), text(kind, "kind"))),
            compiled,
            bindings,
        }
    }
}

impl Binding {
    fn read(binding: &Value) -> Self {
        let actions = object::list_at(binding, &["spec", "validationActions"]);
        Self {
            name: object::name(binding).to_owned(),
            matcher: object::get_at(binding, &["spec", "matchResources"]).map(Matcher::read),
            param_ref: object::get_at(binding, &["spec", "paramRef"]).map(ParamRef::read),
            actions: actions.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        }
    }
}

/// One kind of policy.
pub struct Plane {
    policies: &'static str,
    bindings: &'static str,
    caches: OnceLock<(Arc<ResourceCache>, Arc<ResourceCache>)>,
    index: Mutex<Arc<Index>>,
}

impl std::fmt::Debug for Plane {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plane").field("policies", &self.policies).finish_non_exhaustive()
    }
}

impl Plane {
    /// The kind whose policies and bindings have these plural names.
    pub fn new(policies: &'static str, bindings: &'static str) -> Self {
        Self { policies, bindings, caches: OnceLock::new(), index: Mutex::default() }
    }

    fn caches(&self, server: &ApiServer) -> Option<&(Arc<ResourceCache>, Arc<ResourceCache>)> {
        if let Some(caches) = self.caches.get() {
            return Some(caches);
        }
        let registry = server.registry.load();
        let cache = |plural: &str| Some(cache_of(server, registry.resource(GROUP, "v1", plural)?));
        let caches = (cache(self.policies)?, cache(self.bindings)?);
        Some(self.caches.get_or_init(|| caches))
    }

    /// The hooks that may be about a resource.
    pub fn hooks(&self, server: &ApiServer, plural: &str) -> Vec<Arc<Hook>> {
        let Some((policies, bindings)) = self.caches(server) else { return Vec::new() };
        let (policies, bindings) = (policies.peek(), bindings.peek());
        if policies.objects.is_empty() || bindings.objects.is_empty() {
            return Vec::new();
        }
        let mut index = self.index.lock();
        if !index.is_of(&policies, &bindings) {
            *index = Arc::new(Index::new(policies, bindings, &index));
        }
        index.of(plural)
    }
}
