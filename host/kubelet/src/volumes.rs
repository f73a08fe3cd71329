//! A pod's volumes: directories below the kubelet's own, filled with what the pod's objects hold, and kept up to date.
//!
//! The layout is the kubelet's, `ROOT/pods/UID/volumes/kubernetes.io~TYPE/NAME`. Volumes made of API objects are written
//! by [`atomic`], so that a reader sees all files of one version or all of another. Whatever is written goes through a
//! directory handle of cap-std: no name that an object contains leads out of its volume.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, Permissions, PermissionsExt as _};
use portcullis_client::ObjectExt as _;
use portcullis_machinery::Value;

use crate::facts::PodFacts;
use crate::fields::FieldError;
use crate::source::ObjectSource;

mod atomic;
mod host_path;
mod payload;
mod subpath;
mod token;

pub use self::subpath::subpath;
use self::token::TokenCache;

/// A volume that could not be made ready; the text is the message of a `FailedMount` event.
#[derive(Debug, thiserror::Error)]
#[error("MountVolume.SetUp failed for volume {volume:?} : {problem}")]
pub struct VolumeError {
    /// The volume's name in its pod.
    pub volume: String,
    /// What is wrong.
    pub problem: VolumeProblem,
}

/// Why a volume cannot be made ready.
#[derive(Debug, thiserror::Error)]
pub enum VolumeProblem {
    /// A ConfigMap or Secret that is not optional is not there.
    #[error("{kind} {name:?} not found")]
    NotFound {
        /// `configmap` or `secret`.
        kind: &'static str,
        /// Its name.
        name: String,
    },
    /// `items` names a key that the object has not got.
    #[error("{}", missing_key(kind, key))]
    MissingKey {
        /// `configmap` or `secret`.
        kind: &'static str,
        /// The key.
        key: String,
    },
    /// A field of the pod has no text.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A file's path is not one inside the volume.
    #[error("invalid path: {0}")]
    Path(String),
    /// No token could be had.
    #[error("failed to fetch token: {0}")]
    Token(String),
    /// The API server did not say.
    #[error("{0}")]
    Source(String),
    /// The host's path is not what the pod says it is.
    #[error("hostPath type check failed: {0}")]
    HostPath(String),
    /// This kubelet has no such volumes.
    #[error("volume type {0:?} is not supported by this kubelet")]
    Unsupported(String),
    /// Several sources of one volume have problems.
    #[error("[{}]", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))]
    Several(Vec<VolumeProblem>),
    /// The host failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

fn missing_key(kind: &str, key: &str) -> String {
    match kind {
        "configmap" => format!("configmap references non-existent config key: {key}"),
        _ => format!("references non-existent secret key: {key}"),
    }
}

/// The volumes of a node's pods.
pub struct Volumes {
    root: PathBuf,
    source: Arc<dyn ObjectSource>,
    tokens: TokenCache,
}

impl Volumes {
    /// Volumes below `root` (the kubelet's own directory), filled from `source`.
    pub fn new(root: PathBuf, source: Arc<dyn ObjectSource>) -> Self {
        Self { root, source, tokens: TokenCache::default() }
    }

    /// Makes all volumes of a pod ready: where each is on the host, by its name. Volumes that are ready already are
    /// brought up to date, so this may be called again whenever the pod is looked at.
    ///
    /// # Errors
    /// The first volume that could not be made ready; the others were.
    pub async fn set_up(&self, facts: &PodFacts, pod: &Value) -> Result<HashMap<String, PathBuf>, VolumeError> {
        let mut ready = HashMap::new();
        let mut failed = None;
        for volume in pod.list_at(&["spec", "volumes"]) {
            let name = volume.str_at(&["name"]);
            match self.set_up_one(facts, pod, volume).await {
                Ok((path, _)) => {
                    ready.insert(name.to_owned(), path);
                }
                Err(problem) => {
                    failed.get_or_insert(VolumeError { volume: name.to_owned(), problem });
                }
            }
        }
        failed.map_or(Ok(ready), Err)
    }

