//! Where components come from: a file, content pushed to the cluster, or an OCI image layout.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::runtime::RuntimeError;

/// Where pushed content comes from: the API server, for a kubelet.
#[async_trait]
pub trait ContentSource: Send + Sync + 'static {
    /// The content with this digest (`sha256:<hex>`).
    ///
    /// # Errors
    /// A sentence that says why it cannot be had.
    async fn fetch(&self, digest: &str) -> Result<Bytes, String>;
}

/// A component's bytes and their digest.
#[derive(Clone, Debug)]
pub(super) struct Image {
    /// `sha256:<hex>` of the bytes.
    pub digest: String,
    /// The component.
    pub bytes: Bytes,
}

/// The images of a node: content by digest, in a directory.
pub(super) struct ImageStore {
    directory: PathBuf,
    content: Arc<dyn ContentSource>,
}

/// An image's name, taken apart.
#[derive(Debug, PartialEq, Eq)]
enum Reference {
    File(PathBuf),
    Digest(String),
    Layout { path: PathBuf, tag: Option<String> },
}

impl Reference {
    fn parse(image: &str) -> Result<Self, RuntimeError> {
        let invalid = || RuntimeError::InvalidImageName(image.to_owned());
        let absolute = |path: &str| {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.starts_with('/') { Ok(PathBuf::from(path)) } else { Err(invalid()) }
        };
        if let Some(path) = image.strip_prefix("file:") {
            Ok(Self::File(absolute(path)?))
        } else if let Some(rest) = image.strip_prefix("oci:") {
            match rest.rsplit_once(':') {
                Some((path, tag)) if !tag.contains('/') => {
                    Ok(Self::Layout { path: absolute(path)?, tag: Some(tag.to_owned()) })
                }
                _ => Ok(Self::Layout { path: absolute(rest)?, tag: None }),
            }
        } else if let Some(digits) = image.strip_prefix("sha256:") {
            let hex = digits.len() == 64 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
            if hex { Ok(Self::Digest(image.to_owned())) } else { Err(invalid()) }
        } else {
            Err(invalid())
        }
    }
}

/// The digest of some content, `sha256:<hex>`.
pub(super) fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

impl ImageStore {
    pub(super) fn new(directory: PathBuf, content: Arc<dyn ContentSource>) -> Result<Self, RuntimeError> {
        std::fs::create_dir_all(&directory)?;
        Ok(Self { directory, content })
    }

    fn cached(&self, digest: &str) -> PathBuf {
        self.directory.join(digest.replace(':', "-")).with_extension("wasm")
    }

    /// Whether the image is here already.
    pub(super) async fn present(&self, image: &str) -> Result<bool, RuntimeError> {
        Ok(match Reference::parse(image)? {
            Reference::File(path) | Reference::Layout { path, .. } => tokio::fs::try_exists(path).await?,
            Reference::Digest(digest) => tokio::fs::try_exists(self.cached(&digest)).await?,
        })
    }

    /// Makes the image present and returns it.
    pub(super) async fn pull(&self, image: &str) -> Result<Image, RuntimeError> {
        let failed = |message: String| RuntimeError::Pull { image: image.to_owned(), message };
        match Reference::parse(image)? {
            Reference::File(path) => {
                let bytes = read(&path).await.map_err(failed)?;
                Ok(Image { digest: digest(&bytes), bytes })
            }
            Reference::Layout { path, tag } => {
                let bytes = read_layout(&path, tag.as_deref()).await.map_err(failed)?;
                Ok(Image { digest: digest(&bytes), bytes })
            }
            Reference::Digest(wanted) => {
                if let Some(image) = self.from_cache(&wanted).await? {
                    return Ok(image);
                }
                let bytes = self.content.fetch(&wanted).await.map_err(failed)?;
                if digest(&bytes) != wanted {
                    return Err(failed(format!("the content has the digest {}", digest(&bytes))));
                }
                let path = self.cached(&wanted);
                let partial = path.with_extension("partial");
                tokio::fs::write(&partial, &bytes).await?;
                tokio::fs::rename(&partial, &path).await?;
                Ok(Image { digest: wanted, bytes })
            }
        }
    }

