//! API aggregation: versions of API groups that another server serves, as APIServices say.
//!
//! An APIService names a version of a group. Without `spec.service` it says that this server serves it: such objects are
//! made for every version that is built in and for those of custom resources ([`local`]). With it, requests for that
//! version go to the server behind the Service ([`proxy`]): it is shown the front proxy's certificate and told who asks.
//!
//! - [`controller`] follows the APIServices and keeps [`Services`] in line with them, which is all that requests look at.
//! - A worker for each of them ([`worker`]) checks whether the server answers ([`availability`]), writes that into the
//!   object's status, and learns what it serves ([`fetch`]): discovery and OpenAPI are merged with this server's own
//!   ([`specs`]).
//! - [`trust`] publishes what such a server needs to believe this one: the ConfigMap
//!   `kube-system/extension-apiserver-authentication`.

mod availability;
pub mod controller;
mod fetch;
pub mod local;
pub mod proxy;
pub mod specs;
pub mod trust;
mod worker;

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use portcullis_machinery::discovery::Remote;
use portcullis_machinery::{Value, object};
use serde_json::json;
use tokio::sync::Notify;

use crate::outbound::{Destination, Trust, Where};
use crate::pki::{Component, Pki};
use specs::Spec;

/// The group of APIServices.
pub const GROUP: &str = "apiregistration.k8s.io";
/// The port that is meant where an APIService gives none.
const DEFAULT_PORT: i64 = 443;

/// What is known of a server's API beyond the APIService itself.
#[derive(Clone, Debug, Default)]
pub struct Learned {
    /// The version's `APIVersionDiscovery`, without its freshness.
    pub discovery: Option<Arc<Value>>,
    /// Whether that is what the server says now.
    pub fresh: bool,
    /// The URL of the version's OpenAPI v3 document, if the server has one.
    pub v3: Option<Arc<str>>,
    /// The server's OpenAPI v2 document, if it has one.
    pub v2: Option<Arc<Spec>>,
}

impl Learned {
    /// Whether there is nothing new.
    fn same(&self, other: &Self) -> bool {
        let tag = |learned: &Self| learned.v2.as_ref().map(|spec| spec.tag.clone());
        self.fresh == other.fresh && self.discovery == other.discovery && self.v3 == other.v3 && tag(self) == tag(other)
    }
}

/// An APIService that leads to another server.
#[derive(Clone, Debug)]
pub struct Service {
    /// The APIService's name.
    pub name: String,
    /// The group; empty for the core group.
    pub group: String,
    /// The version.
    pub version: String,
    /// The group's priority in discovery.
    pub group_priority: i64,
    /// The version's priority in its group.
    pub version_priority: i64,
    /// Where the server is, or why that cannot be said.
    pub destination: Result<Destination, String>,
    /// Whether the APIService's status says that the server can be reached.
    pub available: bool,
    /// What the worker has found out.
    pub learned: Learned,
}

impl Service {
    /// An APIService with a Service; `None` if it is served here.
    pub fn of(object: &Value, pki: &Pki) -> Option<Self> {
        let spec = object.get("spec")?;
        let service = spec.get("service").filter(|service| service.is_object())?;
        let text = |value: &Value, field: &str| object::str_at(value, &[field]).unwrap_or_default().to_owned();
        let number = |field: &str| object::i64_at(spec, &[field]).unwrap_or_default();
        Some(Self {
            name: object::name(object).to_owned(),
            group: text(spec, "group"),
            version: text(spec, "version"),
            group_priority: number("groupPriorityMinimum"),
            version_priority: number("versionPriority"),
            destination: destination(spec, service, pki),
            available: condition(object).is_some_and(|found| object::str_at(found, &["status"]) == Some("True")),
            learned: Learned::default(),
        })
    }

    /// The path that the version's resources are under.
    pub fn path(&self) -> String {
        if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        }
    }

    /// The version in discovery. Of a server that does not answer it is known that it is there, and no more.
    fn discovery(&self) -> Remote {
        let mut entry = match &self.learned.discovery {
            Some(known) if self.available => Value::clone(known),
            _ => json!({"version": self.version}),
        };
        let fresh = self.learned.fresh && self.available;
        entry["freshness"] = json!(if fresh { "Current" } else { "Stale" });
        Remote {
            group: self.group.clone(),
            version: self.version.clone(),
            group_priority: self.group_priority,
            version_priority: self.version_priority,
            entry,
        }
    }
}

