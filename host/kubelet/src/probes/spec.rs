//! What a probe is to do, read from a container, and what it is done to.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use portcullis_client::ObjectExt as _;
use portcullis_machinery::Value;

/// Which of a container's probes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// Whether the application has started.
    Startup,
    /// Whether it is to be restarted.
    Liveness,
    /// Whether it takes requests.
    Readiness,
}

impl ProbeKind {
    /// The container's field.
    pub fn field(self) -> &'static str {
        match self {
            Self::Startup => "startupProbe",
            Self::Liveness => "livenessProbe",
            Self::Readiness => "readinessProbe",
        }
    }
}

impl fmt::Display for ProbeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// Why a probe cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeSpecError {
    /// It has no action that this kubelet knows.
    #[error("missing probe handler")]
    NoHandler,
}

/// A port by its number or by its name in the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Port {
    /// The number as written; it may be out of range.
    Number(i64),
    /// The name.
    Name(String),
}

impl Port {
    fn read(value: Option<&Value>) -> Self {
        match value {
            Some(Value::String(text)) => text.parse().map_or_else(|_| Self::Name(text.clone()), Self::Number),
            Some(value) => Self::Number(value.as_i64().unwrap_or(0)),
            None => Self::Number(0),
        }
    }
}

/// An `httpGet` action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpGet {
    /// The host; empty for the pod's address.
    pub host: String,
    /// The port.
    pub port: Port,
    /// The path, which may have a query.
    pub path: String,
    /// Whether to speak TLS (no certificate is checked).
    pub tls: bool,
    /// Headers, in order; a name may come more than once.
    pub headers: Vec<(String, String)>,
}

/// What an attempt does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A GET that is to be answered with a code of 200 to 399.
    HttpGet(HttpGet),
    /// A connection that is to be made.
    TcpSocket {
        /// The host; empty for the pod's address.
        host: String,
        /// The port.
        port: Port,
    },
    /// A health check of gRPC that is to be answered with `SERVING`.
    Grpc {
        /// The port.
        port: u16,
        /// The service to ask for; empty for the server as a whole.
        service: String,
    },
    /// A command in the container that is to end with code 0.
    Exec {
        /// The command with its arguments.
        command: Vec<String>,
    },
}

/// A probe as a container's spec says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeSpec {
    /// What an attempt does.
    pub action: Action,
    /// How long after the container's start the first attempt is made.
    pub initial_delay: Duration,
    /// The time between attempts.
    pub period: Duration,
    /// How long an attempt may take.
    pub timeout: Duration,
    /// How many attempts in a row have to succeed.
    pub success_threshold: u32,
    /// How many attempts in a row have to fail.
    pub failure_threshold: u32,
}

impl ProbeSpec {
    /// Reads a probe; what it does not say is as the API server would have filled it in.
    ///
    /// # Errors
    /// If the probe has no action.
    pub fn parse(probe: &Value) -> Result<Self, ProbeSpecError> {
        let of = |kind: &str| probe.get(kind).filter(|given| !given.is_null());
        let text = |value: &Value, field: &str| value.str_at(&[field]).to_owned();
        let action = if let Some(get) = of("httpGet") {
            let header = |header: &Value| (text(header, "name"), text(header, "value"));
            Action::HttpGet(HttpGet {
                host: text(get, "host"),
                port: Port::read(get.get("port")),
                path: text(get, "path"),
                tls: get.str_at(&["scheme"]).eq_ignore_ascii_case("HTTPS"),
                headers: get.list_at(&["httpHeaders"]).iter().map(header).collect(),
            })
        } else if let Some(socket) = of("tcpSocket") {
            Action::TcpSocket { host: text(socket, "host"), port: Port::read(socket.get("port")) }
        } else if let Some(grpc) = of("grpc") {
            let port = grpc.int_at(&["port"]).and_then(|port| u16::try_from(port).ok()).unwrap_or(0);
            Action::Grpc { port, service: text(grpc, "service") }
        } else if let Some(exec) = of("exec") {
            let command = exec.list_at(&["command"]).iter().filter_map(|word| Some(word.as_str()?.to_owned()));
            Action::Exec { command: command.collect() }
        } else {
            return Err(ProbeSpecError::NoHandler);
        };
        let number = |field: &str, default: u32| {
            probe
                .int_at(&[field])
                .and_then(|given| u32::try_from(given).ok())
                .filter(|given| *given > 0)
                .unwrap_or(default)
        };
        let seconds = |field: &str, default: u32| Duration::from_secs(number(field, default).into());
        Ok(Self {
            action,
            initial_delay: seconds("initialDelaySeconds", 0),
            period: seconds("periodSeconds", 10),
            timeout: seconds("timeoutSeconds", 1),
            success_threshold: number("successThreshold", 1),
            failure_threshold: number("failureThreshold", 3),
        })
    }
}

/// How a command in a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecOutput {
    /// Its exit code.
    pub exit_code: i32,
    /// What it wrote to both streams.
    pub output: String,
}

/// Runs a command in the container, for no longer than the duration; `Err` if it could not be run.
pub type ExecFn = Arc<dyn Fn(Vec<String>, Duration) -> BoxFuture<'static, Result<ExecOutput, String>> + Send + Sync>;

/// The container that is probed.
#[derive(Clone)]
pub struct ProbeTarget {
    /// The pod's address.
    pub ip: IpAddr,
    /// The container's named ports.
    pub ports: Vec<(String, u16)>,
    /// When the container started.
    pub started_at: Timestamp,
    /// Runs commands in it; `None` if its runtime cannot.
    pub exec: Option<ExecFn>,
}

impl ProbeTarget {
    /// A container that started now, without a way to run commands.
    pub fn new(ip: IpAddr, container: &Value) -> Self {
        let port = |port: &Value| {
            let number = u16::try_from(port.int_at(&["containerPort"])?).ok()?;
            Some((port.str_at(&["name"]).to_owned(), number)).filter(|(name, _)| !name.is_empty())
        };
        let ports = container.list_at(&["ports"]).iter().filter_map(port).collect();
        Self { ip, ports, started_at: Timestamp::now(), exec: None }
    }

    pub(super) fn port(&self, port: &Port) -> Result<u16, String> {
        match port {
            Port::Number(number) => u16::try_from(*number)
                .ok()
                .filter(|number| *number > 0)
                .ok_or_else(|| format!("invalid port number: {number}")),
            Port::Name(name) => self
                .ports
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, number)| *number)
                .ok_or_else(|| format!("couldn't extract port: {name} is no port of the container")),
        }
    }

    pub(super) fn host(&self, given: &str) -> String {
        if given.is_empty() { self.ip.to_string() } else { given.to_owned() }
    }
}
