//! The rules of a configuration, and the reference's words for what breaks them.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::{KeyConfig, KmsConfig, ProviderConfig, ResourceConfig};

/// The sizes that keys may have.
const AES: [usize; 3] = [16, 24, 32];
const SECRETBOX: [usize; 1] = [32];

fn required(path: &str, why: &str) -> String {
    format!("{path}: Required value: {why}")
}

fn invalid(path: &str, value: &Value, why: &str) -> String {
    format!("{path}: Invalid value: {value}: {why}")
}

/// The resource and the group of a configured name.
pub(crate) fn split_resource(name: &str) -> (&str, &str) {
    name.split_once('.').unwrap_or((name, ""))
}

/// The scheme and the path of a URL.
pub(super) fn split_url(url: &str) -> Result<(&str, &str), String> {
    let failed = |why: &str| format!("parse {url:?}: {why}");
    if url.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err(failed("net/url: invalid control character in URL"));
    }
    let url = url.split('#').next().unwrap_or_default();
    let scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let (scheme, rest) = match url.split_once(':') {
        Some(("", _)) => return Err(failed("missing protocol scheme")),
        Some((first, rest)) if first.chars().all(scheme) && first.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            (first, rest)
        }
        Some((first, _)) if !first.contains('/') => {
            return Err(failed("first path segment in URL cannot contain colon"));
        }
        _ => ("", url),
    };
    let rest = rest.split('?').next().unwrap_or_default();
    let path = match rest.strip_prefix("//") {
        Some(after) => after.find('/').map_or("", |at| &after[at..]),
        None => rest,
    };
    Ok((scheme, path))
}

fn overlaps(resources: &[String], path: &str) -> Vec<String> {
    let names: Vec<_> = resources.iter().map(|name| split_resource(name)).collect();
    let (mut duplicate, mut overlap) = (false, false);
    for (at, one) in names.iter().enumerate() {
        for (_, other) in names.iter().enumerate().filter(|(with, _)| *with != at) {
            if one == other && !duplicate {
                duplicate = true;
                continue;
            }
            let any = *one == ("*", "*");
            overlap |= any || (one.1 == other.1 && (one.0 == "*" || other.0 == "*"));
        }
    }
    let mut errors = Vec::new();
    if duplicate {
        errors.push(invalid(path, &json!(resources), "the same resource cannot be specified multiple times"));
    }
    if overlap {
        let why = "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as \
                   they will be masked";
        errors.push(invalid(path, &json!(resources), why));
    }
    errors
}

fn name_error(name: &str) -> Option<&'static str> {
    let (resource, group) = split_resource(name);
    let why = match name {
        _ if name.to_lowercase() != name => "resource name should not contain capital letters",
        "*" => "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources",
        "apiserveripinfo" | "serviceipallocations" | "servicenodeportallocations" => {
            "resources which do not have REST API/s cannot be encrypted"
        }
        _ if group == "events.k8s.io" => {
            "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the \
             config file"
        }
        _ if group == "extensions" => "'extensions' group has been removed and cannot be used for encryption",
        _ if group == "*" && resource != "*" => "encrypting the same resource across groups is not supported",
        _ => return None,
    };
    Some(why)
}

fn keys(keys: &[KeyConfig], path: &str, sizes: &[usize], errors: &mut Vec<String>) {
    if keys.is_empty() {
        errors.push(required(path, "at least one keys is required"));
    }
    for (at, key) in keys.iter().enumerate() {
        let path = format!("{path}[{at}]");
        if key.name.is_empty() {
            errors.push(required(&format!("{path}.name"), "name is a mandatory field for a key"));
        }
        let at_secret = format!("{path}.secret");
        if key.secret.is_empty() {
            errors.push(required(&at_secret, "secret is a mandatory field for a key"));
            continue;
        }
        let redacted = json!("REDACTED");
        match STANDARD.decode(&key.secret) {
            Err(_) => errors.push(invalid(&at_secret, &redacted, "secrets must be base64 encoded")),
            Ok(secret) if !sizes.contains(&secret.len()) => {
                let sizes: Vec<String> = sizes.iter().map(usize::to_string).collect();
                let (found, sizes) = (secret.len(), sizes.join(" "));
                let why = format!("secret is not of the expected length, got {found}, expected one of [{sizes}]");
                errors.push(invalid(&at_secret, &redacted, &why));
            }
            Ok(_) => {}
        }
    }
}

