//! The options of a request, from its query or body, and the texts for options that are not valid
//! (`meta/v1` CreateOptions, UpdateOptions, PatchOptions, DeleteOptions, ListOptions).

use portcullis_machinery::codec::FieldValidation;
use portcullis_machinery::definition::ResourceDefinition;
use portcullis_machinery::selector::{FieldSelector, LabelSelector};
use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::{Status, Value};
use serde_json::json;

use crate::request_info::{first, flag};

const META: &str = "meta.k8s.io";

/// The options of create, update and patch.
#[derive(Clone, Debug, Default)]
pub struct WriteOptions {
    /// Nothing is to be stored.
    pub dry_run: bool,
    /// Who is to own the fields, if given.
    pub field_manager: String,
    /// What to do about unknown and duplicate fields.
    pub validation: FieldValidation,
    /// `fieldValidation` as it was given.
    pub field_validation: String,
    /// Apply: take fields over from other managers.
    pub force: bool,
    /// Whether the write is an apply, which keeps the owners of fields itself.
    pub applying: bool,
}

impl WriteOptions {
    /// The options as admission sees them: `kind` is `CreateOptions` or `UpdateOptions`, which is what a patch has too.
    pub fn to_value(&self, kind: &str) -> Value {
        let mut value = json!({"kind": kind, "apiVersion": "meta.k8s.io/v1"});
        if self.dry_run {
            value["dryRun"] = json!(["All"]);
        }
        for (field, text) in [("fieldManager", &self.field_manager), ("fieldValidation", &self.field_validation)] {
            if !text.is_empty() {
                value[field] = text.as_str().into();
            }
        }
        value
    }
}

/// What the options are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteKind {
    /// `CreateOptions`.
    Create,
    /// `UpdateOptions`.
    Update,
    /// `PatchOptions` of a JSON, merge or strategic merge patch.
    Patch,
    /// `PatchOptions` of an apply patch.
    Apply,
}

/// Reads and checks the options of a write.
///
/// # Errors
/// 422 with a cause for each option that is wrong.
pub fn write_options(query: &[(String, String)], kind: WriteKind) -> Result<WriteOptions, Status> {
    let manager = first(query, "fieldManager").unwrap_or("");
    let mut causes = Vec::new();
    if kind == WriteKind::Apply && manager.is_empty() {
        causes.push(Cause::field(FieldErrorType::Required, "fieldManager", "", "is required for apply patch"));
    }
    let forces = query.iter().any(|(key, _)| key == "force");
    if kind == WriteKind::Patch && forces {
        let detail = "may not be specified for non-apply patch";
        causes.push(Cause::field(FieldErrorType::Forbidden, "force", "", detail));
    }
    if manager.len() > 128 {
        let detail = "may not be more than 128 bytes";
        causes.push(Cause::field(FieldErrorType::TooLong, "fieldManager", "", detail));
    }
    for (at, c) in manager.char_indices().filter(|(_, c)| c.is_control()) {
        let detail = format!("invalid character U+{:04X} (at position {at})", c as u32);
        let value = Value::from(manager).to_string();
        causes.push(Cause::field(FieldErrorType::Invalid, "fieldManager", &value, &detail));
    }
    let dry_run: Vec<&str> = query.iter().filter(|(k, _)| k == "dryRun").map(|(_, v)| v.as_str()).collect();
    causes.extend(check_dry_run(&dry_run));
    let directive = first(query, "fieldValidation").unwrap_or("");
    let validation = match directive {
        "Ignore" => FieldValidation::Ignore,
        "Strict" => FieldValidation::Strict,
        "" | "Warn" => FieldValidation::Warn,
        other => {
            let detail = "supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"";
            let value = Value::from(other).to_string();
            causes.push(Cause::field(FieldErrorType::NotSupported, "fieldValidation", &value, detail));
            FieldValidation::Warn
        }
    };
    if !causes.is_empty() {
        let name = match kind {
            WriteKind::Create => "CreateOptions",
            WriteKind::Update => "UpdateOptions",
            WriteKind::Patch | WriteKind::Apply => "PatchOptions",
        };
        return Err(Status::invalid(META, name, "", causes));
    }
    Ok(WriteOptions {
        dry_run: !dry_run.is_empty(),
        field_manager: manager.to_owned(),
        validation,
        field_validation: directive.to_owned(),
        force: flag(query, "force"),
        applying: kind == WriteKind::Apply,
    })
}

fn check_dry_run(values: &[&str]) -> Option<Cause> {
    values.iter().any(|value| *value != "All").then(|| {
        let list = Value::from(values.to_vec()).to_string();
        Cause::field(FieldErrorType::NotSupported, "dryRun", &list, "supported values: \"All\"")
    })
}

