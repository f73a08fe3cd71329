//! The API server as a source of objects.
//!
//! Each ConfigMap and Secret that is asked for is watched by its name from then on: the node authorizer lets a kubelet
//! watch the objects that its pods name, and no others. The first answer is fetched, so that it is never older than the
//! pod that asks. An object that nobody asked for in a while is let go; the pods' periodic refresh is what keeps it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use portcullis_client::resource::{CONFIGMAPS, SECRETS, SERVICEACCOUNTS, SERVICES};
use portcullis_client::{Client, Informer, Resource};
use portcullis_machinery::Value;
use tokio_util::sync::CancellationToken;

use super::ObjectSource;

/// For how long an object is watched after it was last asked for. Longer than the period of the pods' refresh.
const IDLE: Duration = Duration::from_secs(10 * 60);
/// How often idle watches are looked for.
const SWEEP: Duration = Duration::from_secs(60);
/// How long to wait for the services to be listed once.
const SERVICES_TIMEOUT: Duration = Duration::from_secs(5);

/// Objects of the API server, by watches of what was asked for.
pub struct ApiSource {
    client: Client,
    services: Informer,
    watched: Mutex<Watched>,
    shutdown: CancellationToken,
}

struct Watched {
    objects: HashMap<(bool, String, String), Entry>,
    swept: Instant,
}

struct Entry {
    informer: Informer,
    last_asked: Instant,
    ending: CancellationToken,
}

impl ApiSource {
    /// A source that watches until `shutdown`.
    pub fn new(client: &Client, shutdown: CancellationToken) -> Self {
        Self {
            client: client.clone(),
            services: Informer::builder(client, &SERVICES).start(shutdown.clone()),
            watched: Mutex::new(Watched { objects: HashMap::new(), swept: Instant::now() }),
            shutdown,
        }
    }

    async fn object(&self, secret: bool, namespace: &str, name: &str) -> Result<Option<Arc<Value>>, String> {
        let resource = if secret { &SECRETS } else { &CONFIGMAPS };
        let informer = self.informer(secret, resource, namespace, name);
        if informer.has_synced() {
            return Ok(informer.get(namespace, name));
        }
        match self.client.get(resource, namespace, name).await {
            Ok(object) => Ok(Some(Arc::new(object))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.to_string()),
        }
    }

    fn informer(&self, secret: bool, resource: &Resource, namespace: &str, name: &str) -> Informer {
        let now = Instant::now();
        let mut watched = self.watched.lock();
        if now.duration_since(watched.swept) > SWEEP {
            watched.swept = now;
            watched.objects.retain(|_, entry| {
                let used = now.duration_since(entry.last_asked) < IDLE;
                if !used {
                    entry.ending.cancel();
                }
                used
            });
        }
        let entry = watched.objects.entry((secret, namespace.to_owned(), name.to_owned())).or_insert_with(|| {
            let ending = self.shutdown.child_token();
            let informer = Informer::builder(&self.client, resource)
                .namespace(namespace)
                .field_selector(&format!("metadata.name={name}"))
                .start(ending.clone());
            Entry { informer, last_asked: now, ending }
        });
        entry.last_asked = now;
        entry.informer.clone()
    }

    #[cfg(test)]
    fn watched(&self) -> usize {
        self.watched.lock().objects.len()
    }
}

#[async_trait]
impl ObjectSource for ApiSource {
    async fn config_map(&self, namespace: &str, name: &str) -> Result<Option<Arc<Value>>, String> {
        self.object(false, namespace, name).await
    }

    async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Arc<Value>>, String> {
        self.object(true, namespace, name).await
    }

    async fn services(&self, namespace: &str) -> Result<Vec<Arc<Value>>, String> {
        // A container that started before the services are known would lack variables for its whole life.
        match tokio::time::timeout(SERVICES_TIMEOUT, self.services.synced()).await {
            Ok(true) => Ok(self.services.list_namespace(namespace)),
            _ => Err("services have not yet been read at least once, cannot construct envvars".to_owned()),
        }
    }

    async fn token(&self, namespace: &str, service_account: &str, request: &Value) -> Result<Value, String> {
        self.client
            .create_subresource(&SERVICEACCOUNTS, namespace, service_account, "token", request)
            .await
            .map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
