//! Requests go some time after they were decided, and those that nobody decides after a day.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use portcullis_client::resource::CERTIFICATESIGNINGREQUESTS;
use portcullis_client::{DeleteParams, ObjectExt, time};
use portcullis_machinery::Value;
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{is_issued, requests};
use crate::common::{Context, condition};

/// How often all are looked at.
const EVERY: Duration = Duration::from_secs(3600);
/// How long decided ones stay, in seconds.
const DECIDED: f64 = 3600.0;
/// How long undecided ones stay, and approved ones that are not signed.
const PENDING: f64 = 24.0 * 3600.0;

/// Deletes requests until shutdown.
pub(crate) async fn run(context: Context) {
    let client = context.client_for("csrcleaner");
    let requests = requests(&client, &context);
    requests.synced().await;
    loop {
        for request in requests.list().iter().filter(|request| is_over(request, jiff::Timestamp::now())) {
            let params = DeleteParams::uid(request.uid());
            match client.delete(&CERTIFICATESIGNINGREQUESTS, "", request.name(), &params).await {
                Err(error) if !error.is_not_found() => {
                    tracing::warn!(request = request.name(), %error, "an old certificate request was not deleted");
                }
                _ => {}
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

fn is_over(request: &Value, now: jiff::Timestamp) -> bool {
    let older = |time: &str, limit: f64| time::seconds_since(time).is_some_and(|age| age > limit);
    let decided = |kind: &str, limit: f64| {
        condition(request, kind).is_some_and(|condition| older(condition.str_at(&["lastUpdateTime"]), limit))
    };
    let issued = is_issued(request);
    let none = request.list_at(&["status", "conditions"]).is_empty();
    decided("Denied", DECIDED)
        || decided("Failed", DECIDED)
        || issued
            && (decided("Approved", DECIDED) || condition(request, "Approved").is_some() && is_expired(request, now))
        || !issued && decided("Approved", PENDING)
        || none && older(request.str_at(&["metadata", "creationTimestamp"]), PENDING)
}

fn is_expired(request: &Value, now: jiff::Timestamp) -> bool {
    let Ok(bytes) = STANDARD.decode(request.str_at(&["status", "certificate"])) else { return false };
    let Ok(block) = pem::parse(bytes) else { return false };
    X509Certificate::from_der(block.contents())
        .is_ok_and(|(_, certificate)| certificate.validity().not_after.timestamp() < now.as_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn old_requests() {
        let check = |request: Value, expected: bool| assert_eq!(is_over(&request, jiff::Timestamp::now()), expected);
        let ago = |seconds: i64| {
            jiff::Timestamp::from_second(jiff::Timestamp::now().as_second() - seconds).expect("a time").to_string()
        };
        let decided = |kind: &str, seconds: i64, certificate: &str| {
            json!({"status": {
                "certificate": certificate, "conditions": [{"type": kind, "status": "True", "lastUpdateTime": ago(seconds)}],
            }})
        };
        check(decided("Denied", 3_000, ""), false);
        check(decided("Denied", 4_000, ""), true);
        check(decided("Failed", 4_000, ""), true);
        check(decided("Approved", 4_000, ""), false);
        check(decided("Approved", 4_000, "eA=="), true);
        check(decided("Approved", 90_000, ""), true);
        check(json!({"metadata": {"creationTimestamp": ago(90_000)}}), true);
        check(json!({"metadata": {"creationTimestamp": ago(80_000)}}), false);
    }
}
