use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use super::*;
use crate::source::fixed::Fixed;

struct Fixture {
    root: tempfile::TempDir,
    source: Arc<Fixed>,
    volumes: Volumes,
}

fn fixture() -> Fixture {
    let root = tempfile::tempdir().unwrap();
    let source = Arc::new(Fixed::default());
    source.put("configmap", "cm", json!({"data": {"a": "1", "b": "2"}, "binaryData": {"bin": "AAEC"}}));
    source.put("secret", "s", json!({"data": {"key": "c2VjcmV0"}}));
    let volumes = Volumes::new(root.path().to_owned(), source.clone());
    Fixture { root, source, volumes }
}

fn pod(volumes: Value) -> Value {
    json!({
        "metadata": {"name": "p", "namespace": "ns", "uid": "u1", "labels": {"app": "web"}},
        "spec": {"volumes": volumes, "serviceAccountName": "sa",
            "containers": [{"name": "c", "resources": {"limits": {"memory": "1Mi"}}}]},
    })
}

/// The names, contents and modes of the files that one volume has.
async fn check(fixture: &Fixture, volume: Value, expected: Result<&[(&str, &str, u32)], &str>) {
    let mut volume = volume;
    volume["name"] = "v".into();
    let found = fixture.volumes.set_up(&PodFacts::default(), &pod(json!([volume]))).await;
    match expected {
        Ok(expected) => {
            let path = found.unwrap_or_else(|error| panic!("{volume}: {error}"))["v"].clone();
            assert!(path.starts_with(fixture.root.path().join("pods/u1/volumes")), "{}", path.display());
            for (name, content, mode) in expected {
                let file = path.join(name);
                assert_eq!(std::fs::read_to_string(&file).unwrap(), *content, "{volume}: {name}");
                let found = std::fs::metadata(&file).unwrap().permissions().mode() & 0o7777;
                assert_eq!(found, *mode, "{volume}: mode of {name}: {found:o}");
            }
            let names = std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name());
            let visible = names.filter(|name| !name.to_string_lossy().starts_with("..")).count();
            let tops: std::collections::BTreeSet<_> =
                expected.iter().map(|(name, ..)| name.split('/').next()).collect();
            assert_eq!(visible, tops.len(), "{volume}");
        }
        Err(expected) => {
            let message = format!("MountVolume.SetUp failed for volume \"v\" : {expected}");
            assert_eq!(found.map_err(|error| error.to_string()), Err(message), "{volume}");
        }
    }
}

#[tokio::test]
async fn volumes_hold_what_their_objects_hold() {
    let f = fixture();
    let all: &[_] = &[("a", "1", 0o644), ("b", "2", 0o644), ("bin", "\u{0}\u{1}\u{2}", 0o644)];
    check(&f, json!({"configMap": {"name": "cm"}}), Ok(all)).await;
    let items = json!([{"key": "a", "path": "x/y", "mode": 0o400}, {"key": "b", "path": "z"}]);
    let some: &[_] = &[("x/y", "1", 0o400), ("z", "2", 0o600)];
    check(&f, json!({"configMap": {"name": "cm", "items": items, "defaultMode": 0o600}}), Ok(some)).await;
    check(&f, json!({"secret": {"secretName": "s"}}), Ok(&[("key", "secret", 0o644)])).await;
    check(&f, json!({"configMap": {"name": "no"}}), Err("configmap \"no\" not found")).await;
    check(&f, json!({"secret": {"secretName": "no"}}), Err("secret \"no\" not found")).await;
    check(&f, json!({"secret": {"secretName": "no", "optional": true}}), Ok(&[])).await;
    let missing = |kind: &str, name: &str, optional: bool| {
        let field = if kind == "secret" { "secretName" } else { "name" };
        json!({kind: {field: name, "optional": optional, "items": [{"key": "z", "path": "z"}]}})
    };
    let why = "configmap references non-existent config key: z";
    check(&f, missing("configMap", "cm", false), Err(why)).await;
    check(&f, missing("secret", "s", false), Err("references non-existent secret key: z")).await;
    check(&f, missing("secret", "s", true), Ok(&[])).await;
    let out = json!({"configMap": {"name": "cm", "items": [{"key": "a", "path": "../a"}]}});
    check(&f, out, Err("invalid path: must not contain '..': ../a")).await;
    let nfs = "volume type \"nfs\" is not supported by this kubelet";
    check(&f, json!({"nfs": {"server": "s", "path": "/"}}), Err(nfs)).await;
    *f.source.failure.lock() = Some("the server is away".into());
    check(&f, json!({"configMap": {"name": "cm"}}), Err("the server is away")).await;
}