    /// Brings the volumes made of API objects up to date: whether any of them changed. To be called about once a minute
    /// for each running pod, which also renews tokens in time.
    ///
    /// # Errors
    /// The first volume that could not be brought up to date; it keeps what it held.
    pub async fn refresh(&self, facts: &PodFacts, pod: &Value) -> Result<bool, VolumeError> {
        let mut changed = false;
        let mut failed = None;
        for volume in pod.list_at(&["spec", "volumes"]) {
            if !payload::TYPES.contains(&volume_type(volume)) {
                continue;
            }
            match self.set_up_one(facts, pod, volume).await {
                Ok((_, written)) => changed |= written,
                Err(problem) => {
                    let volume = volume.str_at(&["name"]).to_owned();
                    failed.get_or_insert(VolumeError { volume, problem });
                }
            }
        }
        failed.map_or(Ok(changed), Err)
    }

    /// Removes all that a pod's volumes held. What lies behind a `hostPath` is not the pod's and stays.
    ///
    /// # Errors
    /// If the files cannot be removed.
    pub async fn tear_down(&self, pod_uid: &str) -> io::Result<()> {
        self.tokens.forget(pod_uid);
        let Some(uid) = component(pod_uid) else { return Ok(()) };
        let pods = self.root.join("pods");
        let removed = tokio::task::spawn_blocking(move || {
            let pods = Dir::open_ambient_dir(pods, ambient_authority())?;
            let removed = pods.open_dir(&uid)?.remove_dir_all("volumes");
            // The pod's own directory goes with its last content, which need not be the volumes.
            let _ = pods.remove_dir(&uid);
            removed
        });
        match removed.await.map_err(io::Error::other)? {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        }
    }

    /// The directory of a pod; the agent keeps other things of the pod there too.
    pub fn pod_directory(&self, pod_uid: &str) -> PathBuf {
        self.root.join("pods").join(pod_uid)
    }

    async fn set_up_one(
        &self,
        facts: &PodFacts,
        pod: &Value,
        volume: &Value,
    ) -> Result<(PathBuf, bool), VolumeProblem> {
        let name = volume.str_at(&["name"]);
        let kind = volume_type(volume);
        let directory = |plugin: &str| -> Result<PathBuf, VolumeProblem> {
            let bad = || VolumeProblem::Path(format!("{name:?} cannot name a directory"));
            let uid = component(pod.uid()).ok_or_else(bad)?;
            let name = component(name).ok_or_else(bad)?;
            Ok(self.root.join("pods").join(uid).join("volumes").join(format!("kubernetes.io~{plugin}")).join(name))
        };
        match kind {
            "hostPath" => Ok((host_path::check(&volume["hostPath"])?, false)),
            "emptyDir" => {
                let path = directory("empty-dir")?;
                make(&path, 0o777)?;
                Ok((path, false))
            }
            _ if payload::TYPES.contains(&kind) => {
                let files = payload::collect(self.source.as_ref(), &self.tokens, facts, pod, volume).await?;
                let path = directory(payload::plugin(kind))?;
                let target = path.clone();
                let written = tokio::task::spawn_blocking(move || {
                    make(&target, 0o755)?;
                    let directory = Dir::open_ambient_dir(&target, ambient_authority())?;
                    atomic::write(&directory, &files)
                });
                let written = written.await.map_err(io::Error::other)??;
                Ok((path, written))
            }
            other => Err(VolumeProblem::Unsupported(other.to_owned())),
        }
    }
}

/// The field of a volume that says what it is made of.
fn volume_type(volume: &Value) -> &str {
    let Some(fields) = volume.as_object() else { return "" };
    // The server turns a volume that says nothing into an emptyDir, as do we.
    fields.keys().map(String::as_str).find(|key| *key != "name").unwrap_or("emptyDir")
}

/// A name that is one component of a path.
fn component(name: &str) -> Option<String> {
    let fits = !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0']);
    fits.then(|| name.to_owned())
}

/// Makes a directory with those above it, and gives it its mode whatever the process's umask is.
fn make(path: &Path, mode: u32) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::Error::other(format!("{} is no directory's name", path.display())));
    };
    Dir::create_ambient_dir_all(parent, ambient_authority())?;
    let parent = Dir::open_ambient_dir(parent, ambient_authority())?;
    match parent.create_dir(name) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    parent.set_permissions(name, Permissions::from_mode(mode))
}

#[cfg(test)]
mod tests;
