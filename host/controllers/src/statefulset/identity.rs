//! What stays of a StatefulSet's pod when it is made again: its name, its number, its claims.

use portcullis_client::ObjectExt;
use portcullis_machinery::Value;
use serde_json::json;

use crate::pods;

/// The number of a pod of the set; `None` if its name is not of the set's form.
pub(super) fn ordinal(set: &Value, pod: &Value) -> Option<i64> {
    let digits = pod.name().strip_prefix(set.name())?.strip_prefix('-')?;
    let canonical = digits == "0" || !digits.starts_with('0');
    digits.parse().ok().filter(|_| canonical && digits.bytes().all(|byte| byte.is_ascii_digit()))
}

fn claim_name(template: &Value, set: &Value, ordinal: i64) -> String {
    format!("{}-{}-{ordinal}", template.name(), set.name())
}

/// The claims of one pod.
pub(super) fn claims(set: &Value, ordinal: i64) -> Vec<Value> {
    let claim = |template: &Value| {
        let mut labels = template.at(&["metadata", "labels"]).cloned().unwrap_or_else(|| json!({}));
        for (name, value) in
            set.at(&["spec", "selector", "matchLabels"]).and_then(Value::as_object).into_iter().flatten()
        {
            labels[name] = value.clone();
        }
        let mut metadata = json!({
            "name": claim_name(template, set, ordinal), "namespace": set.namespace(), "labels": labels,
        });
        if let Some(annotations) = template.at(&["metadata", "annotations"]) {
            metadata["annotations"] = annotations.clone();
        }
        json!({"kind": "PersistentVolumeClaim", "apiVersion": "v1", "metadata": metadata, "spec": template["spec"]})
    };
    set.list_at(&["spec", "volumeClaimTemplates"]).iter().map(claim).collect()
}

/// The pod with this number, of this template.
pub(super) fn new_pod(set: &Value, template: &Value, revision: &str, ordinal: i64) -> Value {
    let mut pod = pods::from_template(set, template);
    let name = format!("{}-{ordinal}", set.name());
    pod["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] = name.clone().into();
    pod["metadata"]["labels"]["apps.kubernetes.io/pod-index"] = ordinal.to_string().into();
    pod["metadata"]["labels"]["controller-revision-hash"] = revision.into();
    pod["metadata"]["name"] = name.clone().into();
    pod["spec"]["hostname"] = name.into();
    let service = set.str_at(&["spec", "serviceName"]);
    if !service.is_empty() {
        pod["spec"]["subdomain"] = service.into();
    }
    let templates = set.list_at(&["spec", "volumeClaimTemplates"]);
    let of_claims: Vec<Value> = templates
        .iter()
        .map(|template| {
            let claim = claim_name(template, set, ordinal);
            json!({"name": template.name(), "persistentVolumeClaim": {"claimName": claim, "readOnly": false}})
        })
        .collect();
    if !of_claims.is_empty() {
        // A volume of the template with a claim's name gives way to the claim.
        let others = pod
            .list_at(&["spec", "volumes"])
            .iter()
            .filter(|volume| !templates.iter().any(|template| template.name() == volume.str_at(&["name"])));
        let volumes: Vec<Value> = others.cloned().chain(of_claims).collect();
        pod["spec"]["volumes"] = volumes.into();
    }
    pod
}
