//! `/healthz`, `/livez`, `/readyz`, `/version`, `/metrics`, `/metrics/slis`, and the issuer's discovery documents.

mod metrics;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use futures::future::BoxFuture;
use http::{HeaderMap, Method, Response};
use parking_lot::RwLock;
use portcullis_machinery::status::StatusDetails;
use portcullis_machinery::{Status, Value};
use serde_json::json;

pub use metrics::Metrics;

use crate::context::Context;
use crate::handlers::scope::cache_of;
use crate::negotiation::{header, negotiate_plain};
use crate::request_info;
use crate::respond;
use crate::server::ApiServer;

/// A check beyond the built-in ones: an error says why it fails.
pub type Check = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;
/// A check that may have to wait for somebody.
pub type AsyncCheck = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;
/// Further metrics as Prometheus text, such as the plugins' counters.
pub type MetricsSource = Arc<dyn Fn() -> String + Send + Sync>;

/// Health checks and metrics of a server.
#[derive(Default)]
pub struct Health {
    checks: RwLock<BTreeMap<String, Check>>,
    async_checks: RwLock<BTreeMap<String, AsyncCheck>>,
    sources: RwLock<Vec<MetricsSource>>,
    /// Whether the caches have been filled once.
    started: AtomicBool,
    /// What is counted about requests.
    pub metrics: Metrics,
}

impl Health {
    /// Adds a check to `/readyz` (and `/healthz`), or replaces the one of that name.
    pub fn add_check(&self, name: &str, check: Check) {
        self.checks.write().insert(name.to_owned(), check);
    }

    /// The same for one that may have to wait.
    pub fn add_async_check(&self, name: &str, check: AsyncCheck) {
        self.async_checks.write().insert(name.to_owned(), check);
    }

    /// Adds metrics to `/metrics`.
    pub fn add_metrics(&self, source: MetricsSource) {
        self.sources.write().push(source);
    }
}

/// The version that clients are told: Kubernetes 1.36 is what is spoken; the rest says what speaks it.
pub const GIT_VERSION: &str = concat!("v1.36.2+portcullis-", env!("CARGO_PKG_VERSION"));

fn version() -> Value {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    json!({
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": GIT_VERSION,
        "gitCommit": option_env!("PORTCULLIS_COMMIT").unwrap_or(""),
        "gitTreeState": "",
        "buildDate": option_env!("PORTCULLIS_BUILD_DATE").unwrap_or("1970-01-01T00:00:00Z"),
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("{}/{machine}", std::env::consts::OS),
    })
}

/// Whether the store answers.
pub async fn store_health(server: &ApiServer) -> Result<(), String> {
    match tokio::time::timeout(std::time::Duration::from_secs(2), server.store.health()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the store does not answer".to_owned()),
    }
}

/// What the reference starts one by one and names in its probes. Here they start as one: the caches are filled, and what
/// works on them begins.
const STARTED: [&str; 18] = [
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/bootstrap-controller",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "poststarthook/storage-readiness",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
];

/// The results of all checks, in order; the store's name is `etcd`, whatever it is, since probes ask for that.
async fn run_checks(server: &ApiServer, probe: &'static str) -> Vec<(String, Result<(), String>)> {
    let mut results = vec![("ping".to_owned(), Ok(())), ("log".to_owned(), Ok(()))];
    let store = store_health(server).await;
    if probe == "readyz" {
        results.push(("etcd-readiness".to_owned(), store.clone()));
    }
    results.push(("etcd".to_owned(), store));
    let filled = server.hub.is_ready();
    let not_filled = || Err("the watch caches are not filled yet".to_owned());
    if probe != "livez" {
        results.push(("informer-sync".to_owned(), if filled { Ok(()) } else { not_filled() }));
    }
    // What has started once has started, though the caches may be filled anew later.
    let started = server.health.started.fetch_or(filled, Ordering::Relaxed) || filled;
    results.extend(STARTED.map(|name| (name.to_owned(), if started { Ok(()) } else { not_filled() })));
    if probe != "livez" {
        let checks: Vec<(String, Check)> =
            server.health.checks.read().iter().map(|(name, check)| (name.clone(), check.clone())).collect();
        results.extend(checks.into_iter().map(|(name, check)| (name, check())));
        let checks: Vec<(String, AsyncCheck)> =
            server.health.async_checks.read().iter().map(|(name, check)| (name.clone(), check.clone())).collect();
        for (name, check) in checks {
            results.push((name, check().await));
        }
    }
    // Load balancers ask for this one. Liveness does not end with it, so that nobody kills what is finishing its work.
    if probe == "readyz" {
        let ending = server.lifecycle.is_ending();
        let ending = if ending { Err("process is shutting down".to_owned()) } else { Ok(()) };
        results.push(("shutdown".to_owned(), ending));
    }
    for (name, result) in &results {
        server.health.metrics.check(name, probe, result.is_ok());
    }
    results
}

const PLAIN: &str = "text/plain; charset=utf-8";
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