/// The options of a deletion.
#[derive(Clone, Debug, Default)]
pub struct DeleteOptions {
    /// How long the object may take to end, in seconds.
    pub grace: Option<i64>,
    /// `preconditions.uid`.
    pub uid: Option<String>,
    /// `preconditions.resourceVersion`.
    pub resource_version: Option<String>,
    /// The deprecated `orphanDependents`.
    pub orphan: Option<bool>,
    /// `Foreground`, `Background` or `Orphan`.
    pub propagation: Option<String>,
    /// Nothing is to be deleted.
    pub dry_run: bool,
}

impl DeleteOptions {
    /// Reads the options from the body if there is one, else from the query, and checks them.
    ///
    /// # Errors
    /// 400 or 422.
    pub fn read(query: &[(String, String)], body: Option<&Value>) -> Result<Self, Status> {
        let mut options = Self::default();
        let mut dry_run: Vec<String> = Vec::new();
        match body {
            Some(body) => {
                options.grace = body.get("gracePeriodSeconds").and_then(Value::as_i64);
                let text = |path: &str| body.pointer(path).and_then(Value::as_str).map(str::to_owned);
                options.uid = text("/preconditions/uid");
                options.resource_version = text("/preconditions/resourceVersion");
                options.propagation = text("/propagationPolicy");
                options.orphan = body.get("orphanDependents").and_then(Value::as_bool);
                let listed = body.get("dryRun").and_then(Value::as_array);
                dry_run.extend(listed.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned));
            }
            None => {
                options.grace = int(query, "gracePeriodSeconds")?;
                options.propagation = first(query, "propagationPolicy").map(str::to_owned);
                options.orphan = first(query, "orphanDependents").map(|_| flag(query, "orphanDependents"));
                dry_run.extend(query.iter().filter(|(k, _)| k == "dryRun").map(|(_, v)| v.clone()));
            }
        }
        let mut causes = Vec::new();
        if let Some(policy) = &options.propagation {
            let value = Value::from(policy.as_str()).to_string();
            if options.orphan.is_some() {
                let detail = "orphanDependents and deletionPropagation cannot be both set";
                causes.push(Cause::field(FieldErrorType::Invalid, "propagationPolicy", &value, detail));
            }
            if !matches!(policy.as_str(), "Foreground" | "Background" | "Orphan") {
                let detail = "supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"";
                causes.push(Cause::field(FieldErrorType::NotSupported, "propagationPolicy", &value, detail));
            }
        }
        causes.extend(check_dry_run(&dry_run.iter().map(String::as_str).collect::<Vec<_>>()));
        if !causes.is_empty() {
            return Err(Status::invalid(META, "DeleteOptions", "", causes));
        }
        options.dry_run = !dry_run.is_empty();
        options.grace = options.grace.map(|grace| if grace < 0 { 1 } else { grace });
        Ok(options)
    }

    /// The form that admission sees.
    pub fn to_value(&self) -> Value {
        let mut value = json!({"kind": "DeleteOptions", "apiVersion": "meta.k8s.io/v1"});
        if let Some(grace) = self.grace {
            value["gracePeriodSeconds"] = grace.into();
        }
        if let Some(policy) = &self.propagation {
            value["propagationPolicy"] = policy.as_str().into();
        }
        if self.dry_run {
            value["dryRun"] = json!(["All"]);
        }
        value
    }
}

/// The options of a list or a watch.
#[derive(Clone, Debug, Default)]
pub struct ListOptions {
    /// Which labels objects must have.
    pub labels: LabelSelector,
    /// Which fields objects must have.
    pub fields: FieldSelector,
    /// As given.
    pub resource_version: String,
    /// `Exact`, `NotOlderThan` or empty.
    pub version_match: String,
    /// At most so many; 0 for all.
    pub limit: i64,
    /// The token of the page before.
    pub continue_token: String,
    /// When a watch ends, in seconds.
    pub timeout: Option<i64>,
    /// Whether the client reads bookmarks.
    pub bookmarks: bool,
    /// Whether a watch begins with the present objects.
    pub initial_events: Option<bool>,
}

fn int(query: &[(String, String)], key: &str) -> Result<Option<i64>, Status> {
    let Some(text) = first(query, key) else { return Ok(None) };
    text.parse::<i64>().map(Some).map_err(|error| {
        let why = match error.kind() {
            std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => "value out of range",
            _ => "invalid syntax",
        };
        Status::bad_request(format!("strconv.ParseInt: parsing {}: {why}", Value::from(text)))
    })
}

