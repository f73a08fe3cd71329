//! What the files of a volume are to be: from ConfigMaps, Secrets, the pod's fields and tokens.

use base64::Engine as _;
use portcullis_client::ObjectExt as _;
use portcullis_machinery::{Value, object};

use super::VolumeProblem;
use super::atomic::{File, Files};
use super::token::{TokenCache, request};
use crate::facts::PodFacts;
use crate::fields;
use crate::source::ObjectSource;

/// The types of volumes that are files of API objects.
pub(super) const TYPES: [&str; 4] = ["configMap", "secret", "downwardAPI", "projected"];

/// The mode of files that are given none.
const DEFAULT_MODE: i64 = 0o644;

/// The name in the directory's name.
pub(super) fn plugin(kind: &str) -> &'static str {
    match kind {
        "configMap" => "configmap",
        "secret" => "secret",
        "downwardAPI" => "downward-api",
        _ => "projected",
    }
}

/// What collecting needs.
struct Collector<'a> {
    source: &'a dyn ObjectSource,
    tokens: &'a TokenCache,
    facts: &'a PodFacts,
    pod: &'a Value,
    default_mode: i64,
}

/// The files of one volume of those [`TYPES`].
pub(super) async fn collect(
    source: &dyn ObjectSource,
    tokens: &TokenCache,
    facts: &PodFacts,
    pod: &Value,
    volume: &Value,
) -> Result<Files, VolumeProblem> {
    let of = |kind: &str| volume.get(kind).filter(|given| !given.is_null());
    let mode = |given: &Value| given.int_at(&["defaultMode"]).unwrap_or(DEFAULT_MODE);
    let collector = |default_mode| Collector { source, tokens, facts, pod, default_mode };
    if let Some(given) = of("configMap") {
        return collector(mode(given)).object("configmap", given.str_at(&["name"]), given).await;
    }
    if let Some(given) = of("secret") {
        return collector(mode(given)).object("secret", given.str_at(&["secretName"]), given).await;
    }
    if let Some(given) = of("downwardAPI") {
        return collector(mode(given)).downward_api(given);
    }
    let given = of("projected").unwrap_or(&Value::Null);
    let collector = collector(mode(given));
    let mut files = Files::new();
    let mut problems = Vec::new();
    for projection in given.list_at(&["sources"]) {
        match collector.projection(projection).await {
            Ok(more) => files.extend(more),
            Err(problem) => problems.push(problem),
        }
    }
    match problems.len() {
        0 => Ok(files),
        1 => Err(problems.swap_remove(0)),
        _ => Err(VolumeProblem::Several(problems)),
    }
}

impl Collector<'_> {
    async fn projection(&self, projection: &Value) -> Result<Files, VolumeProblem> {
        let of = |kind: &str| projection.get(kind).filter(|given| !given.is_null());
        if let Some(given) = of("configMap") {
            return self.object("configmap", given.str_at(&["name"]), given).await;
        }
        if let Some(given) = of("secret") {
            return self.object("secret", given.str_at(&["name"]), given).await;
        }
        if let Some(given) = of("downwardAPI") {
            return self.downward_api(given);
        }
        if let Some(given) = of("serviceAccountToken") {
            return self.token(given).await;
        }
        let kind = projection.as_object().and_then(|fields| fields.keys().next()).map_or("", String::as_str);
        Err(VolumeProblem::Unsupported(format!("projected {kind}")))
    }

    fn file(&self, data: Vec<u8>, item: Option<&Value>) -> File {
        let mode = item.and_then(|item| item.int_at(&["mode"])).unwrap_or(self.default_mode);
        File { data, mode: u32::try_from(mode & 0o7777).unwrap_or(0o644) }
    }

    async fn object(&self, kind: &'static str, name: &str, given: &Value) -> Result<Files, VolumeProblem> {
        let namespace = self.pod.namespace();
        let found = match kind {
            "configmap" => self.source.config_map(namespace, name).await,
            _ => self.source.secret(namespace, name).await,
        };
        let optional = given.bool_at(&["optional"]);
        let found = match found.map_err(VolumeProblem::Source)? {
            Some(found) => found,
            None if optional => return Ok(Files::new()),
            None => return Err(VolumeProblem::NotFound { kind, name: name.to_owned() }),
        };
        let value = |key: &str| -> Option<Vec<u8>> {
            let encoded = |field: &str| {
                let text = found.at(&[field, key])?.as_str()?;
                base64::engine::general_purpose::STANDARD.decode(text).ok()
            };
            match kind {
                "configmap" => match found.at(&["data", key]).and_then(Value::as_str) {
                    Some(text) => Some(text.as_bytes().to_vec()),
                    None => encoded("binaryData"),
                },
                _ => encoded("data"),
            }
        };
        let mut files = Files::new();
        let items = given.list_at(&["items"]);
        if items.is_empty() {
            let keys = ["binaryData", "data"].iter().filter_map(|field| found.get(field)?.as_object());
            for key in keys.flat_map(|map| map.keys()) {
                if let Some(data) = value(key) {
                    files.insert(key.clone(), self.file(data, None));
                }
            }
            return Ok(files);
        }
        for item in items {
            let key = item.str_at(&["key"]);
            match value(key) {
                Some(data) => {
                    files.insert(item.str_at(&["path"]).to_owned(), self.file(data, Some(item)));
                }
                None if optional => {}
                None => return Err(VolumeProblem::MissingKey { kind, key: key.to_owned() }),
            }
        }
        Ok(files)
    }

    fn downward_api(&self, given: &Value) -> Result<Files, VolumeProblem> {
        let mut files = Files::new();
        for item in given.list_at(&["items"]) {
            let text = match (item.get("fieldRef"), item.get("resourceFieldRef")) {
                (Some(reference), _) => fields::field_value(self.pod, self.facts, reference)?,
                (None, Some(reference)) => fields::resource_value(self.pod, None, &self.facts.allocatable, reference)?,
                (None, None) => continue,
            };
            files.insert(item.str_at(&["path"]).to_owned(), self.file(text.into_bytes(), Some(item)));
        }
        Ok(files)
    }

    async fn token(&self, given: &Value) -> Result<Files, VolumeProblem> {
        let account = match self.pod.str_at(&["spec", "serviceAccountName"]) {
            "" => "default",
            account => account,
        };
        let request = request(self.pod, given.str_at(&["audience"]), given.int_at(&["expirationSeconds"]));
        let token = self.tokens.token(self.source, self.pod.namespace(), account, object::uid(self.pod), &request);
        let token = token.await.map_err(VolumeProblem::Token)?;
        let mut file = self.file(token.into_bytes(), None);
        // Containers under another user read it through their group; nobody else may.
        if self.pod.at(&["spec", "securityContext", "fsGroup"]).is_some_and(|group| !group.is_null()) {
            file.mode = 0o600;
        }
        Ok(Files::from([(given.str_at(&["path"]).to_owned(), file)]))
    }
}
