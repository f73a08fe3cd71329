//! Names and metadata: what `metav1.ObjectMeta` may say, for instances of custom resources and for embedded ones.

use serde_json::Value;

use crate::object;
use crate::status::{Cause, FieldErrorType};

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must \
     start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or \
     '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
     '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an \
     alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for \
     validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end \
     with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
     '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const LABEL_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or \
     '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex \
     used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
/// All annotations together, in bytes.
const ANNOTATIONS: usize = 256 * 1024;

fn too_long(longest: usize) -> String {
    format!("must be no more than {longest} bytes")
}

fn dashed(text: &str) -> bool {
    let alphanumeric = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    alphanumeric(text.chars().next())
        && alphanumeric(text.chars().last())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// Why a text is no RFC 1123 label.
pub fn dns1123_label_error(text: &str) -> Option<String> {
    if text.len() > 63 { Some(too_long(63)) } else { (!dashed(text)).then(|| LABEL.to_owned()) }
}

/// Why a text is no RFC 1123 subdomain.
pub fn dns1123_subdomain_error(text: &str) -> Option<String> {
    if text.len() > 253 {
        return Some(too_long(253));
    }
    (!text.split('.').all(dashed)).then(|| SUBDOMAIN.to_owned())
}

/// Why a text is no RFC 1035 label.
pub fn dns1035_label_error(text: &str) -> Option<String> {
    if text.len() > 63 {
        return Some(too_long(63));
    }
    let begins = text.starts_with(|c: char| c.is_ascii_lowercase());
    (!(begins && dashed(text))).then(|| LABEL_1035.to_owned())
}

fn loose(text: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    ends(text.chars().next())
        && ends(text.chars().last())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

/// Why a text is no qualified name (`[prefix/]name`), all reasons.
pub fn qualified_name_errors(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let name = match text.split('/').collect::<Vec<_>>().as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            } else if let Some(why) = dns1123_subdomain_error(prefix) {
                errors.push(format!("prefix part {why}"));
            }
            name
        }
        _ => {
            let example = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid {} {example}", QUALIFIED.replacen("name part", "qualified name", 1))];
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        errors.push(format!("name part {}", too_long(63)));
    }
    if !loose(name) {
        errors.push(QUALIFIED.to_owned());
    }
    errors
}

/// Why a text is no label's value, all reasons.
pub fn label_value_errors(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > 63 {
        errors.push(too_long(63));
    }
    if !value.is_empty() && !loose(value) {
        errors.push(LABEL_VALUE.to_owned());
    }
    errors
}

fn invalid(path: String, value: &str, why: &str) -> Cause {
    Cause::field(FieldErrorType::Invalid, path, &Value::from(value).to_string(), why)
}

/// What is wrong with the metadata of an instance.
pub fn check(metadata: &Value, namespaced: bool) -> Vec<Cause> {
    let mut causes = Vec::new();
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).unwrap_or_default();
    let generate = text("generateName");
    if !generate.is_empty() {
        // The end of a prefix need not be the end of a name.
        let cut = generate.strip_suffix('-').filter(|cut| !cut.is_empty()).unwrap_or(generate);
        let why = dns1123_subdomain_error(cut);
        causes.extend(why.map(|why| invalid("metadata.generateName".into(), generate, &why)));
    }
    let name = text("name");
    if name.is_empty() {
        let why = "name or generateName is required";
        causes.push(Cause::field(FieldErrorType::Required, "metadata.name", "", why));
    } else if let Some(why) = dns1123_subdomain_error(name) {
        causes.push(invalid("metadata.name".into(), name, &why));
    }
    let namespace = text("namespace");
    match (namespaced, namespace.is_empty()) {
        (true, true) => causes.push(Cause::field(FieldErrorType::Required, "metadata.namespace", "", "")),
        (true, false) => {
            let why = dns1123_label_error(namespace);
            causes.extend(why.map(|why| invalid("metadata.namespace".into(), namespace, &why)));
        }
        (false, false) => {
            let why = "not allowed on this type";
            causes.push(Cause::field(FieldErrorType::Forbidden, "metadata.namespace", "", why));
        }
        (false, true) => {}
    }
    common(metadata, "metadata", &mut causes);
    causes
}