impl ListOptions {
    /// Reads and checks the options. `watch` is whether this is one.
    ///
    /// # Errors
    /// 400 or 422, in the order in which the reference finds them.
    pub fn read(query: &[(String, String)], definition: &ResourceDefinition, watch: bool) -> Result<Self, Status> {
        let text = |key: &str| first(query, key).unwrap_or("").to_owned();
        let mut options = Self {
            resource_version: text("resourceVersion"),
            version_match: text("resourceVersionMatch"),
            timeout: int(query, "timeoutSeconds")?,
            limit: int(query, "limit")?.unwrap_or(0),
            continue_token: text("continue"),
            bookmarks: flag(query, "allowWatchBookmarks"),
            initial_events: first(query, "sendInitialEvents").map(|_| flag(query, "sendInitialEvents")),
            ..Self::default()
        };
        options.labels = LabelSelector::parse(&text("labelSelector"))?;
        options.fields = FieldSelector::parse(&text("fieldSelector"))?;
        let from_the_start = matches!(options.resource_version.as_str(), "" | "0");
        if watch && options.initial_events.is_none() && options.version_match.is_empty() && from_the_start {
            options.initial_events = Some(true);
            options.version_match = "NotOlderThan".to_owned();
        }
        let causes = if watch { options.check_watch() } else { options.check_list() };
        if !causes.is_empty() {
            return Err(Status::invalid(META, "ListOptions", "", causes));
        }
        for term in options.fields.terms() {
            check_field(definition, &term.field)?;
        }
        options.fields = options.fields.renamed(|label| definition.stored_field(label));
        Ok(options)
    }

    fn check_list(&self) -> Vec<Cause> {
        let mut causes = Vec::new();
        let mut forbid = |field: &str, detail: &str| {
            causes.push(Cause::field(FieldErrorType::Forbidden, field, "", detail));
        };
        let (at, how) = ("resourceVersionMatch", self.version_match.as_str());
        if !how.is_empty() && self.resource_version.is_empty() {
            forbid(at, "resourceVersionMatch is forbidden unless resourceVersion is provided");
        }
        if !how.is_empty() && !self.continue_token.is_empty() {
            forbid(at, "resourceVersionMatch is forbidden when continue is provided");
        }
        if !matches!(how, "" | "Exact" | "NotOlderThan") {
            let value = Value::from(how).to_string();
            let detail = "supported values: \"Exact\", \"NotOlderThan\", \"\"";
            causes.push(Cause::field(FieldErrorType::NotSupported, at, &value, detail));
        }
        let mut forbid = |field: &str, detail: &str| {
            causes.push(Cause::field(FieldErrorType::Forbidden, field, "", detail));
        };
        if how == "Exact" && self.resource_version == "0" {
            forbid(at, "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
        }
        if self.initial_events.is_some() {
            forbid("sendInitialEvents", "sendInitialEvents is forbidden for list");
        }
        causes
    }

    fn check_watch(&self) -> Vec<Cause> {
        let mut causes = Vec::new();
        let (at, how) = ("resourceVersionMatch", self.version_match.as_str());
        let forbid = |detail: &str| Cause::field(FieldErrorType::Forbidden, at, "", detail);
        if self.initial_events.is_some() && how != "NotOlderThan" {
            causes.push(forbid("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
        }
        if how.is_empty() {
            return causes;
        }
        if self.initial_events.is_none() {
            causes.push(forbid("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"));
        }
        if how != "NotOlderThan" {
            let value = Value::from(how).to_string();
            let detail = "supported values: \"NotOlderThan\"";
            causes.push(Cause::field(FieldErrorType::NotSupported, at, &value, detail));
        }
        if !self.continue_token.is_empty() {
            causes.push(forbid("resourceVersionMatch is forbidden when continue is provided"));
        }
        causes
    }

    /// Whether what is selected depends on names and namespaces alone.
    pub fn selects_by_name(&self) -> bool {
        let name = |field: &str| matches!(field, "metadata.name" | "metadata.namespace");
        self.labels.is_everything() && self.fields.terms().iter().all(|term| name(&term.field))
    }

    /// Whether nothing is selected by labels or fields.
    pub fn selects_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything()
    }
}

/// Refuses fields that the resource's selectors do not know, in the words that the reference has for the kind.
fn check_field(definition: &ResourceDefinition, field: &str) -> Result<(), Status> {
    let own_words = matches!(
        definition.kind.as_str(),
        "Pod"
            | "Node"
            | "ReplicationController"
            | "Event"
            | "Namespace"
            | "Secret"
            | "Service"
            | "CertificateSigningRequest"
    );
    let place =
        (!matches!(definition.kind.as_str(), "Node" | "Namespace" | "CertificateSigningRequest" | "ResourceSlice"))
            && field == "metadata.namespace";
    if field == "metadata.name" || place || definition.field_selectors.iter().any(|known| known.label == field) {
        return Ok(());
    }
    let message = match definition.kind.as_str() {
        _ if definition.custom.is_some() => format!("field label not supported: {field}"),
        "Job" => format!("field label \"{field}\" not supported for Job"),
        "ResourceSlice" => {
            format!("field label not supported for {}, Kind=ResourceSlice: {field}", definition.api_version())
        }
        _ if own_words && definition.builtin => format!("field label not supported: {field}"),
        _ => format!("\"{field}\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""),
    };
    Err(Status::bad_request(message))
}
