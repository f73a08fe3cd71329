//! Where a request goes, and which server is believed to be the right one there.

use base64::Engine as _;
use portcullis_client::transport::authority;
use portcullis_machinery::{Value, object};

use super::OutboundError;

/// A server that an object names. Two that are equal share their connections.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// Where it is.
    pub place: Where,
    /// How it is known.
    pub trust: Trust,
}

/// Where a server is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Where {
    /// At a URL: `https://host:port/path`.
    Url(String),
    /// Behind a Service; see [`super::resolve`].
    Service {
        /// The Service's namespace.
        namespace: String,
        /// Its name.
        name: String,
        /// One of its ports, by number.
        port: u16,
        /// The path, with its leading slash; may be empty.
        path: String,
    },
}

/// How a server is known to be the right one, and how this one is known to it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Trust {
    /// PEM certificates, one of which the server's must be or chain to. Empty for those that the machine trusts.
    pub ca_bundle: Vec<u8>,
    /// Do not check the server's certificate at all (`insecureSkipTLSVerify` of an APIService).
    pub insecure: bool,
    /// The client certificate to show, as PEM; empty for none.
    pub certificate: Vec<u8>,
    /// Its key, as PEM.
    pub key: Vec<u8>,
}

/// The port of a Service that is meant where none is given.
const DEFAULT_PORT: i64 = 443;

impl Destination {
    /// The destination of a `clientConfig`: `{url | service: {namespace, name, path, port}, caBundle}`.
    ///
    /// # Errors
    /// [`OutboundError::Config`] if it names no place, or if its certificates are no base64.
    pub fn from_client_config(config: Option<&Value>) -> Result<Self, OutboundError> {
        let bad = |why: &str| OutboundError::Config(why.to_owned());
        let config = config.ok_or_else(|| bad("webhook configuration must have either service or URL"))?;
        let text = |path: &[&str]| object::str_at(config, path).unwrap_or_default();
        let place = match (config.get("service").filter(|service| service.is_object()), text(&["url"])) {
            (Some(service), _) => {
                let port = object::i64_at(service, &["port"]).filter(|port| *port != 0).unwrap_or(DEFAULT_PORT);
                let path = text(&["service", "path"]);
                let slash = if path.is_empty() || path.starts_with('/') { "" } else { "/" };
                Where::Service {
                    namespace: text(&["service", "namespace"]).to_owned(),
                    name: text(&["service", "name"]).to_owned(),
                    port: u16::try_from(port).map_err(|_| bad("the service's port is not a valid port number"))?,
                    path: format!("{slash}{path}"),
                }
            }
            (None, "") => return Err(bad("webhook configuration must have either service or URL")),
            (None, url) => Where::Url(url.to_owned()),
        };
        let bundle = text(&["caBundle"]);
        let ca_bundle = base64::engine::general_purpose::STANDARD
            .decode(bundle)
            .map_err(|error| bad(&format!("caBundle is not base64: {error}")))?;
        Ok(Self { place, trust: Trust { ca_bundle, ..Trust::default() } })
    }

    /// The URL that requests to it have, up to and with the path: `https://NAME.NAMESPACE.svc:443/path`.
    pub fn url(&self) -> String {
        match &self.place {
            Where::Url(url) => url.trim_end_matches('/').to_owned(),
            Where::Service { port, path, .. } => {
                format!("https://{}{path}", authority(&self.service_name().unwrap_or_default(), *port))
            }
        }
    }

    /// The name that a Service's certificate must be for.
    pub fn service_name(&self) -> Option<String> {
        match &self.place {
            Where::Url(_) => None,
            Where::Service { namespace, name, .. } => Some(format!("{name}.{namespace}.svc")),
        }
    }
}
