use bytes::Bytes;
use serde_json::json;

use super::{Node, workload};
use crate::runtime::{ContainerRuntime as _, RuntimeError};
use crate::wasm::image::digest;

#[tokio::test]
async fn pushed_content() {
    let bytes = Bytes::from(std::fs::read(workload("steps")).unwrap());
    let image = digest(&bytes);
    let node = Node::with_content(bytes).await;
    assert!(!node.runtime.image_present(&image).await.unwrap());
    assert_eq!(node.runtime.pull_image(&image).await.unwrap(), image);
    assert!(node.runtime.image_present(&image).await.unwrap());
    let (code, _, output) = node.run(node.config(&image, &["print", "hello"])).await;
    assert_eq!((code, output), (0, vec!["stdout hello".to_owned()]));
    // A file that does not have its digest is fetched anew.
    let cached = node.directory.path().join("wasm/images").join(format!("{}.wasm", image.replace(':', "-")));
    std::fs::write(&cached, "damaged").unwrap();
    assert_eq!(node.runtime.pull_image(&image).await.unwrap(), image);
    let other = format!("sha256:{}", "0".repeat(64));
    let error = node.runtime.pull_image(&other).await.unwrap_err().to_string();
    assert!(error.contains("not found"), "{error}");
}

#[tokio::test]
async fn image_layout() {
    let node = Node::new().await;
    let layout = node.directory.path().join("layout");
    let blobs = layout.join("blobs/sha256");
    std::fs::create_dir_all(&blobs).unwrap();
    let blob = |bytes: &[u8]| {
        std::fs::write(blobs.join(&digest(bytes)[7..]), bytes).unwrap();
        digest(bytes)
    };
    let component = std::fs::read(workload("steps")).unwrap();
    let layer = json!({"mediaType": "application/wasm", "digest": blob(&component), "size": component.len()});
    let manifest = json!({"schemaVersion": 2, "config": {}, "layers": [layer]}).to_string();
    let index = json!({"schemaVersion": 2, "manifests": [{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": blob(manifest.as_bytes()),
        "size": manifest.len(), "annotations": {"org.opencontainers.image.ref.name": "v1"},
    }]});
    std::fs::write(layout.join("index.json"), index.to_string()).unwrap();
    let image = format!("oci:{}", layout.display());
    for tag in ["", ":v1"] {
        assert_eq!(node.runtime.pull_image(&format!("{image}{tag}")).await.unwrap(), digest(&component));
    }
    let (code, _, output) = node.run(node.config(&format!("{image}:v1"), &["print", "from a layout"])).await;
    assert_eq!((code, output), (0, vec!["stdout from a layout".to_owned()]));
    let missing = node.runtime.pull_image(&format!("{image}:v2")).await.unwrap_err();
    assert!(missing.to_string().contains("has no manifest tagged v2"), "{missing}");
    std::fs::write(blobs.join(&digest(&component)[7..]), "damaged").unwrap();
    let damaged = node.runtime.pull_image(&image).await.unwrap_err();
    assert!(damaged.to_string().contains("has the digest"), "{damaged}");
}

#[tokio::test]
async fn what_cannot_run() {
    let node = Node::new().await;
    let file = |name: &str, bytes: &[u8]| {
        let path = node.directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        format!("file:{}", path.display())
    };
    let check = async |image: &str, expected: &str| {
        let error = node.refused(node.config(image, &[])).await;
        assert!(error.contains(expected), "{image}: {error}");
    };
    check(&file("text.wasm", b"no component"), "the image is no component that can run here").await;
    check(&file("module.wasm", b"\0asm\x01\0\0\0"), "the image is no component that can run here").await;
    check(&file("empty.wasm", b"\0asm\x0d\0\x01\0"), "exports neither wasi:cli/run nor").await;
    check("nginx:1.27", "couldn't parse image name").await;
    check("file:/nowhere.wasm", "/nowhere.wasm").await;
    let name = node.runtime.image_present("nginx:1.27").await.unwrap_err();
    assert!(matches!(name, RuntimeError::InvalidImageName(_)));
    assert!(!node.runtime.image_present("file:/nowhere.wasm").await.unwrap());
}
