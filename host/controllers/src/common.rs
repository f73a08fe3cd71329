//! What controllers share: the informers, and facts about pods, owners and conditions.

use portcullis_client::resource::{DEPLOYMENTS, JOBS, NAMESPACES, NODES, PODS, REPLICASETS, SERVICES};
use portcullis_client::{Client, Informer, Object, ObjectExt};
use portcullis_machinery::Value;
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// What every controller is started with. The informers are shared: one watch of a resource serves them all.
#[derive(Clone)]
pub(crate) struct Context {
    pub(crate) client: Client,
    pub(crate) shutdown: CancellationToken,
    pub(crate) pods: Informer,
    pub(crate) nodes: Informer,
    pub(crate) namespaces: Informer,
    pub(crate) services: Informer,
    pub(crate) replicasets: Informer,
    pub(crate) deployments: Informer,
    pub(crate) jobs: Informer,
}

impl Context {
    pub(crate) fn new(client: &Client, shutdown: CancellationToken) -> Self {
        let start = |resource| Informer::builder(client, resource).start(shutdown.clone());
        let by_owner = |resource| Informer::builder(client, resource).index_by_owner().start(shutdown.clone());
        Self {
            client: client.clone(),
            pods: Informer::builder(client, &PODS)
                .index_by_owner()
                .index("node", |pod| vec![pod.str_at(&["spec", "nodeName"]).to_owned()])
                .start(shutdown.clone()),
            nodes: start(&NODES),
            namespaces: start(&NAMESPACES),
            services: start(&SERVICES),
            replicasets: by_owner(&REPLICASETS),
            deployments: start(&DEPLOYMENTS),
            jobs: by_owner(&JOBS),
            shutdown,
        }
    }

    /// The client of one controller.
    pub(crate) fn client_for(&self, controller: &str) -> Client {
        self.client.with_user_agent(&format!("kube-controller-manager/v1.36.0 (portcullis) {controller}"))
    }
}

/// A controlling owner reference.
pub(crate) fn controller_ref(owner: &Value) -> Value {
    json!({
        "apiVersion": owner.str_at(&["apiVersion"]),
        "kind": owner.str_at(&["kind"]),
        "name": owner.name(),
        "uid": owner.uid(),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// The uid of the controlling owner; empty if there is none.
pub(crate) fn controller_uid(object: &Value) -> &str {
    object.controller_of().map_or("", |owner| owner.str_at(&["uid"]))
}

/// A condition by its type.
pub(crate) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    object.list_at(&["status", "conditions"]).iter().find(|condition| condition.str_at(&["type"]) == kind)
}

/// Neither over nor on its way out.
pub(crate) fn is_active(pod: &Value) -> bool {
    !is_over(pod) && !pod.is_deleting()
}

/// Succeeded or failed.
pub(crate) fn is_over(pod: &Value) -> bool {
    matches!(pod.str_at(&["status", "phase"]), "Succeeded" | "Failed")
}

/// Whether the pod's Ready condition is true.
pub(crate) fn is_ready(pod: &Value) -> bool {
    condition(pod, "Ready").is_some_and(|ready| ready.str_at(&["status"]) == "True")
}

/// For how many more seconds the pod must be ready to be available; 0 if it is, `None` if it is not ready.
pub(crate) fn available_in(pod: &Value, min_ready_seconds: i64) -> Option<f64> {
    let ready = condition(pod, "Ready").filter(|ready| ready.str_at(&["status"]) == "True")?;
    if min_ready_seconds <= 0 {
        return Some(0.0);
    }
    let since = portcullis_client::time::seconds_since(ready.str_at(&["lastTransitionTime"]))?;
    Some((min_ready_seconds as f64 - since).max(0.0))
}

/// Sets a condition in a list; `lastTransitionTime` changes only with the status. Says whether anything changed.
pub(crate) fn set_condition(conditions: &mut Vec<Value>, mut wanted: Value, now: &str) -> bool {
    let known = conditions.iter_mut().find(|known| known.str_at(&["type"]) == wanted.str_at(&["type"]));
    match known {
        Some(known) => {
            let same = |field: &str| known.str_at(&[field]) == wanted.str_at(&[field]);
            let seen = known.get("observedGeneration") == wanted.get("observedGeneration");
            if same("status") && same("reason") && same("message") && seen {
                return false;
            }
            wanted["lastTransitionTime"] =
                if same("status") { known["lastTransitionTime"].clone() } else { now.into() };
            *known = wanted;
        }
        None => {
            wanted["lastTransitionTime"] = now.into();
            conditions.push(wanted);
        }
    }
    true
}

/// A number that starts and ends like a Kubernetes object's name suffix: no vowels, so that no words come about.
pub(crate) fn safe_encode(text: &str) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    text.bytes().map(|byte| LETTERS[byte as usize % LETTERS.len()] as char).collect()
}

/// FNV-1a, 32 bits.
pub(crate) fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

/// The objects with this controlling owner.
pub(crate) fn controlled(informer: &Informer, owner: &Value) -> Vec<Object> {
    let uid = owner.uid();
    informer.by_index("owner", uid).into_iter().filter(|object| controller_uid(object) == uid).collect()
}

/// A number, or a percentage of `total`, rounded up or down; of `default` if there is none.
pub(crate) fn part_of(value: Option<&Value>, total: i64, default: &str, up: bool) -> i64 {
    let text = match value {
        Some(Value::Number(number)) => return number.as_i64().unwrap_or(0),
        Some(Value::String(text)) => text,
        _ => default,
    };
    match text.strip_suffix('%').and_then(|percent| percent.parse::<i64>().ok()) {
        Some(percent) if up => (total * percent + 99) / 100,
        Some(percent) => total * percent / 100,
        None => text.parse().unwrap_or(0),
    }
}