    async fn from_cache(&self, wanted: &str) -> Result<Option<Image>, RuntimeError> {
        match tokio::fs::read(self.cached(wanted)).await {
            // A file that does not have its digest is one that a crash or a hand has damaged: it is fetched anew.
            Ok(bytes) if digest(&bytes) == wanted => Ok(Some(Image { digest: wanted.to_owned(), bytes: bytes.into() })),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The image, which [`Self::pull`] made present before.
    pub(super) async fn get(&self, image: &str) -> Result<Image, RuntimeError> {
        self.pull(image).await
    }
}

async fn read(path: &Path) -> Result<Bytes, String> {
    tokio::fs::read(path).await.map(Bytes::from).map_err(|error| format!("{}: {error}", path.display()))
}

/// An OCI descriptor, as far as it is needed (OCI image specification 1.1).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    #[serde(default)]
    annotations: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct Index {
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Manifest {
    layers: Vec<Descriptor>,
}

/// Media types under which registries keep components.
const WASM_MEDIA_TYPES: [&str; 3] = [
    "application/wasm",
    "application/vnd.wasm.content.layer.v1+wasm",
    "application/vnd.module.wasm.content.layer.v1+wasm",
];

async fn read_layout(path: &Path, tag: Option<&str>) -> Result<Bytes, String> {
    let parse_error = |what: &str, error: serde_json::Error| format!("{what} of the image layout: {error}");
    let index: Index =
        serde_json::from_slice(&read(&path.join("index.json")).await?).map_err(|e| parse_error("index.json", e))?;
    let wanted = |descriptor: &&Descriptor| {
        tag.is_none_or(|tag| {
            descriptor.annotations.get("org.opencontainers.image.ref.name").is_some_and(|name| name == tag)
        })
    };
    let manifest = index.manifests.iter().find(wanted).ok_or_else(|| {
        format!("{} has no manifest{}", path.display(), tag.map(|t| format!(" tagged {t}")).unwrap_or_default())
    })?;
    let manifest: Manifest =
        serde_json::from_slice(&blob(path, &manifest.digest).await?).map_err(|e| parse_error("the manifest", e))?;
    let layer = manifest
        .layers
        .iter()
        .find(|layer| WASM_MEDIA_TYPES.contains(&layer.media_type.as_str()))
        .ok_or("the image has no layer of the media type application/wasm")?;
    blob(path, &layer.digest).await
}

async fn blob(layout: &Path, wanted: &str) -> Result<Bytes, String> {
    let hex = wanted.strip_prefix("sha256:").filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
    let hex = hex.ok_or_else(|| format!("the digest {wanted:?} is not a sha256 digest"))?;
    let bytes = read(&layout.join("blobs/sha256").join(hex)).await?;
    if digest(&bytes) != wanted {
        return Err(format!("blob {wanted} has the digest {}", digest(&bytes)));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::Reference;

    #[test]
    fn names() {
        let check = |image: &str, expected: Option<Reference>| {
            assert_eq!(Reference::parse(image).ok(), expected, "{image}");
        };
        check("file:/a/b.wasm", Some(Reference::File("/a/b.wasm".into())));
        check("file:///a/b.wasm", Some(Reference::File("/a/b.wasm".into())));
        check("oci:/layouts/x:v1", Some(Reference::Layout { path: "/layouts/x".into(), tag: Some("v1".into()) }));
        check("oci:/layouts/x", Some(Reference::Layout { path: "/layouts/x".into(), tag: None }));
        check("file:relative.wasm", None);
        check("nginx:1.27", None);
        check("sha256:abc", None);
        let digest = format!("sha256:{}", "0a".repeat(32));
        check(&digest, Some(Reference::Digest(digest.clone())));
    }
}
