//! Kubelets get their client certificates without a person's approval, if a SubjectAccessReview says that they may: a new
//! node with its bootstrap token (`nodeclient`), and a node that renews its own (`selfnodeclient`).

use portcullis_client::resource::{CERTIFICATESIGNINGREQUESTS, SUBJECTACCESSREVIEWS};
use portcullis_client::{Client, ClientError, ObjectExt};
use portcullis_machinery::Value;
use serde_json::json;

use super::request::{KUBELET_CLIENT, Request};
use super::{add_condition, condition, ignore_stale, is_issued};

/// Approves one request if it is a kubelet's.
pub(super) async fn handle(client: Client, mut request: Value) -> Result<(), ClientError> {
    let decided = condition(&request, "Approved").is_some() || condition(&request, "Denied").is_some();
    if is_issued(&request) || decided || request.str_at(&["spec", "signerName"]) != KUBELET_CLIENT {
        return Ok(());
    }
    let Ok(parsed) = Request::parse(request.str_at(&["spec", "request"])) else { return Ok(()) };
    let usages: Vec<String> =
        request.list_at(&["spec", "usages"]).iter().filter_map(|usage| usage.as_str().map(str::to_owned)).collect();
    if parsed.check(KUBELET_CLIENT, &usages).is_err() {
        return Ok(());
    }
    let own = request.str_at(&["spec", "username"]) == parsed.common_name();
    let ways = [
        (own, "selfnodeclient", "Auto approving self kubelet client certificate after SubjectAccessReview."),
        (true, "nodeclient", "Auto approving kubelet client certificate after SubjectAccessReview."),
    ];
    for (_, subresource, message) in ways.into_iter().filter(|(applies, ..)| *applies) {
        if may(&client, &request, subresource).await? {
            add_condition(&mut request, "Approved", "AutoApproved", message);
            let updated = client.update_subresource(&CERTIFICATESIGNINGREQUESTS, "approval", &request).await;
            return ignore_stale(updated);
        }
    }
    Ok(())
}

async fn may(client: &Client, request: &Value, subresource: &str) -> Result<bool, ClientError> {
    let spec = |field: &str| request.get("spec").and_then(|spec| spec.get(field)).cloned().unwrap_or_default();
    let review = json!({
        "kind": "SubjectAccessReview", "apiVersion": "authorization.k8s.io/v1",
        "spec": {
            "user": spec("username"), "uid": spec("uid").as_str().unwrap_or_default(), "groups": spec("groups"),
            "extra": spec("extra"),
            "resourceAttributes": {
                "group": "certificates.k8s.io", "resource": "certificatesigningrequests", "verb": "create",
                "subresource": subresource, "version": "*",
            },
        },
    });
    let answer = client.create(&SUBJECTACCESSREVIEWS, "", &review).await?;
    Ok(answer.pointer("/status/allowed") == Some(&Value::Bool(true)))
}