fn kms<'a>(kms: &'a KmsConfig, path: &str, names: &mut BTreeSet<&'a str>, reload: bool, errors: &mut Vec<String>) {
    let first_version = kms.api_version == "v1";
    let (at_name, name) = (format!("{path}.name"), kms.name.as_str());
    if name.is_empty() {
        errors.push(required(&at_name, "name is a mandatory field for a provider"));
    }
    if !first_version && name.contains(':') {
        let why = format!("invalid KMS provider name {name}, must not contain ':'");
        errors.push(invalid(&at_name, &json!(name), &why));
    }
    if (reload || !first_version) && names.contains(name) {
        let why = format!("duplicate KMS provider name {name}, names must be unique");
        errors.push(invalid(&at_name, &json!(name), &why));
    }
    names.insert(name);
    if kms.timeout <= 0 {
        let shown = if kms.timeout == 0 { "0s".to_owned() } else { format!("-{:?}", kms.timeout()) };
        errors.push(invalid(&format!("{path}.timeout"), &json!(shown), "timeout should be a positive value"));
    }
    let at_endpoint = format!("{path}.endpoint");
    if kms.endpoint.is_empty() {
        errors.push(invalid(&at_endpoint, &json!(""), "endpoint is a mandatory field for a kms"));
    } else {
        let endpoint = json!(kms.endpoint);
        match split_url(&kms.endpoint) {
            Err(why) => {
                errors.push(invalid(
                    &at_endpoint,
                    &endpoint,
                    &format!("invalid endpoint for kms provider, error: {why}"),
                ));
            }
            Ok(("unix", _)) => {}
            Ok((scheme, _)) => {
                let why = format!("unsupported scheme {scheme:?} for KMS provider, only unix is supported");
                errors.push(invalid(&at_endpoint, &endpoint, &why));
            }
        }
    }
    if let Some(size) = kms.cache_size {
        let at_size = format!("{path}.cachesize");
        if !first_version {
            errors.push(invalid(&at_size, &json!(size), "cachesize is not supported in v2"));
        } else if size == 0 {
            let why = "cachesize should be a positive value, or negative to disable";
            errors.push(invalid(&at_size, &json!(size), why));
        }
    }
    if !matches!(kms.api_version.as_str(), "v1" | "v2") {
        let why = "unsupported apiVersion apiVersion for KMS provider, only v1 and v2 are supported";
        errors.push(invalid(&format!("{path}.apiVersion"), &json!(kms.api_version), why));
    }
}

fn one_provider(provider: &ProviderConfig, path: &str, errors: &mut Vec<String>) {
    let ProviderConfig { aesgcm, aescbc, secretbox, identity, kms } = provider;
    let found = [aesgcm.is_some(), aescbc.is_some(), secretbox.is_some(), *identity, kms.is_some()];
    match found.into_iter().filter(|found| *found).count() {
        0 => {
            // A literal and not a map: the order of the members is part of what is known.
            let shown = r#"{"AESGCM":null,"AESCBC":null,"Secretbox":null,"Identity":null,"KMS":null}"#;
            errors.push(format!(
                "{path}: Invalid value: {shown}: provider does not contain any of the expected providers: KMS, AESGCM, \
                 AESCBC, Secretbox, Identity"
            ));
        }
        1 => {}
        _ => {
            // What the reference shows here has the keys in it.
            let why = "more than one provider specified in a single element, should split into different list elements";
            errors.push(invalid(path, &json!("REDACTED"), why));
        }
    }
}

/// What is wrong with a configuration.
pub(super) fn validate(config: &[ResourceConfig], reload: bool) -> Vec<String> {
    let mut errors = Vec::new();
    if config.is_empty() {
        errors.push(required("resources", "at least one resources is required"));
    }
    let mut names = BTreeSet::new();
    for (at, entry) in config.iter().enumerate() {
        let (resources, providers) = (format!("resources[{at}].resources"), format!("resources[{at}].providers"));
        if entry.resources.is_empty() {
            errors.push(required(&resources, &format!("at least one {resources} is required")));
        }
        errors.extend(overlaps(&entry.resources, &resources));
        for (at, name) in entry.resources.iter().enumerate() {
            errors.extend(name_error(name).map(|why| invalid(&format!("{resources}[{at}]"), &json!(name), why)));
        }
        if entry.providers.is_empty() {
            errors.push(required(&providers, &format!("at least one {providers} is required")));
        }
        for (at, provider) in entry.providers.iter().enumerate() {
            let path = format!("{providers}[{at}]");
            one_provider(provider, &path, &mut errors);
            if let Some(config) = &provider.kms {
                kms(config, &format!("{path}.kms"), &mut names, reload, &mut errors);
            } else if let Some(config) = &provider.aesgcm {
                keys(config, &format!("{path}.aesgcm.keys"), &AES, &mut errors);
            } else if let Some(config) = &provider.aescbc {
                keys(config, &format!("{path}.aescbc.keys"), &AES, &mut errors);
            } else if let Some(config) = &provider.secretbox {
                keys(config, &format!("{path}.secretbox.keys"), &SECRETBOX, &mut errors);
            }
        }
    }
    errors
}
