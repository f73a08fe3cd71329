//! What a container asks for, and how it is probed.

use portcullis_sdk::ValueRef;

use crate::Errors;

/// A quantity in units of 10⁻⁹; `None` if the text is none (the schema has refused that already).
pub(crate) fn quantity(text: &str) -> Option<i128> {
    let digits = text.find(|c: char| !(c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))).unwrap_or(text.len());
    let (number, suffix) = text.split_at(digits);
    let (negative, number) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number.strip_prefix('+').unwrap_or(number)),
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mut nanos = format!("0{whole}").parse::<i128>().ok()?.checked_mul(1_000_000_000)?;
    let fraction: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    nanos = nanos.checked_add(fraction.parse().ok()?)?;
    let scaled = match suffix {
        "n" => nanos / 1_000_000_000,
        "u" => nanos / 1_000_000,
        "m" => nanos / 1_000,
        "" => nanos,
        "k" | "M" | "G" | "T" | "P" | "E" => nanos.checked_mul(1000i128.pow(1 + "kMGTPE".find(suffix)? as u32))?,
        "Ki" | "Mi" | "Gi" | "Ti" | "Pi" | "Ei" => {
            nanos.checked_mul(1024i128.pow(1 + "KMGTPE".find(&suffix[..1])? as u32))?
        }
        _ => {
            let power: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let factor = 10i128.checked_pow(power.unsigned_abs())?;
            if power < 0 { nanos / factor } else { nanos.checked_mul(factor)? }
        }
    };
    Some(if negative { -scaled } else { scaled })
}

/// Requests and limits at `at`.
pub(super) fn check(at: &str, resources: ValueRef, errors: &mut Errors) {
    let (requests, limits) = (resources.get("requests"), resources.get("limits"));
    let value =
        |value: ValueRef| value.as_str().and_then(quantity).or(value.as_i64().map(|n| i128::from(n) * 1_000_000_000));
    for (list, values) in [("limits", limits), ("requests", requests)] {
        for (name, given) in values.entries() {
            let field = format!("{at}.{list}[{name}]");
            let standard = matches!(name, "cpu" | "memory" | "ephemeral-storage") || name.starts_with("hugepages-");
            if !name.contains('/') && !standard {
                if !matches!(name, "storage" | "pods") && !name.starts_with("requests.") && !name.starts_with("limits.")
                {
                    errors.invalid(field.as_str(), name, "must be a standard resource type or fully qualified");
                }
                errors.invalid(field, name, "must be a standard resource for containers");
                continue;
            }
            match value(given) {
                Some(amount) if amount < 0 => errors.invalid(field, &given, "must be greater than or equal to 0"),
                Some(amount) if name.contains('/') && amount % 1_000_000_000 != 0 => {
                    errors.invalid(field, &given, "must be an integer");
                }
                _ => {}
            }
        }
    }
    for (name, request) in requests.entries() {
        let limit = limits.get(name);
        if limit.is_none() {
            if name.contains('/') {
                errors.required(format!("{at}.limits"), "Limit must be set for non overcommitable resources");
            }
            continue;
        }
        let (Some(asked), Some(most)) = (value(request), value(limit)) else { continue };
        if name.contains('/') && asked != most {
            let detail = format!("must be equal to {name} limit of {}", limit.str_or_empty());
            errors.invalid(format!("{at}.requests"), &request, detail);
        } else if asked > most {
            let detail = format!("must be less than or equal to {name} limit of {}", limit.str_or_empty());
            errors.invalid(format!("{at}.requests"), &request, detail);
        }
    }
}

/// The probes of the container at `at`.
pub(super) fn probes(at: &str, container: ValueRef, errors: &mut Errors) {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let (probe, at) = (container.get(name), format!("{at}.{name}"));
        for field in ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
        {
            errors.non_negative(format!("{at}.{field}"), probe.get(field));
        }
        let grace = probe.get("terminationGracePeriodSeconds");
        if let Some(seconds) = grace.as_i64() {
            let field = format!("{at}.terminationGracePeriodSeconds");
            if name == "readinessProbe" {
                errors.invalid(field, &seconds, "must not be set for readinessProbes");
            } else if seconds <= 0 {
                errors.invalid(field, &seconds, "must be greater than 0");
            }
        }
        let successes = probe.get("successThreshold").as_i64().filter(|number| *number > 1);
        if let Some(number) = successes.filter(|_| name != "readinessProbe") {
            errors.invalid(format!("{at}.successThreshold"), &number, "must be 1");
        }
    }
}

/// Users and groups of a security context at `at`.
pub(super) fn identity(at: &str, context: ValueRef, errors: &mut Errors) {
    for field in ["runAsUser", "runAsGroup", "fsGroup"] {
        if let Some(id) = context.get(field).as_i64().filter(|id| !(0..=i64::from(i32::MAX)).contains(id)) {
            errors.invalid(format!("{at}.{field}"), &id, "must be between 0 and 2147483647, inclusive");
        }
    }
}

/// The sources of the variables of the container at `at`.
pub(super) fn env_sources(at: &str, container: ValueRef, errors: &mut Errors) {
    for (index, variable) in container.get("env").iter().enumerate() {
        let source = variable.get("valueFrom");
        if source.is_none() {
            continue;
        }
        let kinds = ["fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef"];
        let set = kinds.iter().filter(|kind| !source.get(kind).is_none()).count();
        let detail = match set {
            0 => {
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
            }
            _ if !variable.get("value").str_or_empty().is_empty() => "may not be specified when `value` is not empty",
            1 => continue,
            _ => "may not have more than one field specified at a time",
        };
        errors.invalid(format!("{at}.env[{index}].valueFrom"), "", detail);
    }
}
