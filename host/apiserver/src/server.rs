//! The server's state, and the way of a request through the nine steps.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use axum::body::Body;
use futures::FutureExt;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue, WARNING, WWW_AUTHENTICATE};
use http::{Request, Response};
use parking_lot::Mutex;
use portcullis_machinery::definition::Registry;
use portcullis_machinery::{Status, Value};
use portcullis_storage::cache::CacheHub;
use portcullis_storage::{KeyValue, Store, StoreError, Tenant};
use tokio_util::sync::CancellationToken;

use crate::admission::Admission;
use crate::admission::quota::QuotaLocks;
use crate::aggregation::{self, Aggregation};
use crate::audit::Audit;
use crate::authn::{self, Authenticators, ConnectionInfo};
use crate::authz::{Authorizer, Decision, aggregate, feed, forbidden};
use crate::context::{Context, RequestContext, UserInfo};
use crate::customresources::conversion::Converters;
use crate::documents::Discovery;
use crate::documents::openapi::OpenApi;
use crate::explain::Step;
use crate::flow::{FlowControl, is_long_running};
use crate::handlers::scope::cache_of;
use crate::health::Health;
use crate::lifecycle::Lifecycle;
use crate::modules::{self, ModuleTransfers};
use crate::negotiation::{Output, header, negotiate_plain};
use crate::outbound::Outbound;
use crate::pki::Pki;
use crate::policies::Policies;
use crate::server_config::ServerConfig;
use crate::strategy::allocate::Reservations;
use crate::tokens::TokenIssuer;
use crate::warnings;
use crate::webhooks::Webhooks;
use crate::{bootstrap, dispatch, explain, handlers, health, peers, replay, request_info, respond};

static AUDIT_ID: HeaderName = HeaderName::from_static("audit-id");

/// One logical control plane's API server.
pub struct ApiServer {
    /// Which logical control plane it serves.
    pub tenant: Tenant,
    /// Its settings.
    pub config: ServerConfig,
    /// Where objects are kept: the tenant's scope of the store.
    pub store: Arc<dyn Store>,
    /// The watch caches.
    pub hub: Arc<CacheHub>,
    /// What resources are served.
    pub registry: ArcSwap<Registry>,
    /// Step 1.
    pub authenticators: Arc<dyn Authenticators>,
    /// Step 2.
    pub authorizer: Arc<Authorizer>,
    /// Bounds on requests in flight.
    pub flow: Arc<FlowControl>,
    /// Steps 4, 6 and 7.
    pub admission: Arc<dyn Admission>,
    /// Certificates and keys.
    pub pki: Arc<Pki>,
    /// Signs and checks ServiceAccount tokens.
    pub tokens: Arc<TokenIssuer>,
    /// Health checks and metrics.
    pub health: Health,
    /// Whether the server is about to end.
    pub lifecycle: Lifecycle,
    /// Node ports that are being handed out.
    pub reservations: Reservations,
    /// Charges of one namespace's quotas come one after another.
    pub quota_locks: QuotaLocks,
    /// Pushes and pulls of modules that are under way.
    pub modules: ModuleTransfers,
    /// The audit log, if there is one.
    audit: OnceLock<Arc<Audit>>,
    /// Compiled admission policies.
    pub policies: Policies,
    /// Requests of the server's own to servers that objects name.
    pub outbound: Outbound,
    /// Admission webhooks.
    pub webhooks: Webhooks,
    /// Documents of discovery that were asked for.
    pub discovery: Discovery,
    /// OpenAPI documents that were asked for.
    pub open_api: OpenApi,
    /// Versions of groups that other servers serve.
    pub aggregation: Aggregation,
    /// The components that convert custom resources; none until they are attached.
    pub converters: OnceLock<Arc<dyn Converters>>,
}

/// What an [`ApiServer`] is made of that it does not make itself.
pub struct Parts {
    /// Which logical control plane it serves.
    pub tenant: Tenant,
    /// Its settings.
    pub config: ServerConfig,
    /// The tenant's scope of the store.
    pub store: Arc<dyn Store>,
    /// The watch caches over that store.
    pub hub: Arc<CacheHub>,
    /// What resources are served.
    pub registry: Arc<Registry>,
    /// Step 1.
    pub authenticators: Arc<dyn Authenticators>,
    /// Step 2.
    pub authorizer: Arc<Authorizer>,
    /// Steps 4, 6 and 7.
    pub admission: Arc<dyn Admission>,
    /// Certificates and keys.
    pub pki: Arc<Pki>,
    /// Signs and checks ServiceAccount tokens.
    pub tokens: Arc<TokenIssuer>,
}

