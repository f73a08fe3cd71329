//! What other servers need to know to believe this one: the ConfigMap `kube-system/extension-apiserver-authentication`
//! has the CA of client certificates, and for requests that were sent on the CA of the front proxy's certificate, the name
//! in it, and the headers that say who asks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use portcullis_machinery::{Status, Value, object};
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::customresources::internal;
use crate::handlers::options::WriteOptions;
use crate::handlers::{update, write};
use crate::pki::{FRONT_PROXY, Pki};
use crate::server::ApiServer;

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";
/// How often it is looked at.
const EVERY: Duration = Duration::from_secs(60);

/// What the ConfigMap says.
pub fn data(pki: &Pki) -> BTreeMap<&'static str, String> {
    let list = |name: &str| json!([name]).to_string();
    BTreeMap::from([
        ("client-ca-file", pki.client_ca_pem().to_owned()),
        ("requestheader-allowed-names", list(FRONT_PROXY)),
        ("requestheader-client-ca-file", pki.front_proxy_ca_pem().to_owned()),
        ("requestheader-extra-headers-prefix", list("X-Remote-Extra-")),
        ("requestheader-group-headers", list("X-Remote-Group")),
        ("requestheader-uid-headers", list("X-Remote-Uid")),
        ("requestheader-username-headers", list("X-Remote-User")),
    ])
}

/// Keeps it in line until the server stops.
pub async fn run(server: Arc<ApiServer>, shutdown: CancellationToken) {
    loop {
        if let Err(status) = ensure(&server).await {
            tracing::warn!(error = status.message, "{NAMESPACE}/{NAME} cannot be written");
        }
        tokio::select! {
            () = shutdown.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Writes it if it does not say what it should. What others have added stays.
async fn ensure(server: &Arc<ApiServer>) -> Result<(), Status> {
    let data = data(&server.pki);
    let found = server.read("", "v1", "configmaps", NAMESPACE, NAME).await?;
    let says = |object: &Value, key: &str, text: &str| object::str_at(object, &["data", key]) == Some(text);
    if found.as_ref().is_some_and(|found| data.iter().all(|(key, text)| says(found, key, text))) {
        return Ok(());
    }
    let registry = server.registry.load_full();
    let Some(resource) = registry.resource("", "v1", "configmaps") else { return Ok(()) };
    let verb = if found.is_some() { "update" } else { "create" };
    let scope = internal::scope(server, resource, "", NAMESPACE, NAME, verb);
    let options = WriteOptions { field_manager: "kube-apiserver".to_owned(), ..WriteOptions::default() };
    if found.is_none() {
        let metadata = json!({"name": NAME, "namespace": NAMESPACE});
        let object = json!({"kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata, "data": data});
        let kind = json!({"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"});
        return write::create(&scope, object, &options, kind).await.map(drop);
    }
    let change = move |object: &Value| {
        let mut object = object.clone();
        for (key, text) in &data {
            object::set_at(&mut object, &["data", key], text.as_str());
        }
        Ok(object)
    };
    update::apply(&scope, &update::Source::Change(Box::new(change)), &options).await.map(drop)
}
