//! Where the API server is and who we are to it: kubeconfig files and the in-cluster environment.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use serde::Deserialize;

use crate::error::ClientError;

#[cfg(test)]
mod tests;

/// A bearer token, given or in a file that is read again when it changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Token {
    /// No token.
    #[default]
    None,
    /// A fixed token.
    Fixed(String),
    /// A file that somebody rotates.
    File(PathBuf),
}

/// All that an HTTPS transport needs to know.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientConfig {
    /// `https://127.0.0.1:6443`.
    pub server: String,
    /// PEM certificates that the server's must chain to; empty to use none but the ones given (never the system's).
    pub ca: Vec<u8>,
    /// The name to expect in the server's certificate, if not the host in `server`.
    pub tls_server_name: Option<String>,
    /// Do not check the server's certificate at all.
    pub insecure_skip_tls_verify: bool,
    /// Our certificate chain as PEM.
    pub client_certificate: Vec<u8>,
    /// Its private key as PEM.
    pub client_key: Vec<u8>,
    /// Our bearer token.
    pub token: Token,
    /// The namespace of the context.
    pub namespace: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Kubeconfig {
    #[serde(default)]
    clusters: Vec<Named<Cluster>>,
    #[serde(default)]
    users: Vec<Named<User>>,
    #[serde(default)]
    contexts: Vec<Named<KubeContext>>,
    #[serde(default)]
    current_context: String,
}

/// The file's lists are of `{name, cluster}`, `{name, user}` and `{name, context}`.
#[derive(Deserialize)]
struct Named<T> {
    name: String,
    #[serde(alias = "cluster", alias = "user", alias = "context")]
    value: Option<T>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct Cluster {
    server: String,
    certificate_authority: Option<PathBuf>,
    certificate_authority_data: Option<String>,
    tls_server_name: Option<String>,
    insecure_skip_tls_verify: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
struct User {
    client_certificate: Option<PathBuf>,
    client_certificate_data: Option<String>,
    client_key: Option<PathBuf>,
    client_key_data: Option<String>,
    token: Option<String>,
    #[serde(rename = "tokenFile")]
    token_file: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct KubeContext {
    cluster: String,
    user: String,
    namespace: Option<String>,
}

fn config(message: impl Into<String>) -> ClientError {
    ClientError::Config(message.into())
}

/// Embedded data wins over a file, as in the reference's client.
fn data_or_file(data: Option<&String>, file: Option<&PathBuf>, base: &Path) -> Result<Vec<u8>, ClientError> {
    if let Some(text) = data.filter(|text| !text.is_empty()) {
        return base64::engine::general_purpose::STANDARD
            .decode(text.trim())
            .map_err(|error| config(format!("embedded certificate data is not base64: {error}")));
    }
    match file.filter(|file| !file.as_os_str().is_empty()) {
        None => Ok(Vec::new()),
        Some(file) => {
            let path = base.join(file);
            std::fs::read(&path).map_err(|error| config(format!("{}: {error}", path.display())))
        }
    }
}

fn find<T: Default>(list: Vec<Named<T>>, kind: &str, name: &str) -> Result<T, ClientError> {
    list.into_iter()
        .find(|entry| entry.name == name)
        .map(|entry| entry.value.unwrap_or_default())
        .ok_or_else(|| config(format!("the kubeconfig has no {kind} {name:?}")))
}

impl ClientConfig {
    /// Reads a kubeconfig file's current context. Relative paths in it are relative to its folder.
    pub fn from_kubeconfig(path: &Path) -> Result<Self, ClientError> {
        let text = std::fs::read_to_string(path).map_err(|error| config(format!("{}: {error}", path.display())))?;
        let base = path.parent().unwrap_or(Path::new("."));
        Self::from_text(&text, base).map_err(|error| match error {
            ClientError::Config(message) => config(format!("{}: {message}", path.display())),
            other => other,
        })
    }

    /// Reads a kubeconfig text; relative paths in it are relative to `base`.
    pub fn from_text(text: &str, base: &Path) -> Result<Self, ClientError> {
        let file: Kubeconfig =
            serde_saphyr::from_str(text).map_err(|error| config(format!("not a kubeconfig: {error}")))?;
        let context = find(file.contexts, "context", &file.current_context)?;
        let cluster = find(file.clusters, "cluster", &context.cluster)?;
        let user = if context.user.is_empty() { User::default() } else { find(file.users, "user", &context.user)? };
        if cluster.server.is_empty() {
            return Err(config(format!("the cluster {:?} has no server", context.cluster)));
        }
        // A tokenFile wins over a token, as in the reference's client.
        let token = match (user.token_file, user.token) {
            (Some(file), _) if !file.as_os_str().is_empty() => Token::File(base.join(file)),
            (_, Some(token)) if !token.is_empty() => Token::Fixed(token),
            _ => Token::None,
        };
        Ok(Self {
            server: cluster.server,
            ca: data_or_file(
                cluster.certificate_authority_data.as_ref(),
                cluster.certificate_authority.as_ref(),
                base,
            )?,
            tls_server_name: cluster.tls_server_name.filter(|name| !name.is_empty()),
            insecure_skip_tls_verify: cluster.insecure_skip_tls_verify,
            client_certificate: data_or_file(
                user.client_certificate_data.as_ref(),
                user.client_certificate.as_ref(),
                base,
            )?,
            client_key: data_or_file(user.client_key_data.as_ref(), user.client_key.as_ref(), base)?,
            token,
            namespace: context.namespace,
        })
    }

    /// The API server as a pod sees it: the `KUBERNETES_SERVICE_*` variables and the mounted ServiceAccount volume.
    pub fn in_cluster() -> Result<Self, ClientError> {
        let folder = Path::new("/var/run/secrets/kubernetes.io/serviceaccount");
        let variable = |name: &str| std::env::var(name).map_err(|_| config(format!("{name} is not set: not in a pod")));
        let (host, port) = (variable("KUBERNETES_SERVICE_HOST")?, variable("KUBERNETES_SERVICE_PORT")?);
        let host = if host.contains(':') { format!("[{host}]") } else { host };
        let ca = folder.join("ca.crt");
        Ok(Self {
            server: format!("https://{host}:{port}"),
            ca: std::fs::read(&ca).map_err(|error| config(format!("{}: {error}", ca.display())))?,
            token: Token::File(folder.join("token")),
            namespace: std::fs::read_to_string(folder.join("namespace")).ok().map(|text| text.trim().to_owned()),
            ..Self::default()
        })
    }
}
