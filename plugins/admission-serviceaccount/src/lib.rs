//! Gives every new pod a ServiceAccount: `default` where none is named, a projected token at the well-known path in each
//! container, and the account's pull secrets (API reference, "Configure Service Accounts for Pods"; KEP-1205).

use portcullis_sdk::{Denial, Input, Mutation, Patch, ValueRef, host, tape::Tape};
use serde::Deserialize;
use serde_json::{Value, json};

/// This component has nothing to configure.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {}

/// What is read of the document.
pub const PATHS: [&str; 6] = [
    "/object/metadata/annotations/kubernetes.io~1config.mirror",
    "/object/spec",
    "/request/namespace",
    "/request/operation",
    "/request/subResource",
    "/object/metadata/namespace",
];

const TOKEN_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
const TOKEN_VOLUME: &str = "kube-api-access-";
/// Seconds: an hour and a little, by which a kubelet recognises tokens that nobody chose the life of.
const TOKEN_SECONDS: u32 = 3607;
/// Letters of generated names: no vowels, and nothing that is mistaken for one, so that no words come about.
const NAME_LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// The fields that are read of a ServiceAccount.
const ACCOUNT_PATHS: [&str; 4] = [
    "/automountServiceAccountToken",
    "/imagePullSecrets",
    "/secrets",
    "/metadata/annotations/kubernetes.io~1enforce-mountable-secrets",
];

/// What is wanted of the host.
pub trait Cluster {
    /// [`ACCOUNT_PATHS`] of a ServiceAccount as a tape; `None` if there is none.
    fn account(&self, namespace: &str, name: &str) -> Result<Option<Vec<u8>>, String>;
    /// Five random bytes.
    fn random(&self) -> Vec<u8>;
}

/// The host's functions.
pub struct Host;

impl Cluster for Host {
    fn account(&self, namespace: &str, name: &str) -> Result<Option<Vec<u8>>, String> {
        host::get("serviceaccounts", namespace, name, &ACCOUNT_PATHS).map_err(|error| host::describe(&error).to_owned())
    }
    fn random(&self) -> Vec<u8> {
        host::random(5)
    }
}

/// What a new pod gets.
pub fn mutate(input: &Input, cluster: &impl Cluster) -> Mutation {
    if input.str(3) != "CREATE" || !input.str(4).is_empty() {
        return Mutation::none();
    }
    let spec = input.get(1);
    let result = if input.get(0).is_absent() {
        let namespace = if input.str(2).is_empty() { input.str(5) } else { input.str(2) };
        assign(spec, namespace, cluster)
    } else {
        mirror(spec).map(|()| Patch::new())
    };
    match result {
        Ok(patch) => Mutation::patch(patch.into_operations()),
        Err(message) => Mutation::deny(Denial::new(message)),
    }
}

fn assign(spec: ValueRef, namespace: &str, cluster: &impl Cluster) -> Result<Patch, String> {
    let mut patch = Patch::new();
    let named = spec.get("serviceAccountName").str_or_empty();
    let name = if named.is_empty() { "default" } else { named };
    if named.is_empty() {
        patch.add("/spec/serviceAccountName", &name);
    }
    // The deprecated alias follows the name wherever a pod is served.
    if !spec.get("serviceAccount").is_str(name) {
        patch.add("/spec/serviceAccount", &name);
    }
    let missing = |why: String| format!("error looking up service account {namespace}/{name}: {why}");
    let found = cluster.account(namespace, name).map_err(missing)?;
    let bytes = found.ok_or_else(|| missing(format!("serviceaccount \"{name}\" not found")))?;
    let account = Tape::trusted(&bytes).root();

    let automount = spec.get("automountServiceAccountToken").as_bool().or(account.index(0).as_bool()).unwrap_or(true);
    if automount {
        mount_token(spec, cluster, &mut patch);
    }
    let pull_secrets: Vec<Value> =
        account.index(1).iter().map(|secret| json!({"name": secret.get("name").str_or_empty()})).collect();
    if spec.get("imagePullSecrets").is_empty() && !pull_secrets.is_empty() {
        patch.add("/spec/imagePullSecrets", &pull_secrets);
    }
    if matches!(account.index(3).str_or_empty(), "1" | "t" | "T" | "true" | "TRUE" | "True") {
        limit_secrets(spec, account, name)?;
    }
    Ok(patch)
}

