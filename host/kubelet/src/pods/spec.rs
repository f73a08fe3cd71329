//! What a pod's spec says of its containers, as far as their life depends on it.

use std::time::Duration;

use portcullis_client::ObjectExt;
use portcullis_machinery::Value;
use portcullis_machinery::quantity::Quantity;

#[cfg(test)]
mod tests;

/// The part that a container plays in its pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs to its end before the next begins.
    Init,
    /// An init container with `restartPolicy: Always`: starts in the order of init containers and runs as long as the
    /// pod's containers do.
    Sidecar,
    /// What the pod is for.
    App,
}

/// When a container that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

impl RestartPolicy {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "Always" => Some(Self::Always),
            "OnFailure" => Some(Self::OnFailure),
            "Never" => Some(Self::Never),
            _ => None,
        }
    }
}

/// One container of a pod.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Container<'a> {
    /// Its part of the spec.
    pub(crate) value: &'a Value,
    /// What it is for.
    pub(crate) role: Role,
    policy: RestartPolicy,
}

/// The pod's own restart policy.
pub(crate) fn restart_policy(pod: &Value) -> RestartPolicy {
    RestartPolicy::parse(pod.str_at(&["spec", "restartPolicy"])).unwrap_or(RestartPolicy::Always)
}

/// All containers of a pod, init containers first, each list in its order.
pub(crate) fn containers(pod: &Value) -> Vec<Container<'_>> {
    let of_pod = restart_policy(pod);
    let own = |value: &Value| RestartPolicy::parse(value.str_at(&["restartPolicy"]));
    let init = pod.list_at(&["spec", "initContainers"]).iter().map(|value| match own(value) {
        Some(RestartPolicy::Always) => Container { value, role: Role::Sidecar, policy: RestartPolicy::Always },
        Some(policy) => Container { value, role: Role::Init, policy },
        // An init container that did its work is not started again.
        None if of_pod == RestartPolicy::Always => {
            Container { value, role: Role::Init, policy: RestartPolicy::OnFailure }
        }
        None => Container { value, role: Role::Init, policy: of_pod },
    });
    let app = pod.list_at(&["spec", "containers"]).iter();
    init.chain(app.map(|value| Container { value, role: Role::App, policy: own(value).unwrap_or(of_pod) })).collect()
}

/// A container of a pod by its name.
pub(crate) fn container<'a>(pod: &'a Value, name: &str) -> Option<Container<'a>> {
    containers(pod).into_iter().find(|container| container.name() == name)
}

impl<'a> Container<'a> {
    /// Its name.
    pub(crate) fn name(&self) -> &'a str {
        self.value.str_at(&["name"])
    }

    /// Its image, as the pod names it.
    pub(crate) fn image(&self) -> &'a str {
        self.value.str_at(&["image"])
    }

    /// Where in the pod it is, as events say it.
    pub(crate) fn field_path(&self) -> String {
        let list = if self.role == Role::App { "containers" } else { "initContainers" };
        format!("spec.{list}{{{}}}", self.name())
    }

    /// Whether it is started again after it ended with this code.
    pub(crate) fn restarts_after(&self, exit_code: i32) -> bool {
        for rule in self.value.list_at(&["restartPolicyRules"]) {
            let named =
                rule.list_at(&["exitCodes", "values"]).iter().any(|code| code.as_i64() == Some(i64::from(exit_code)));
            let matches = match rule.str_at(&["exitCodes", "operator"]) {
                "In" => named,
                "NotIn" => !named,
                _ => false,
            };
            if matches && rule.str_at(&["action"]) == "Restart" {
                return true;
            }
        }
        match self.policy {
            RestartPolicy::Always => true,
            RestartPolicy::OnFailure => exit_code != 0,
            RestartPolicy::Never => false,
        }
    }

    /// A limit, in the unit of its resource; cpu in thousandths.
    fn limit(&self, resource: &str) -> Option<Quantity> {
        self.value.at(&["resources", "limits", resource]).and_then(|value| Quantity::from_json(value).ok())
    }

    /// Bytes of memory it may use.
    pub(crate) fn memory_limit(&self) -> Option<u64> {
        self.limit("memory").and_then(|limit| u64::try_from(limit.value()).ok()).filter(|limit| *limit > 0)
    }

    /// Thousandths of a core it may use.
    pub(crate) fn cpu_limit_millis(&self) -> Option<u64> {
        self.limit("cpu").and_then(|limit| u64::try_from(limit.milli_value()).ok()).filter(|limit| *limit > 0)
    }

    /// The TCP ports that it says it listens on.
    pub(crate) fn tcp_ports(&self) -> Vec<u16> {
        let ports = self.value.list_at(&["ports"]).iter();
        ports
            .filter(|port| matches!(port.str_at(&["protocol"]), "" | "TCP"))
            .filter_map(|port| u16::try_from(port.int_at(&["containerPort"])?).ok())
            .collect()
    }

    /// A list of strings of its spec: `command`, `args`.
    pub(crate) fn strings(&self, field: &str) -> Vec<String> {
        self.value.list_at(&[field]).iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
    }
}

/// How long the pod's containers get to stop, unless whoever deletes it says otherwise.
pub(crate) fn grace_period(pod: &Value) -> Duration {
    let seconds = pod.int_at(&["spec", "terminationGracePeriodSeconds"]).unwrap_or(30);
    Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
}
