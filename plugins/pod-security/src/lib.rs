//! The Pod Security Standards (KEP-2579): the labels `pod-security.kubernetes.io/{enforce,warn,audit}[-version]` of a
//! namespace say how much its pods may ask for. Pods that ask for more are refused, warned about, or noted; workloads
//! are warned about and noted by their templates, so that their author hears of it before any pod is refused.

mod baseline;
mod pod;
mod restricted;

use portcullis_sdk::{Denial, Input, ValueRef, Verdict};
use serde::Deserialize;

use pod::Pod;

/// What holds for namespaces without labels, and who is exempt.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Config {
    /// Level enforced by default: `privileged`, `baseline` or `restricted`.
    pub enforce: Level,
    /// Level warned about by default.
    pub warn: Level,
    /// Level noted in the audit log by default.
    pub audit: Level,
    /// Namespaces that are not looked at.
    pub exempt_namespaces: Vec<String>,
    /// Users whose requests are not looked at.
    pub exempt_users: Vec<String>,
    /// Runtime classes whose pods are not looked at.
    pub exempt_runtime_classes: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        let (none, level) = (Vec::new, Level::Privileged);
        Config {
            enforce: level,
            warn: level,
            audit: level,
            exempt_namespaces: none(),
            exempt_users: none(),
            exempt_runtime_classes: none(),
        }
    }
}

/// How much is allowed, most first.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Everything.
    Privileged,
    /// What does not lead out of the container by known ways.
    Baseline,
    /// What follows the practice of hardening.
    Restricted,
}

impl Level {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "privileged" => Some(Level::Privileged),
            "baseline" => Some(Level::Baseline),
            "restricted" => Some(Level::Restricted),
            _ => None,
        }
    }
}

/// A level as of a minor version of Kubernetes 1; `None` is the latest.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Policy {
    level: Level,
    version: Option<u32>,
}

impl std::fmt::Display for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let level = match self.level {
            Level::Privileged => "privileged",
            Level::Baseline => "baseline",
            Level::Restricted => "restricted",
        };
        match self.version {
            Some(minor) => write!(f, "{level}:v1.{minor}"),
            None => write!(f, "{level}:latest"),
        }
    }
}

/// What is read of the document.
pub const PATHS: [&str; 9] = [
    "/namespaceObject/metadata/labels",
    "/object/metadata/annotations",
    "/object/spec",
    "/oldObject/spec",
    "/request/kind/kind",
    "/request/operation",
    "/request/subResource",
    "/request/userInfo/username",
    "/request/namespace",
];
/// The template of a PodTemplate, which is not below `spec`.
#[cfg(target_family = "wasm")]
const TEMPLATE: &str = "/object/template";

/// Judges a pod or a workload.
pub fn validate(config: &Config, input: &Input, template: ValueRef) -> Verdict {
    let (kind, subresource) = (input.str(4), input.str(6));
    let listed = |list: &[String], text: &str| list.iter().any(|one| one == text);
    if !matches!(subresource, "" | "ephemeralcontainers" | "resize")
        || listed(&config.exempt_namespaces, input.str(8))
        || listed(&config.exempt_users, input.str(7))
    {
        return Verdict::allow();
    }
    let spec = input.get(2);
    let is_pod = kind == "Pod";
    let pod = match kind {
        "Pod" => Pod { annotations: input.get(1), spec },
        "CronJob" => Pod::of_template(spec.get("jobTemplate").get("spec").get("template")),
        "PodTemplate" => Pod::of_template(template),
        _ if subresource.is_empty() => Pod::of_template(spec.get("template")),
        _ => return Verdict::allow(),
    };
    if pod.spec.is_none() || listed(&config.exempt_runtime_classes, pod.spec.get("runtimeClassName").str_or_empty()) {
        return Verdict::allow();
    }
    // Only a new image can make an admitted pod ask for more.
    if is_pod && input.str(5) == "UPDATE" && !is_significant(spec, input.get(3)) {
        return Verdict::allow();
    }
    judge(config, input.get(0), &pod, is_pod)
}

fn judge(config: &Config, labels: ValueRef, pod: &Pod, is_pod: bool) -> Verdict {
    let label = |name: &str| labels.get(&format!("pod-security.kubernetes.io/{name}")).as_str();
    let version = |name: &str| {
        let minor = label(name).and_then(|text| text.strip_prefix("v1."));
        minor.and_then(|minor| minor.parse().ok())
    };
    // A label that cannot be read enforces the most, and warns and notes nothing, as the reference has it.
    let enforce = Policy {
        level: label("enforce").map_or(config.enforce, |text| Level::parse(text).unwrap_or(Level::Restricted)),
        version: version("enforce-version"),
    };
    let soft = |mode: &str, default: Level| Policy {
        level: label(mode).map_or(default, |text| Level::parse(text).unwrap_or(Level::Privileged)),
        version: version(&format!("{mode}-version")),
    };
    let (mut warn, audit) = (soft("warn", config.warn), soft("audit", config.audit));
    let asked = label("enforce").and_then(Level::parse).is_some();
    if label("warn").is_none() && asked && enforce.level > warn.level {
        warn.level = enforce.level;
        if label("warn-version").is_none() {
            warn.version = enforce.version;
        }
    }
    let mut verdict = Verdict::allow();
    if is_pod {
        verdict = verdict.audit("enforce-policy", enforce.to_string());
        if let Some(why) = violations(enforce, pod) {
            let denial = Denial::new(format!("violates PodSecurity \"{enforce}\": {why}"));
            verdict.denied = Some(denial);
        }
    }
    if let Some(why) = violations(audit, pod) {
        verdict = verdict.audit("audit-violations", format!("would violate PodSecurity \"{audit}\": {why}"));
    }
    if verdict.denied.is_none()
        && let Some(why) = violations(warn, pod)
    {
        verdict = verdict.warn(format!("would violate PodSecurity \"{warn}\": {why}"));
    }
    verdict
}

/// What the pod asks for beyond the policy, as one sentence.
fn violations(policy: Policy, pod: &Pod) -> Option<String> {
    let minor = policy.version.unwrap_or(u32::MAX);
    let found = match policy.level {
        Level::Privileged => Vec::new(),
        Level::Baseline => baseline::check(pod, minor, false),
        Level::Restricted => {
            let mut found = baseline::check(pod, minor, true);
            found.extend(restricted::check(pod, minor));
            found
        }
    };
    let texts: Vec<String> = found.into_iter().map(|(reason, detail)| format!("{reason} ({detail})")).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

fn is_significant(new: ValueRef, old: ValueRef) -> bool {
    let changed = |field: &str| {
        new.get(field).len() != old.get(field).len()
            || new.get(field).iter().any(|container| {
                let name = container.get("name").str_or_empty();
                let before = old.get(field).iter().find(|one| one.get("name").is_str(name));
                before.is_none_or(|before| before.get("image").as_str() != container.get("image").as_str())
            })
    };
    ["containers", "initContainers", "ephemeralContainers"].into_iter().any(changed)
}

#[cfg(target_family = "wasm")]
fn entry(config: &Config, input: &Input) -> Verdict {
    let template = if input.str(4) == "PodTemplate" { portcullis_sdk::host::review(TEMPLATE) } else { None };
    let bytes = template.unwrap_or_default();
    validate(config, input, portcullis_sdk::tape::Tape::trusted(&bytes).root())
}

portcullis_sdk::validator!(Config, PATHS, entry);

#[cfg(test)]
mod tests;
