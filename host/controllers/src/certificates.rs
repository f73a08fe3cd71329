//! CertificateSigningRequests: who gets a certificate without being asked about, the certificates themselves, and the end
//! of requests that are done with.
//!
//! The signers are Kubernetes' own four ([`request::SIGNERS`]); all sign with one CA, which API servers take client
//! certificates from. Requests for other signers are left to whoever serves them.

mod approver;
mod authority;
mod cleaner;
mod request;

use portcullis_client::resource::CERTIFICATESIGNINGREQUESTS;
use portcullis_client::{Client, ClientError, Informer, ObjectExt, WorkQueue, run_workers};
use portcullis_machinery::Value;
use serde_json::json;

use crate::common::{Context, condition};
use authority::Authority;
use request::Request;

pub(crate) use cleaner::run as clean;

/// The CA that signs.
#[derive(Clone, Debug, Default)]
pub struct SigningCa {
    /// Its certificate, in PEM.
    pub certificate: String,
    /// Its private key, PKCS#8 in PEM.
    pub key: String,
}

fn requests(client: &Client, context: &Context) -> Informer {
    Informer::builder(client, &CERTIFICATESIGNINGREQUESTS).start(context.shutdown.clone())
}

fn has_true(request: &Value, kind: &str) -> bool {
    condition(request, kind).is_some_and(|condition| condition.str_at(&["status"]) == "True")
}

fn is_issued(request: &Value) -> bool {
    !request.str_at(&["status", "certificate"]).is_empty()
}

/// Adds a condition. The server notes when.
fn add_condition(request: &mut Value, kind: &str, reason: &str, message: &str) {
    let mut conditions = request.list_at(&["status", "conditions"]).to_vec();
    conditions.push(json!({"type": kind, "status": "True", "reason": reason, "message": message}));
    request["status"]["conditions"] = conditions.into();
}

/// Has requests worked on, each whenever it changes.
async fn follow<F, W>(name: &'static str, context: Context, requests: Informer, work: F)
where
    F: Fn(Value) -> W + Clone + Send + Sync + 'static,
    W: Future<Output = Result<(), ClientError>> + Send + 'static,
{
    let queue: WorkQueue<String> = WorkQueue::new();
    requests.synced().await;
    let add = queue.clone();
    requests.on_event(move |event| add.add(event.object().key()));
    run_workers(name, queue, 2, context.shutdown, move |key| {
        let (request, work) = (requests.get_key(&key), work.clone());
        async move {
            match request {
                Some(request) if !request.is_deleting() => work((*request).clone()).await,
                _ => Ok(()),
            }
        }
    })
    .await;
}

/// Approves what kubelets ask for, if they may.
pub(crate) async fn approve(context: Context) {
    let client = context.client_for("certificate-controller");
    let requests = requests(&client, &context);
    follow("csr-approver", context, requests, move |request| approver::handle(client.clone(), request)).await;
}

/// Signs what was approved. Without a CA nothing is signed.
pub(crate) async fn sign(context: Context, ca: Option<SigningCa>) {
    let authority = match ca.as_ref().map(Authority::new) {
        Some(Ok(authority)) => std::sync::Arc::new(authority),
        Some(Err(error)) => {
            tracing::error!(%error, "certificates cannot be signed");
            return context.shutdown.cancelled().await;
        }
        None => return context.shutdown.cancelled().await,
    };
    let client = context.client_for("certificate-controller");
    let requests = requests(&client, &context);
    follow("csr-signer", context, requests, move |request| {
        let (client, authority) = (client.clone(), std::sync::Arc::clone(&authority));
        async move { sign_one(&client, &authority, request).await }
    })
    .await;
}

async fn sign_one(client: &Client, authority: &Authority, mut request: Value) -> Result<(), ClientError> {
    let signer = request.str_at(&["spec", "signerName"]).to_owned();
    let wanted = has_true(&request, "Approved") && !has_true(&request, "Denied") && !has_true(&request, "Failed");
    if is_issued(&request) || !wanted || !request::SIGNERS.contains(&signer.as_str()) {
        return Ok(());
    }
    let parsed = match Request::parse(request.str_at(&["spec", "request"])) {
        Ok(parsed) => parsed,
        Err(why) => {
            tracing::warn!(request = request.name(), why, "a certificate request cannot be read");
            return Ok(());
        }
    };
    let usages: Vec<String> =
        request.list_at(&["spec", "usages"]).iter().filter_map(|usage| usage.as_str().map(str::to_owned)).collect();
    match parsed.check(&signer, &usages) {
        Err(why) => add_condition(&mut request, "Failed", "SignerValidationFailure", &why),
        Ok(()) => match authority.sign(&parsed, &usages, request.int_at(&["spec", "expirationSeconds"])) {
            Ok(certificate) => request["status"]["certificate"] = certificate.into(),
            Err(error) => {
                tracing::error!(request = request.name(), %error, "a certificate was not signed");
                return Ok(());
            }
        },
    }
    ignore_stale(client.update_status(&CERTIFICATESIGNINGREQUESTS, &request).await)
}

/// What has changed or gone meanwhile comes again, or need not.
fn ignore_stale(result: Result<Value, ClientError>) -> Result<(), ClientError> {
    match result {
        Err(error) if !error.is_not_found() && !error.is_conflict() => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