#[tokio::test]
async fn projected_volumes_hold_all_their_sources() {
    let f = fixture();
    let items = json!([{"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
        {"path": "mem", "mode": 0o440, "resourceFieldRef": {"containerName": "c", "resource": "limits.memory"}}]);
    let sources = json!([
        {"serviceAccountToken": {"path": "token", "expirationSeconds": 3607}},
        {"configMap": {"name": "cm", "items": [{"key": "a", "path": "ca.crt"}]}},
        {"secret": {"name": "s"}},
        {"downwardAPI": {"items": items}},
    ]);
    let files: &[_] = &[
        ("ca.crt", "1", 0o640),
        ("key", "secret", 0o640),
        ("labels", "app=\"web\"", 0o640),
        ("mem", "1048576", 0o440),
        ("token", "ns/sa#1", 0o640),
    ];
    check(&f, json!({"projected": {"sources": sources, "defaultMode": 0o640}}), Ok(files)).await;
    assert_eq!(f.source.requests.lock()[0]["spec"]["boundObjectRef"]["uid"], "u1");
    let broken = json!([{"configMap": {"name": "x"}}, {"secret": {"name": "y"}}]);
    let both = "[configmap \"x\" not found, secret \"y\" not found]";
    check(&f, json!({"projected": {"sources": broken}}), Err(both)).await;
    let bundle = json!([{"clusterTrustBundle": {"path": "x"}}]);
    let why = "volume type \"projected clusterTrustBundle\" is not supported by this kubelet";
    check(&f, json!({"projected": {"sources": bundle}}), Err(why)).await;
}

#[tokio::test]
async fn changes_reach_the_files_and_nothing_is_left_after_the_pod() {
    let f = fixture();
    let host = f.root.path().join("host/dir");
    let pod = pod(json!([
        {"name": "v", "configMap": {"name": "cm"}},
        {"name": "empty", "emptyDir": {}},
        {"name": "host", "hostPath": {"path": host, "type": "DirectoryOrCreate"}},
        {"name": "no", "configMap": {"name": "no"}},
    ]));
    let facts = PodFacts::default();
    let error = f.volumes.set_up(&facts, &pod).await.unwrap_err();
    assert_eq!(error.volume, "no");
    f.source.put("configmap", "no", json!({"data": {}}));
    let ready = f.volumes.set_up(&facts, &pod).await.unwrap();
    assert_eq!(ready.len(), 4);
    assert_eq!(ready["host"], host);
    let mode = std::fs::metadata(&ready["empty"]).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o777);
    std::fs::write(ready["empty"].join("kept"), "x").unwrap();
    std::fs::write(host.join("kept"), "x").unwrap();

    assert!(!f.volumes.refresh(&facts, &pod).await.unwrap());
    f.source.put("configmap", "cm", json!({"data": {"a": "new"}}));
    assert!(f.volumes.refresh(&facts, &pod).await.unwrap());
    assert_eq!(std::fs::read_to_string(ready["v"].join("a")).unwrap(), "new");
    assert!(!ready["v"].join("b").exists());
    f.volumes.set_up(&facts, &pod).await.unwrap();
    assert!(ready["empty"].join("kept").exists());

    f.volumes.tear_down("u1").await.unwrap();
    assert!(!ready["v"].exists() && !ready["empty"].exists());
    assert!(host.join("kept").exists());
    for uid in ["u1", "other", "../host", ""] {
        f.volumes.tear_down(uid).await.unwrap();
    }
    assert!(host.join("kept").exists());
}

#[tokio::test]
async fn host_paths_are_what_they_are_said_to_be() {
    let f = fixture();
    let file = f.root.path().join("file");
    std::fs::write(&file, "x").unwrap();
    let text = |path: &Path| path.display().to_string();
    let check = async |path: &str, kind: &str, expected: Result<(), String>| {
        let volumes = json!([{"name": "v", "hostPath": {"path": path, "type": kind}}]);
        let found = f.volumes.set_up(&PodFacts::default(), &pod(volumes)).await;
        let expected = expected
            .map_err(|why| format!("MountVolume.SetUp failed for volume \"v\" : hostPath type check failed: {why}"));
        assert_eq!(found.map(drop).map_err(|error| error.to_string()), expected, "{path} {kind}");
    };
    let (path, missing, made) = (text(&file), text(&f.root.path().join("none")), text(&f.root.path().join("made")));
    check(&missing, "", Ok(())).await;
    check(&path, "File", Ok(())).await;
    check(&path, "Directory", Err(format!("{path} is not a directory"))).await;
    check(&missing, "File", Err(format!("{missing} is not a file"))).await;
    check(&path, "Socket", Err(format!("{path} is not a socket file"))).await;
    check("/dev/null", "CharDevice", Ok(())).await;
    check(&made, "FileOrCreate", Ok(())).await;
    check(&made, "DirectoryOrCreate", Err(format!("{made} is not a directory"))).await;
    check("/a/../b", "", Err("/a/../b is not an absolute path without '..'".into())).await;
}