impl ApiServer {
    /// A server of its parts. It answers at once; [`Self::start`] makes it ready.
    pub fn new(parts: Parts) -> Arc<Self> {
        let (health, webhooks) = (Health::default(), Webhooks::default());
        health.add_metrics(webhooks.metrics());
        let flow = FlowControl::new(&parts.config);
        let of_flow = Arc::clone(&flow);
        health.add_metrics(Arc::new(move || of_flow.metrics()));
        Arc::new(Self {
            flow,
            health,
            lifecycle: Lifecycle::default(),
            webhooks,
            reservations: Reservations::default(),
            quota_locks: QuotaLocks::default(),
            modules: ModuleTransfers::default(),
            audit: OnceLock::new(),
            policies: Policies::default(),
            outbound: Outbound::default(),
            discovery: Discovery::default(),
            open_api: OpenApi::default(),
            aggregation: Aggregation::default(),
            converters: OnceLock::new(),
            tenant: parts.tenant,
            config: parts.config,
            store: parts.store,
            hub: parts.hub,
            registry: ArcSwap::new(parts.registry),
            authenticators: parts.authenticators,
            authorizer: parts.authorizer,
            admission: parts.admission,
            pki: parts.pki,
            tokens: parts.tokens,
        })
    }

    /// Writes what a new cluster grants, and begins to follow roles, bindings and pods. Returns once authorization knows
    /// all that is stored.
    ///
    /// # Errors
    /// If the store fails.
    pub async fn start(self: &Arc<Self>, shutdown: &CancellationToken) -> Result<(), bootstrap::BootstrapError> {
        let registry = self.registry.load_full();
        crate::dispatch::start_caches(self);
        bootstrap::ensure(&self.store, &registry).await?;
        if let Err(status) = crate::system_objects::ensure(self).await {
            tracing::warn!(error = status.message, "the cluster's own objects could not all be made");
        }
        crate::customresources::controller::start(self, shutdown).await?;
        aggregation::controller::start(self, shutdown).await?;
        peers::start(self, shutdown).await;
        tokio::spawn(aggregation::trust::run(Arc::clone(self), shutdown.clone()));
        let cache = |group: &str, version: &str, plural: &str| {
            registry.resource(group, version, plural).map(|definition| cache_of(self, definition))
        };
        feed::start(&self.authorizer, &registry, cache, shutdown).await?;
        if let Some(roles) = cache("rbac.authorization.k8s.io", "v1", "clusterroles") {
            tokio::spawn(aggregate::run(self.store.clone(), roles, shutdown.clone()));
        }
        tokio::spawn(crate::flow_schemas::run(Arc::clone(self), shutdown.clone()));
        tokio::spawn(modules::content::sweep(Arc::clone(self), shutdown.clone()));
        Ok(())
    }

    /// Writes requests to an audit log from now on. Only the first call counts.
    pub fn attach_audit(&self, audit: Arc<Audit>) {
        if self.audit.set(Arc::clone(&audit)).is_ok() {
            self.health.add_metrics(Arc::new(move || audit.metrics()));
        }
    }

