//! The Plugin resource as data.

use std::time::Duration;

use portcullis_machinery::{Value, quantity::Quantity};
use portcullis_policy::{Grants, Limits, Stage};
use serde::{Deserialize, Serialize};

use crate::mode::Mode;
use crate::rollout::spec::RolloutSpec;

/// The API group of the Plugin resource.
pub const GROUP: &str = "plugins.portcullis.dev";

/// Why a Plugin object cannot be used, in words for its status.
#[derive(Debug, thiserror::Error)]
pub enum SpecError {
    /// The object does not have the shape of a Plugin.
    #[error("the Plugin object cannot be read: {0}")]
    Shape(#[from] serde_json::Error),
    /// A field has a value that is not allowed.
    #[error("{field}: {message}")]
    Field {
        /// The field, `spec.limits.memory`.
        field: &'static str,
        /// What to change.
        message: String,
    },
}

/// A Plugin's `spec`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PluginSpec {
    /// The stage that the component serves.
    pub stage: Stage,
    /// Where the component's bytes are.
    pub source: Source,
    /// Handed to the component's `configure` as JSON text; any JSON.
    #[serde(default)]
    pub config: Value,
    /// Which requests the plugin sees.
    #[serde(default, rename = "match")]
    pub matching: MatchSpec,
    /// Plugins of a stage run by ascending order, then by name.
    #[serde(default)]
    pub order: i32,
    /// What happens to a request when the component fails (and not when it refuses).
    #[serde(default)]
    pub failure_policy: FailurePolicy,
    /// What becomes of its decisions.
    #[serde(default)]
    pub mode: Mode,
    /// How a new version takes over.
    #[serde(default)]
    pub rollout: RolloutSpec,
    /// From which level on its log lines are written; the process's own filter decides where this is not given.
    #[serde(default)]
    pub log_level: Option<LogLevel>,
    /// Bounds on what a call may use.
    #[serde(default)]
    pub limits: LimitsSpec,
    /// What the component may do beyond the default imports.
    #[serde(default)]
    pub grants: GrantsSpec,
}

/// Where a component's bytes are: exactly one of the fields.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase", default)]
pub struct Source {
    /// A path on the API server's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The digest of pushed content, `sha256:<hex>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The name of a component that the binary embeds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub embedded: Option<String>,
}

/// What happens to a request when a component fails: traps, overruns a limit, cannot be called.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq)]
pub enum FailurePolicy {
    /// The request fails.
    #[default]
    Fail,
    /// The request goes on as if the plugin were not there.
    Ignore,
}

/// From which level on a component's log lines are written.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq, Eq)]
pub enum LogLevel {
    /// All lines.
    Debug,
    /// All but those for debugging.
    Info,
    /// What somebody should look at.
    Warn,
    /// What went wrong.
    Error,
    /// None.
    Off,
}

/// Which requests a plugin sees. Empty lists match everything; the names are those of a webhook's rules.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MatchSpec {
    /// `CREATE`, `UPDATE`, `DELETE`, `CONNECT`, `*`. Empty: CREATE and UPDATE.
    pub operations: Vec<String>,
    /// API groups; empty string for the core group.
    pub api_groups: Vec<String>,
    /// API versions.
    pub api_versions: Vec<String>,
    /// Resources: `pods`, `pods/status`, `pods/*`, `*`, `*/*`. Empty matches every resource, and no subresource.
    pub resources: Vec<String>,
    /// Only in these namespaces (and never for cluster-scoped objects).
    pub namespaces: Vec<String>,
    /// Not in these namespaces.
    pub exclude_namespaces: Vec<String>,
    /// A LabelSelector on the object's namespace.
    pub namespace_selector: Option<Value>,
    /// A LabelSelector on the object or, on update and delete, on the old one.
    pub object_selector: Option<Value>,
}