/// What is wrong with the metadata of an embedded resource, which need not have a name.
pub fn check_embedded(metadata: &Value, path: &str, causes: &mut Vec<Cause>) {
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).unwrap_or_default();
    let named = [("generateName", text("generateName").trim_end_matches('-')), ("name", text("name"))];
    for (field, value) in named.into_iter().filter(|(_, value)| !value.is_empty()) {
        if let Some(why) = dns1123_subdomain_error(value) {
            causes.push(invalid(format!("{path}.{field}"), value, &why));
        }
    }
    let namespace = text("namespace");
    if !namespace.is_empty()
        && let Some(why) = dns1123_label_error(namespace)
    {
        causes.push(invalid(format!("{path}.namespace"), namespace, &why));
    }
    common(metadata, path, causes);
}

fn common(metadata: &Value, path: &str, causes: &mut Vec<Cause>) {
    let pairs = |key: &str| {
        let map = metadata.get(key).and_then(Value::as_object).into_iter().flatten();
        map.map(|(key, value)| (key.as_str(), value.as_str().unwrap_or_default()))
    };
    for (key, value) in pairs("labels") {
        let at = || format!("{path}.labels");
        causes.extend(qualified_name_errors(key).iter().map(|why| invalid(at(), key, why)));
        causes.extend(label_value_errors(value).iter().map(|why| invalid(at(), value, why)));
    }
    let mut size = 0;
    for (key, value) in pairs("annotations") {
        let at = format!("{path}.annotations");
        causes.extend(qualified_name_errors(&key.to_lowercase()).iter().map(|why| invalid(at.clone(), key, why)));
        size += key.len() + value.len();
    }
    if size > ANNOTATIONS {
        let detail = format!("may not be more than {ANNOTATIONS} bytes");
        causes.push(Cause::field(FieldErrorType::TooLong, format!("{path}.annotations"), "", &detail));
    }
    owners(metadata, path, causes);
    let finalizers = metadata.get("finalizers").and_then(Value::as_array).into_iter().flatten();
    for (index, finalizer) in finalizers.filter_map(Value::as_str).enumerate() {
        let at = format!("{path}.finalizers[{index}]");
        causes.extend(qualified_name_errors(finalizer).iter().map(|why| invalid(at.clone(), finalizer, why)));
    }
}

fn owners(metadata: &Value, path: &str, causes: &mut Vec<Cause>) {
    let owners = metadata.get("ownerReferences").and_then(Value::as_array).into_iter().flatten();
    let mut controllers = Vec::new();
    for (index, owner) in owners.enumerate() {
        let at = format!("{path}.ownerReferences[{index}]");
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner.get(field).and_then(Value::as_str).unwrap_or_default().is_empty() {
                let kind = if field == "apiVersion" { FieldErrorType::Invalid } else { FieldErrorType::Required };
                let why = if field == "apiVersion" { "version must not be empty" } else { "must not be empty" };
                causes.push(Cause::field(kind, format!("{at}.{field}"), "\"\"", why));
            }
        }
        if object::bool_at(owner, &["controller"]) {
            controllers.push(owner.get("kind").and_then(Value::as_str).unwrap_or_default());
        }
    }
    if let [first, second, ..] = controllers.as_slice() {
        let list = metadata.get("ownerReferences").map(Value::to_string).unwrap_or_default();
        let why = format!(
            "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {second}"
        );
        causes.push(Cause::field(FieldErrorType::Invalid, format!("{path}.ownerReferences"), &list, &why));
    }
}

/// What an update may not change.
pub fn check_update(new: &Value, old: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let had: Vec<&str> = object::finalizers(old).collect();
    let added: Vec<&str> = object::finalizers(new).filter(|finalizer| !had.contains(finalizer)).collect();
    if object::deletion_timestamp(old).is_some() && !added.is_empty() {
        let why = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            added.iter().map(|finalizer| format!("{finalizer:?}")).collect::<Vec<_>>().join(", ")
        );
        causes.push(Cause::field(FieldErrorType::Forbidden, "metadata.finalizers", "", &why));
    }
    if object::uid(new) != object::uid(old) {
        causes.push(invalid("metadata.uid".into(), object::uid(new), "field is immutable"));
    }
    causes
}
