//! A source for tests: objects by name, and tokens that are counted.

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use portcullis_client::ObjectExt as _;
use portcullis_machinery::Value;
use serde_json::json;

use super::ObjectSource;

/// Objects that a test put there.
#[derive(Default)]
pub(crate) struct Fixed {
    /// By `configmap/NAMESPACE/NAME` and `secret/NAMESPACE/NAME`.
    pub(crate) objects: Mutex<HashMap<String, Arc<Value>>>,
    /// All services.
    pub(crate) services: Mutex<Vec<Arc<Value>>>,
    /// The requests for tokens.
    pub(crate) requests: Mutex<Vec<Value>>,
    /// What everything fails with, if it is to fail.
    pub(crate) failure: Mutex<Option<String>>,
}

impl Fixed {
    pub(crate) fn put(&self, kind: &str, name: &str, object: Value) {
        self.objects.lock().insert(format!("{kind}/ns/{name}"), Arc::new(object));
    }

    fn failing(&self) -> Result<(), String> {
        self.failure.lock().clone().map_or(Ok(()), Err)
    }

    fn get(&self, kind: &str, namespace: &str, name: &str) -> Result<Option<Arc<Value>>, String> {
        self.failing()?;
        Ok(self.objects.lock().get(&format!("{kind}/{namespace}/{name}")).cloned())
    }
}

#[async_trait]
impl ObjectSource for Fixed {
    async fn config_map(&self, namespace: &str, name: &str) -> Result<Option<Arc<Value>>, String> {
        self.get("configmap", namespace, name)
    }

    async fn secret(&self, namespace: &str, name: &str) -> Result<Option<Arc<Value>>, String> {
        self.get("secret", namespace, name)
    }

    async fn services(&self, namespace: &str) -> Result<Vec<Arc<Value>>, String> {
        self.failing()?;
        Ok(self.services.lock().iter().filter(|service| service.namespace() == namespace).cloned().collect())
    }

    async fn token(&self, namespace: &str, service_account: &str, request: &Value) -> Result<Value, String> {
        self.failing()?;
        let mut requests = self.requests.lock();
        requests.push(request.clone());
        let life = request.int_at(&["spec", "expirationSeconds"]).unwrap_or(3600);
        let expires = Timestamp::now() + SignedDuration::from_secs(life);
        let token = format!("{namespace}/{service_account}#{}", requests.len());
        let mut answer = request.clone();
        answer["status"] = json!({"token": token, "expirationTimestamp": expires.to_string()});
        Ok(answer)
    }
}