fn destination(spec: &Value, service: &Value, pki: &Pki) -> Result<Destination, String> {
    let text = |value: &Value, field: &str| object::str_at(value, &[field]).unwrap_or_default().to_owned();
    let port = object::i64_at(service, &["port"]).unwrap_or(DEFAULT_PORT);
    let bundle = text(spec, "caBundle");
    let ca_bundle = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, bundle);
    let identity = pki.identity(Component::FrontProxy);
    Ok(Destination {
        place: Where::Service {
            namespace: text(service, "namespace"),
            name: text(service, "name"),
            port: u16::try_from(port).map_err(|_| format!("invalid port {port}"))?,
            path: String::new(),
        },
        trust: Trust {
            ca_bundle: ca_bundle.map_err(|error| format!("caBundle: {error}"))?,
            insecure: spec.get("insecureSkipTLSVerify") == Some(&Value::Bool(true)),
            certificate: identity.certificate_pem.clone().into_bytes(),
            key: identity.key_pem.clone().into_bytes(),
        },
    })
}

/// The condition `Available` of an APIService.
fn condition(object: &Value) -> Option<&Value> {
    let conditions = object::list_at(object, &["status", "conditions"]);
    conditions.iter().find(|condition| object::str_at(condition, &["type"]) == Some("Available"))
}

/// The APIServices that lead elsewhere at one moment.
#[derive(Debug, Default)]
pub struct Services {
    /// By group and version.
    by_version: BTreeMap<(String, String), Arc<Service>>,
    /// What discovery says of them.
    pub discovery: Vec<Remote>,
}

impl Services {
    /// The one of a version, if another server serves it.
    pub fn of_version(&self, group: &str, version: &str) -> Option<&Arc<Service>> {
        if self.by_version.is_empty() {
            return None;
        }
        self.by_version.get(&(group.to_owned(), version.to_owned()))
    }

    /// The one that a path belongs to.
    pub fn of_path(&self, path: &str) -> Option<&Arc<Service>> {
        if self.by_version.is_empty() {
            return None;
        }
        let mut parts = path.strip_prefix('/')?.split('/');
        match parts.next()? {
            "api" => self.of_version("", parts.next()?),
            "apis" => self.of_version(parts.next()?, parts.next()?),
            _ => None,
        }
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.by_version.values()
    }
}

/// The state of aggregation; see the module.
#[derive(Debug, Default)]
pub struct Aggregation {
    services: ArcSwap<Services>,
    /// Changes come one after another.
    writing: Mutex<()>,
    /// Told when other versions are served here.
    served: Notify,
}

impl Aggregation {
    /// What requests look at.
    pub fn services(&self) -> Arc<Services> {
        self.services.load_full()
    }

    /// Tells that the registry is another one.
    pub fn registry_changed(&self) {
        self.served.notify_one();
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<(String, String), Arc<Service>>)) {
        let _writing = self.writing.lock();
        let mut by_version = self.services.load().by_version.clone();
        change(&mut by_version);
        let discovery = by_version.values().map(|service| service.discovery()).collect();
        self.services.store(Arc::new(Services { by_version, discovery }));
    }

    /// Puts in an APIService, or its new version. What was learned of its server stays.
    fn put(&self, mut service: Service) {
        self.change(|all| {
            let key = (service.group.clone(), service.version.clone());
            if let Some(known) = all.get(&key) {
                service.learned = known.learned.clone();
            }
            all.insert(key, Arc::new(service));
        });
    }

    fn remove(&self, name: &str) {
        self.change(|all| all.retain(|_, service| service.name != name));
    }

    /// Notes what was learned of an APIService's server.
    fn learn(&self, name: &str, learned: impl FnOnce(&mut Learned)) {
        self.change(|all| {
            if let Some(service) = all.values_mut().find(|service| service.name == name) {
                learned(&mut Arc::make_mut(service).learned);
            }
        });
    }
}

#[cfg(test)]
mod tests;