/// Bounds as a person writes them.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LimitsSpec {
    /// A quantity: `64Mi`.
    pub memory: Option<Value>,
    /// A duration: `100ms`, `2s`.
    pub deadline: Option<String>,
    /// A duration.
    pub configure_deadline: Option<String>,
    /// How many calls may run at once.
    pub concurrency: Option<u32>,
    /// A duration.
    pub queue_wait: Option<String>,
    /// After how many calls an instance is replaced.
    pub calls_per_instance: Option<u32>,
    /// Whether every call gets an instance of its own.
    pub fresh: bool,
}

/// Grants as a person writes them.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct GrantsSpec {
    /// Reads of the cluster, authorized as `system:plugin:<name>`.
    pub cluster_read: bool,
    /// Signature checks with keys of the host.
    pub verify: bool,
}

impl PluginSpec {
    /// Reads the spec of a Plugin object.
    ///
    /// # Errors
    /// [`SpecError::Shape`] if the object is no Plugin.
    pub fn from_object(object: &Value) -> Result<Self, SpecError> {
        let spec: Self = PluginSpec::deserialize(object.get("spec").unwrap_or(&Value::Null))?;
        spec.source.check()?;
        spec.limits()?;
        crate::rollout::spec::check(&spec)?;
        Ok(spec)
    }

    /// The limits, defaults filled in.
    ///
    /// # Errors
    /// [`SpecError::Field`] for a malformed quantity or duration.
    pub fn limits(&self) -> Result<Limits, SpecError> {
        let mut limits = Limits::default();
        if let Some(memory) = &self.limits.memory {
            let text = match memory {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let bytes = Quantity::parse(&text).map(|quantity| quantity.value());
            limits.memory_bytes = match bytes {
                Ok(bytes) if bytes >= 65_536 => u64::try_from(bytes).unwrap_or(u64::MAX),
                _ => {
                    return Err(SpecError::Field {
                        field: "spec.limits.memory",
                        message: format!("{text:?} is not a quantity of at least 64Ki"),
                    });
                }
            };
        }
        for (field, text, limit) in [
            ("spec.limits.deadline", &self.limits.deadline, &mut limits.deadline),
            ("spec.limits.configureDeadline", &self.limits.configure_deadline, &mut limits.configure_deadline),
            ("spec.limits.queueWait", &self.limits.queue_wait, &mut limits.queue_wait),
        ] {
            let Some(text) = text else { continue };
            *limit = parse_duration(text).filter(|duration| !duration.is_zero()).ok_or_else(|| SpecError::Field {
                field,
                message: format!("{text:?} is not a duration such as 50ms or 2s"),
            })?;
        }
        for (field, number, limit) in [
            ("spec.limits.concurrency", self.limits.concurrency, &mut limits.concurrency),
            ("spec.limits.callsPerInstance", self.limits.calls_per_instance, &mut limits.calls_per_instance),
        ] {
            match number {
                None => {}
                Some(0) => return Err(SpecError::Field { field, message: "must be at least 1".into() }),
                Some(number) => *limit = number,
            }
        }
        limits.fresh = self.limits.fresh;
        Ok(limits)
    }

    /// The grants in the runtime's form.
    pub fn grants(&self) -> Grants {
        Grants { cluster_read: self.grants.cluster_read, verify: self.grants.verify }
    }
}

impl Source {
    /// Checks that exactly one source is given.
    ///
    /// # Errors
    /// [`SpecError::Field`] otherwise.
    pub fn check(&self) -> Result<(), SpecError> {
        let given = [&self.file, &self.digest, &self.embedded].into_iter().filter(|s| s.is_some()).count();
        if given == 1 {
            return Ok(());
        }
        Err(SpecError::Field {
            field: "spec.source",
            message: "exactly one of file, digest and embedded must be given".into(),
        })
    }
}

/// A duration as Go writes it, in one or more `<number><unit>` parts.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit_len = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let seconds = match &rest[..unit_len] {
            "ns" => 1e-9,
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        total += Duration::try_from_secs_f64(number * seconds).ok()?;
        rest = &rest[unit_len..];
    }
    Some(total)
}