    /// Reads one object from the store; for the server's own needs, so that no authorization is asked.
    ///
    /// # Errors
    /// 500 or 503 if the store fails, or if the resource is not known.
    pub async fn read(
        &self,
        group: &str,
        version: &str,
        plural: &str,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Value>, Status> {
        let registry = self.registry.load();
        let definition = registry
            .resource(group, version, plural)
            .ok_or_else(|| Status::internal(format!("{plural} are not served")))?;
        let found = self.store.get(&definition.key(namespace, name), None).await;
        let (entry, _) = found.map_err(|error: StoreError| handlers::scope::store_error(&error))?;
        let entry = entry.map(KeyValue::readable).transpose().map_err(|error| handlers::scope::store_error(&error))?;
        entry.map(|kv| serde_json::from_slice(&kv.value).map_err(Status::internal)).transpose()
    }

    /// Takes one request through all nine steps. The TLS listener and the in-process transport both come in here. A panic
    /// ends this request and no other.
    pub async fn handle(self: &Arc<Self>, request: Request<Body>, connection: ConnectionInfo) -> Response<Body> {
        let started = Instant::now();
        let query = request.uri().query().unwrap_or_default().to_owned();
        let mut info = request_info::parse(request.method(), request.uri().path(), &query);
        let pairs = request_info::query_pairs(&query);
        if matches!(info.verb.as_str(), "list" | "watch" | "deletecollection") {
            info.field_selector = request_info::first(&pairs, "fieldSelector").unwrap_or_default().to_owned();
        }
        let output = negotiate_plain(request.headers(), &pairs).unwrap_or_default();
        let audit_id = match request.headers().get(&AUDIT_ID) {
            Some(given) if given.len() <= 64 && given.to_str().is_ok() => given.clone(),
            _ => HeaderValue::from_str(&uuid::Uuid::new_v4().to_string()).unwrap_or(HeaderValue::from_static("-")),
        };
        let request_id = audit_id.to_str().unwrap_or_default().to_owned();
        let audit = self.audit.get().map(|audit| {
            let uri = request.uri().path_and_query().map_or("/", |path| path.as_str());
            let uri = format!("{}{uri}", self.config.url_path);
            audit.begin(&request_id, uri, &info, &connection, request.headers())
        });
        let cx = RequestContext {
            tenant: self.tenant.clone(),
            in_process: connection.in_process,
            user: UserInfo::default(),
            info,
            request_id,
            warnings: Mutex::default(),
            audit: audit.clone(),
            explain: None,
        };
        let (verb, resource, long) = (cx.info.verb.clone(), cx.info.clone(), is_long_running(&cx.info));
        let in_flight = self.health.metrics.begin(&resource);
        let allowed = if long { Ok(Duration::MAX) } else { self.time_for(&pairs) };
        let id = cx.request_id.clone();
        let steps = portcullis_policy::log::in_request(&id, self.steps(request, cx, connection, &output));
        let whole = AssertUnwindSafe(steps).catch_unwind();
        let outcome = match allowed {
            Err(status) => Ok(respond::status(&output, &status)),
            Ok(Duration::MAX) => whole.await,
            Ok(allowed) => match tokio::time::timeout(allowed, whole).await {
                Ok(outcome) => outcome,
                Err(_) => {
                    let message = format!(
                        "Timeout: request did not complete within the allotted timeout ({allowed:?}), it may go on"
                    );
                    Ok(respond::status(&output, &Status::timeout(message)))
                }
            },
        };
        let panicked = outcome.is_err();
        let mut response = outcome.unwrap_or_else(|_| {
            tracing::error!(verb, path = resource.path, "a request panicked");
            respond::status(&output, &Status::internal("the server failed on this request; the others go on"))
        });
        response = match audit {
            Some(record) if !panicked => record.complete(response, long).await,
            Some(record) => {
                record.panicked();
                response
            }
            None => response,
        };
        let headers = response.headers_mut();
        headers.insert(AUDIT_ID.clone(), audit_id);
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-cache, private"));
        let code = response.status().as_u16();
        drop(in_flight);
        self.health.metrics.observe(&resource, code, started.elapsed());
        response
    }

    /// How long a request may take that is not long-running: as long as it asks for, and no longer than others.
    fn time_for(&self, pairs: &[(String, String)]) -> Result<Duration, Status> {
        let most = self.config.request_timeout;
        match request_info::first(pairs, "timeout").filter(|text| !text.is_empty()).map(request_info::timeout::parse) {
            None => Ok(most),
            Some(Ok(wished)) if wished.is_zero() => Ok(most),
            Some(Ok(wished)) => Ok(wished.min(most)),
            Some(Err(error)) => {
                Err(Status::bad_request(format!("invalid timeout specified in the request URL - {error}")))
            }
        }
    }

    /// Asks authorization, and tells the audit log what it said.
    fn require(&self, user: &UserInfo, cx: &RequestContext) -> Result<(), Status> {
        let start = cx.explain.as_ref().map(|explanation| (explanation, Instant::now()));
        let decision = self.authorizer.authorize(user, &cx.info);
        let allowed = matches!(decision, Decision::Allow(_));
        let (Decision::Allow(reason) | Decision::Deny(reason) | Decision::NoOpinion(reason)) = decision;
        if let Some(record) = &cx.audit {
            record.authorized(user, allowed, &reason);
        }
        if let Some((explanation, start)) = start {
            let step = Step::of_host("authorizer", "authorization", (!allowed).then_some(&reason), start.elapsed());
            explanation.add(Step { reason: reason.clone(), ..step });
        }
        if allowed { Ok(()) } else { Err(forbidden(user, &cx.info, &reason)) }
    }

    /// Reads the body ahead of the handlers where the audit log wants it. Modules are no objects, and what streams has
    /// no end.
    async fn recorded(&self, request: Request<Body>, cx: &RequestContext) -> Result<Request<Body>, Status> {
        let Some(record) = cx.audit.as_ref().filter(|record| record.wants_request()) else { return Ok(request) };
        let writes = matches!(cx.info.verb.as_str(), "create" | "update" | "patch" | "delete" | "deletecollection");
        if !writes || is_long_running(&cx.info) || cx.info.subresource == "content" {
            return Ok(request);
        }
        let (parts, body) = request.into_parts();
        let bytes = handlers::body::read(body, self.config.max_request_body_bytes).await?;
        record.request_body(&bytes, header(&parts.headers, "content-type"));
        Ok(Request::from_parts(parts, Body::from(bytes)))
    }

    async fn steps(
        self: &Arc<Self>,
        mut request: Request<Body>,
        mut cx: RequestContext,
        connection: ConnectionInfo,
        output: &Output,
    ) -> Response<Body> {
        let method = request.method().as_str().to_owned();
        let known = authn::authenticate(
            &*self.authenticators,
            self.config.anonymous_auth,
            request.headers(),
            &cx.info,
            &method,
            &connection,
        );
        let requestor = match known.await {
            Ok(user) => user,
            Err(status) => {
                if let Some(record) = &cx.audit {
                    record.unauthenticated();
                }
                let mut response = respond::status(output, &status);
                if status.code == 401 {
                    let realm = HeaderValue::from_static("Bearer realm=\"portcullis\"");
                    response.headers_mut().insert(WWW_AUTHENTICATE, realm);
                }
                return response;
            }
        };
        if let Some(record) = &cx.audit {
            record.authenticated(&requestor);
        }
        let pairs = request_info::query_pairs(request.uri().query().unwrap_or_default());
        if explain::is_wanted(&pairs) {
            if let Err(status) = explain::check(&self.authorizer, &requestor, &cx.info, &pairs) {
                return respond::status(output, &status);
            }
            cx.explain = Some(Arc::default());
        }
        let user = match authn::impersonation::act_as(&self.authorizer, request.headers_mut(), requestor, &cx.info) {
            Ok(user) => user,
            Err(status) => return respond::status(output, &status),
        };
        let mut entry = match self.flow.enter(&user, &cx.info).await {
            Ok(entry) => entry,
            Err((entry, status)) => {
                let mut response = respond::status(output, &status);
                entry.say(response.headers_mut());
                return response;
            }
        };
        let started = Instant::now();
        let explained = cx.explain.clone().map(|explanation| (explanation, cx.for_explanation(&user)));
        let mut response = self.admitted(request, cx, user, output).await;
        if let Some((explanation, cx)) = explained {
            response = explain::answer(&cx, &explanation, response, started.elapsed()).await;
        }
        drop(entry.place.take());
        entry.say(response.headers_mut());
        response
    }

    /// The steps of a request that was let in.
    async fn admitted(
        self: &Arc<Self>,
        request: Request<Body>,
        mut cx: RequestContext,
        user: UserInfo,
        output: &Output,
    ) -> Response<Body> {
        if let Err(status) = self.require(&user, &cx) {
            return respond::status(output, &status);
        }
        cx.user = user;
        let request = match self.recorded(request, &cx).await {
            Ok(request) => request,
            Err(status) => return respond::status(output, &status),
        };
        let cx: Context = Arc::new(cx);
        let query = request.uri().query().unwrap_or_default();
        let own = health::respond(self, &cx, request.method(), request.headers(), query).await;
        let mut response = match own {
            Some(response) => response,
            None if cx.info.path == replay::PATH => replay::respond(self, request.method(), query, output),
            // The parts of a path are counted from its one leading slash.
            None if cx.info.path.starts_with("//") => respond::page_not_found(),
            None => dispatch::dispatch(self, &cx, request).await,
        };
        for value in warnings::headers(&cx.warnings.lock()) {
            response.headers_mut().append(WARNING, value);
        }
        response
    }
}

#[cfg(test)]
pub(crate) mod tests;