async fn probe(server: &ApiServer, probe: &'static str, check: &str, query: &[(String, String)]) -> Response<Body> {
    let results = run_checks(server, probe).await;
    if !check.is_empty() {
        return match results.iter().find(|(name, _)| name == check) {
            Some((_, Ok(()))) => respond::raw(200, PLAIN, "ok"),
            Some((_, Err(why))) => respond::raw(500, PLAIN, format!("internal server error: {why}\n")),
            None => respond::page_not_found(),
        };
    }
    let mut unknown: Vec<&str> =
        query.iter().filter(|(key, _)| key == "exclude").map(|(_, value)| value.as_str()).collect();
    let asked = unknown.clone();
    unknown.retain(|name| results.iter().all(|(known, _)| known != name));
    let excluded = |name: &str| asked.contains(&name);
    let mut text = String::new();
    let mut failed = false;
    for (name, result) in &results {
        if excluded(name) {
            text.push_str(&format!("[+]{name} excluded: ok\n"));
        } else if let Err(why) = result {
            tracing::warn!(probe, check = name, why, "health check failed");
            failed = true;
            text.push_str(&format!("[-]{name} failed: reason withheld\n"));
        } else {
            text.push_str(&format!("[+]{name} ok\n"));
        }
    }
    if !unknown.is_empty() {
        let names: Vec<String> = unknown.iter().map(|name| format!("{name:?}")).collect();
        let names = names.join(",");
        text.push_str(&format!("warn: some health checks cannot be excluded: no matches for {names}\n"));
    }
    if failed {
        return respond::raw(500, PLAIN, format!("{text}{probe} check failed\n"));
    }
    if query.iter().any(|(key, _)| key == "verbose") {
        return respond::raw(200, PLAIN, format!("{text}{probe} check passed\n"));
    }
    respond::raw(200, PLAIN, "ok")
}

/// What is known of the server at this moment: what is stored, the servers of API groups, and what this program is.
fn server_metrics(server: &ApiServer) -> String {
    let mut text = String::from(
        "# HELP apiserver_storage_objects Objects that are stored, by resource.\n\
         # TYPE apiserver_storage_objects gauge\n",
    );
    let registry = server.registry.load();
    let mut seen = std::collections::BTreeSet::new();
    for definition in registry.all().iter().filter(|definition| definition.is_stored()) {
        let resource = definition.group_resource();
        if seen.insert(resource.clone()) {
            let count = cache_of(server, definition).peek().objects.len();
            text.push_str(&format!("apiserver_storage_objects{{resource=\"{resource}\"}} {count}\n"));
        }
    }
    text.push_str(
        "# HELP aggregator_unavailable_apiservice Whether the server of an APIService cannot be reached.\n\
         # TYPE aggregator_unavailable_apiservice gauge\n",
    );
    for service in server.aggregation.services().all() {
        let (name, unavailable) = (&service.name, u8::from(!service.available));
        text.push_str(&format!("aggregator_unavailable_apiservice{{name=\"{name}\"}} {unavailable}\n"));
    }
    let version = version();
    let labels = [
        ("build_date", "buildDate"),
        ("compiler", "compiler"),
        ("git_commit", "gitCommit"),
        ("git_version", "gitVersion"),
        ("major", "major"),
        ("minor", "minor"),
        ("platform", "platform"),
    ]
    .map(|(label, field)| format!("{label}=\"{}\"", version[field].as_str().unwrap_or_default()));
    text.push_str(&format!(
        "# HELP kubernetes_build_info What this program is.\n\
         # TYPE kubernetes_build_info gauge\nkubernetes_build_info{{{}}} 1\n",
        labels.join(",")
    ));
    text
}

/// Whether the client takes JSON, the only form of this module's documents.
fn takes_json(headers: &HeaderMap) -> bool {
    let accept = header(headers, "accept");
    let json = |range: &str| matches!(range, "*/*" | "application/*" | "application/json" | "application/jwk-set+json");
    accept.is_empty() || accept.split(',').any(|part| json(part.split(';').next().unwrap_or_default().trim()))
}

/// Answers the paths of this module; `None` if the path is another's. Authorization has been asked already.
pub async fn respond(
    server: &Arc<ApiServer>,
    cx: &Context,
    method: &Method,
    headers: &HeaderMap,
    query: &str,
) -> Option<Response<Body>> {
    let path = cx.info.path.as_str();
    let query = request_info::query_pairs(query);
    let first = path.split('/').nth(1).unwrap_or_default();
    let rest = path.get(first.len() + 1..).unwrap_or_default().trim_start_matches('/');
    let probed = ["healthz", "livez", "readyz"].into_iter().find(|name| *name == first);
    let document = match path.trim_end_matches('/') {
        "/version" => Some(version()),
        "/.well-known/openid-configuration" => Some(server.tokens.openid_configuration(&server.config)),
        "/openid/v1/jwks" => Some(server.tokens.jwks()),
        _ => None,
    };
    let (metrics, levels) = (path == "/metrics", path == "/metrics/slis");
    if probed.is_none() && !metrics && !levels && document.is_none() {
        return None;
    }
    let output = negotiate_plain(headers, &query).unwrap_or_default();
    let is_read = method == Method::GET || (method == Method::HEAD && (probed.is_some() || metrics || levels));
    if !is_read {
        return Some(respond::status(&output, &Status::method_not_allowed()));
    }
    if let Some(probed) = probed {
        return Some(probe(server, probed, rest, &query).await);
    }
    if levels {
        return Some(respond::raw(200, EXPOSITION, server.health.metrics.checks()));
    }
    if metrics {
        let mut text = server.health.metrics.render();
        text.push_str(&server_metrics(server));
        let sources: Vec<MetricsSource> = server.health.sources.read().clone();
        for source in sources {
            text.push_str(&source());
        }
        return Some(respond::raw(200, EXPOSITION, text));
    }
    if !takes_json(headers) {
        let message = "406: Not Acceptable\n\nAvailable representations: application/json";
        let status = Status::failure(406, "NotAcceptable", message).with_details(StatusDetails::default());
        return Some(respond::status(&output, &status));
    }
    let document = document.unwrap_or_default();
    let content_type = if path.starts_with("/openid") { "application/jwk-set+json" } else { "application/json" };
    Some(respond::raw(200, content_type, document.to_string()))
}