fn mount_token(spec: ValueRef, cluster: &impl Cluster, patch: &mut Patch) {
    let volumes = spec.get("volumes");
    let existing =
        volumes.iter().map(|volume| volume.get("name").str_or_empty()).find(|name| name.starts_with(TOKEN_VOLUME));
    let volume_name = match existing {
        Some(name) => name.to_owned(),
        None => {
            let letter = |byte: u8| NAME_LETTERS[usize::from(byte) % NAME_LETTERS.len()] as char;
            TOKEN_VOLUME.chars().chain(cluster.random().into_iter().map(letter)).collect()
        }
    };
    let mount = json!({"name": volume_name, "readOnly": true, "mountPath": TOKEN_PATH});
    let mut needed = false;
    for field in ["initContainers", "containers"] {
        for (index, container) in spec.get(field).iter().enumerate() {
            let mounts = container.get("volumeMounts");
            if mounts.iter().any(|mount| mount.get("mountPath").is_str(TOKEN_PATH)) {
                continue;
            }
            needed = true;
            if mounts.is_none() {
                patch.add(format!("/spec/{field}/{index}/volumeMounts"), &[&mount]);
            } else {
                patch.add(format!("/spec/{field}/{index}/volumeMounts/-"), &mount);
            }
        }
    }
    if !needed || existing.is_some() {
        return;
    }
    let volume = json!({"name": volume_name, "projected": {"defaultMode": 0o644, "sources": [
        {"serviceAccountToken": {"expirationSeconds": TOKEN_SECONDS, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [
            {"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}
        ]}},
    ]}});
    if volumes.is_none() {
        patch.add("/spec/volumes", &[volume]);
    } else {
        patch.add("/spec/volumes/-", &volume);
    }
}

/// An account may say that its pods use no secrets but its own.
fn limit_secrets(spec: ValueRef, account: ValueRef, name: &str) -> Result<(), String> {
    let may_mount = |secret: &str| account.index(2).iter().any(|own| own.get("name").is_str(secret));
    let reason = format!("is not allowed because service account {name} does not reference that secret");
    for volume in spec.get("volumes").iter().filter(|volume| !volume.get("secret").is_none()) {
        let secret = volume.get("secret").get("secretName").str_or_empty();
        if !may_mount(secret) {
            return Err(format!("volume with secret.secretName=\"{secret}\" {reason}"));
        }
    }
    for (field, words) in [("initContainers", "init container"), ("containers", "container")] {
        for container in spec.get(field) {
            let container_name = container.get("name").str_or_empty();
            for env in container.get("env") {
                let reference = env.get("valueFrom").get("secretKeyRef");
                let secret = reference.get("name").str_or_empty();
                if !reference.is_none() && !may_mount(secret) {
                    let variable = env.get("name").str_or_empty();
                    return Err(format!(
                        "{words} {container_name} with envVar {variable} referencing secret.secretName=\"{secret}\" {reason}"
                    ));
                }
            }
            for source in container.get("envFrom") {
                let secret = source.get("secretRef").get("name").str_or_empty();
                if !source.get("secretRef").is_none() && !may_mount(secret) {
                    return Err(format!(
                        "{words} {container_name} with envFrom referencing secret.secretName=\"{secret}\" {reason}"
                    ));
                }
            }
        }
    }
    for (index, secret) in spec.get("imagePullSecrets").iter().enumerate() {
        let secret = secret.get("name").str_or_empty();
        if !account.index(1).iter().any(|own| own.get("name").is_str(secret)) {
            return Err(format!(
                "imagePullSecrets[{index}].name=\"{secret}\" is not allowed because service account {name} does not \
                 reference that imagePullSecret"
            ));
        }
    }
    Ok(())
}

/// A mirror pod stands for one that a kubelet runs from a file; it must not lead to secrets.
fn mirror(spec: ValueRef) -> Result<(), String> {
    if !spec.get("serviceAccountName").str_or_empty().is_empty() {
        return Err("a mirror pod may not reference service accounts".into());
    }
    let volumes = spec.get("volumes");
    let in_volumes = volumes.iter().any(|volume| {
        !volume.get("secret").is_none()
            || volume.get("projected").get("sources").iter().any(|source| !source.get("secret").is_none())
    });
    let in_containers = ["initContainers", "containers"].iter().flat_map(|field| spec.get(field)).any(|container| {
        container.get("env").iter().any(|env| !env.get("valueFrom").get("secretKeyRef").is_none())
            || container.get("envFrom").iter().any(|source| !source.get("secretRef").is_none())
    });
    if in_volumes || in_containers || !spec.get("imagePullSecrets").is_empty() {
        return Err("a mirror pod may not reference secrets".into());
    }
    let tokens = volumes.iter().flat_map(|volume| volume.get("projected").get("sources"));
    if tokens.into_iter().any(|source| !source.get("serviceAccountToken").is_none()) {
        return Err("a mirror pod may not use ServiceAccountToken volume projections".into());
    }
    Ok(())
}

portcullis_sdk::mutator!(Config, PATHS, |_: &Config, input: &Input| mutate(input, &Host));

#[cfg(test)]
mod tests;
