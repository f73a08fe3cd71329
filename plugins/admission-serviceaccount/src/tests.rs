//! What pods get, and which are refused.

use portcullis_sdk::testing::{project, tape};

use super::*;

struct Fake(Value);

impl Cluster for Fake {
    fn account(&self, namespace: &str, name: &str) -> Result<Option<Vec<u8>>, String> {
        assert_eq!(namespace, "ns");
        let found = self.0.get(name);
        Ok(found
            .map(|account| tape(&json!([account["auto"], account["pull"], account["secrets"], account["enforce"]]))))
    }
    fn random(&self) -> Vec<u8> {
        vec![0, 1, 2, 3, 4]
    }
}

/// Checks the patch as `[[path, value], ..]`, or the refusal.
fn check(spec: Value, expected: Result<Value, &str>) {
    let accounts = json!({
        "default": {}, "off": {"auto": false}, "pull": {"auto": false, "pull": [{"name": "r"}]},
        "strict": {"auto": false, "enforce": "true", "secrets": [{"name": "mine"}]},
    });
    let document = json!({"object": {"spec": spec}, "request": {"operation": "CREATE", "namespace": "ns"}});
    let mutation = mutate(&Input::new(&project(&document, &PATHS)), &Fake(accounts));
    let found =
        match mutation.denied {
            Some(denial) => Err(denial.message),
            None => Ok(Value::from_iter(mutation.patch.iter().map(|operation| {
                json!([operation.path, serde_json::from_str::<Value>(&operation.value).expect("JSON")])
            }))),
        };
    assert_eq!(found, expected.map_err(str::to_owned), "{spec}");
}

#[test]
fn the_account_and_its_token() {
    let volume = json!({"name": "kube-api-access-bcdfg", "projected": {"defaultMode": 420, "sources": [
        {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace", "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
    ]}});
    let mount = json!({"name": "kube-api-access-bcdfg", "readOnly": true, "mountPath": TOKEN_PATH});
    let name = [json!(["/spec/serviceAccountName", "default"]), json!(["/spec/serviceAccount", "default"])];
    check(
        json!({"containers": [{"name": "a"}, {"name": "b", "volumeMounts": [{"mountPath": "/x"}]}]}),
        Ok(json!([
            name[0],
            name[1],
            ["/spec/containers/0/volumeMounts", [mount]],
            ["/spec/containers/1/volumeMounts/-", mount],
            ["/spec/volumes", [volume]],
        ])),
    );
    check(json!({"containers": [{"volumeMounts": [{"mountPath": TOKEN_PATH}]}]}), Ok(json!(name)));
    check(json!({"automountServiceAccountToken": false, "containers": [{"name": "a"}]}), Ok(json!(name)));
}

#[test]
fn what_the_account_says() {
    let named = |name: &str, rest: Value| {
        let mut spec = json!({"serviceAccountName": name, "serviceAccount": name, "containers": [{"name": "c"}]});
        rest.as_object().expect("an object").iter().for_each(|(key, value)| spec[key] = value.clone());
        spec
    };
    check(named("off", json!({})), Ok(json!([])));
    check(named("pull", json!({})), Ok(json!([["/spec/imagePullSecrets", [{"name": "r"}]]])));
    check(named("pull", json!({"imagePullSecrets": [{"name": "own"}]})), Ok(json!([])));
    check(
        named("missing", json!({})),
        Err("error looking up service account ns/missing: serviceaccount \"missing\" not found"),
    );
    check(named("strict", json!({"volumes": [{"name": "v", "secret": {"secretName": "mine"}}]})), Ok(json!([])));
    check(
        named("strict", json!({"volumes": [{"name": "v", "secret": {"secretName": "other"}}]})),
        Err(
            "volume with secret.secretName=\"other\" is not allowed because service account strict does not reference that secret",
        ),
    );
}

#[test]
fn mirror_pods() {
    let run = |spec: Value| {
        let document = json!({"object": {"metadata": {"annotations": {"kubernetes.io/config.mirror": "h"}}, "spec": spec},
            "request": {"operation": "CREATE", "namespace": "ns"}});
        mutate(&Input::new(&project(&document, &PATHS)), &Fake(json!({}))).denied.map(|denial| denial.message)
    };
    assert_eq!(run(json!({"containers": []})), None);
    assert_eq!(
        run(json!({"serviceAccountName": "x"})).as_deref(),
        Some("a mirror pod may not reference service accounts")
    );
    assert_eq!(run(json!({"volumes": [{"secret": {}}]})).as_deref(), Some("a mirror pod may not reference secrets"));
}
