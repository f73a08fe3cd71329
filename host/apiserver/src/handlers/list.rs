//! LIST: selection, paging, and lists spliced from the objects' stored bytes.

use std::sync::Arc;

use axum::body::Body;
use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::Response;
use portcullis_machinery::codec::{Media, protobuf};
use portcullis_machinery::{Status, Value};
use portcullis_storage::StoreError;
use portcullis_storage::cache::{CachedObject, Snapshot};
use serde_json::json;

use super::Scope;
use super::options::ListOptions;
use super::scope::{parse_version, store_error, too_large};
use super::transform::{include, partial, table};
use crate::customresources::conversion;
use crate::negotiation::Transform;
use crate::respond;

mod stream;

/// One page of a list.
pub struct Page {
    /// The revision that was read at.
    pub revision: u64,
    /// The objects.
    pub objects: Vec<Arc<CachedObject>>,
    /// The token for the next page; empty if this is the last one.
    pub continue_token: String,
    /// How many objects follow; known only if nothing was selected.
    pub remaining: Option<usize>,
}

/// Answers with a list.
///
/// # Errors
/// 400, 410, 422 or 504 for options that cannot be met.
pub async fn list(scope: &Scope) -> Result<Response<Body>, Status> {
    let options = ListOptions::read(&scope.query, &scope.definition, false)?;
    let page = page(scope, &options).await?;
    respond_page(scope, page).await
}

/// Whether an object is selected.
pub fn selects(options: &ListOptions, object: &CachedObject) -> bool {
    options.labels.matches(|key| object.label(key)) && options.fields.matches(|field| object.field(field))
}

/// The namespace that a list is narrowed to, by its path or its field selector.
pub fn namespace_of<'a>(scope: &'a Scope, options: &'a ListOptions) -> Option<&'a str> {
    if !scope.definition.namespaced {
        None
    } else if scope.namespace.is_empty() {
        options.fields.required("metadata.namespace").filter(|namespace| !namespace.is_empty())
    } else {
        Some(&scope.namespace)
    }
}

/// Reads one page.
///
/// # Errors
/// As [`list`].
pub async fn page(scope: &Scope, options: &ListOptions) -> Result<Page, Status> {
    let cache = scope.cache();
    let all = scope.definition.key_prefix(None);
    let prefix = scope.definition.key_prefix(namespace_of(scope, options));
    let mut after = None;
    let mut exact = None;
    let mut wanted = None;
    if options.continue_token.is_empty() {
        wanted = parse_version(&options.resource_version)
            .map_err(|text| Status::bad_request(format!("invalid resource version: {text}")))?;
        let legacy_exact = options.version_match.is_empty() && options.limit > 0 && wanted.is_some_and(|v| v > 0);
        if options.version_match == "Exact" || legacy_exact {
            exact = wanted;
        }
    } else {
        let (revision, start) = decode_continue(&options.continue_token)
            .map_err(|text| Status::bad_request(format!("invalid continue token: {text}")))?;
        if !matches!(options.resource_version.as_str(), "" | "0") {
            return Err(Status::bad_request("specifying resource version is not allowed when using continue"));
        }
        after = Some(format!("{prefix}{}", start.trim_start_matches('/').trim_end_matches('\0')));
        exact = u64::try_from(revision).ok();
    }
    let snapshot = match exact {
        Some(revision) => cache.snapshot_at(revision).await,
        None => cache.snapshot(wanted).await,
    };
    let snapshot = snapshot.map_err(|error| match error {
        StoreError::FutureRevision { current } => too_large(exact.or(wanted).unwrap_or(0), current),
        StoreError::Compacted { .. } if !options.continue_token.is_empty() => {
            expired_page(&options.continue_token, &all)
        }
        StoreError::Compacted { .. } => Status::expired("The resourceVersion for the provided list is too old."),
        other => store_error(&other),
    })?;
    snapshot.complete(&prefix).map_err(|error| store_error(&error))?;
    // As in the reference, a limit does not count for a list of whatever is in the cache.
    let limit = if options.resource_version == "0" && options.continue_token.is_empty() { 0 } else { options.limit };
    if conversion::selects_forms(&scope.definition) && !options.selects_by_name() {
        return collect_forms(scope, options, &snapshot, &prefix, after.as_deref(), limit).await;
    }
    Ok(collect(options, &snapshot, &prefix, after.as_deref(), limit))
}

/// How many objects are converted together before selectors are asked of them.
const BATCH: usize = 500;

/// As [`collect`], with selectors that only the objects' forms in the request's version can answer.
async fn collect_forms(
    scope: &Scope,
    options: &ListOptions,
    snapshot: &Snapshot,
    prefix: &str,
    after: Option<&str>,
    limit: i64,
) -> Result<Page, Status> {
    let mut selected = Vec::new();
    let enough = usize::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let all: Vec<Arc<CachedObject>> = snapshot.under(prefix, after).cloned().collect();
    for batch in all.chunks(BATCH) {
        let forms = conversion::forms(scope, batch).await?;
        let wanted = batch.iter().zip(&forms).filter(|(_, form)| selects(options, form));
        selected.extend(wanted.map(|(object, _)| Arc::clone(object)));
        // One more than the page takes tells that there is a next page.
        if selected.len() > enough {
            break;
        }
    }
    let mut page =
        Page { revision: snapshot.revision, objects: selected, continue_token: String::new(), remaining: None };
    if page.objects.len() > enough {
        page.objects.truncate(enough);
        let last = page.objects.last().map_or("", |object| &object.key[prefix.len()..]);
        page.continue_token = encode_continue(snapshot.revision, last);
    }
    Ok(page)
}

fn collect(options: &ListOptions, snapshot: &Snapshot, prefix: &str, after: Option<&str>, limit: i64) -> Page {
    let limit = usize::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let everything = options.selects_everything();
    let mut page =
        Page { revision: snapshot.revision, objects: Vec::new(), continue_token: String::new(), remaining: None };
    let mut rest = snapshot.under(prefix, after);
    let mut last: Option<Arc<str>> = None;
    for object in rest.by_ref() {
        if !everything && !selects(options, object) {
            continue;
        }
        if page.objects.len() == limit {
            let key = last.as_deref().unwrap_or(prefix);
            page.continue_token = encode_continue(snapshot.revision, &key[prefix.len().min(key.len())..]);
            page.remaining = everything.then(|| 1 + rest.count());
            break;
        }
        last = Some(object.key.clone());
        page.objects.push(object.clone());
    }
    page
}

/// Answers with a page in the form that was negotiated.
///
/// # Errors
/// 406 if the client asked for the metadata of one object.
pub async fn respond_page(scope: &Scope, mut page: Page) -> Result<Response<Body>, Status> {
    page.objects = conversion::forms(scope, &page.objects).await?;
    let output = &scope.output;
    if output.transform == Transform::None
        && output.media == Media::Protobuf
        && let Some(body) = messages(scope, &page)
    {
        return Ok(respond::raw(200, output.content_type(), body));
    }
    if output.transform == Transform::None {
        let metadata = list_metadata(scope, &page);
        return Ok(stream::respond(scope, page.objects, &metadata));
    }
    let objects: Vec<Arc<Value>> = page.objects.iter().map(|object| object.value()).collect();
    respond_values(scope, &objects, list_metadata(scope, &page))
}

/// Answers with these objects in the form that was negotiated.
///
/// # Errors
/// 406 if the client asked for the metadata of one object.
pub fn respond_values(scope: &Scope, objects: &[Arc<Value>], metadata: Value) -> Result<Response<Body>, Status> {
    let output = &scope.output;
    let document = match output.transform {
        Transform::None => {
            let item = |object: &Arc<Value>| match scope.definition.builtin {
                true => list_item(object),
                // Items of custom resources say what they are.
                false => (**object).clone(),
            };
            let items: Vec<Value> = objects.iter().map(item).collect();
            json!({
                "kind": scope.definition.list_kind, "apiVersion": scope.definition.api_version(),
                "metadata": metadata, "items": items,
            })
        }
        Transform::PartialList => {
            let items: Vec<Value> = objects.iter().map(|object| partial(output, object)).collect();
            json!({
                "kind": "PartialObjectMetadataList", "apiVersion": output.meta_version(),
                "metadata": metadata, "items": items,
            })
        }
        Transform::Table => table(scope, objects.iter().map(|object| &**object), metadata, true, include(scope)?),
        Transform::Partial => {
            return Err(Status::failure(
                406,
                "NotAcceptable",
                format!(
                    "you requested PartialObjectMetadata, but the requested object is a list (*{}.{})",
                    super::transform::go_package(scope),
                    scope.definition.list_kind
                ),
            ));
        }
    };
    Ok(respond::value(200, output, &document))
}

/// The list as a message, from the objects' own messages.
fn messages(scope: &Scope, page: &Page) -> Option<Bytes> {
    let items: Vec<Bytes> = page.objects.iter().map(|object| scope.message_of(object)).collect::<Option<_>>()?;
    let (version, kind) = (scope.definition.api_version(), &scope.definition.list_kind);
    protobuf::list(&version, kind, &list_metadata(scope, page), items.iter().map(|item| &**item))
}

fn list_item(object: &Value) -> Value {
    let mut item = object.clone();
    if let Some(map) = item.as_object_mut() {
        map.remove("kind");
        map.remove("apiVersion");
    }
    item
}

fn list_metadata(scope: &Scope, page: &Page) -> Value {
    let mut metadata = json!({"resourceVersion": page.revision.to_string()});
    if !scope.definition.builtin && scope.output.transform == Transform::None {
        // A list without a type of its own says so when there is no next page.
        metadata["continue"] = "".into();
    }
    if !page.continue_token.is_empty() {
        metadata["continue"] = page.continue_token.as_str().into();
    }
    if let Some(remaining) = page.remaining {
        metadata["remainingItemCount"] = remaining.into();
    }
    metadata
}

/// The token of a page: the revision of the list, and the last key given, as the reference writes it.
fn encode_continue(revision: u64, last: &str) -> String {
    encode_token(revision.try_into().unwrap_or(i64::MAX), &format!("{last}\0"))
}

fn encode_token(revision: i64, start: &str) -> String {
    let start = Value::from(start);
    URL_SAFE_NO_PAD.encode(format!("{{\"v\":\"meta.k8s.io/v1\",\"rv\":{revision},\"start\":{start}}}"))
}

/// As tolerant as the reference's decoder: bits that are left over at the end do not matter.
const TOKENS: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));

fn decode_continue(token: &str) -> Result<(i64, String), String> {
    const INVALID: &str = "continue key is not valid";
    let data = TOKENS.decode(token).map_err(|error| format!("{INVALID}: {error}"))?;
    let value: Value = serde_json::from_slice(&data).map_err(|_| {
        let first = data.first().copied().unwrap_or(b' ');
        format!("{INVALID}: invalid character '{}' looking for beginning of value", char::from(first))
    })?;
    let version = value.get("v").and_then(Value::as_str).unwrap_or("");
    if version != "meta.k8s.io/v1" {
        return Err(format!("{INVALID}: server does not recognize this encoded version {version}"));
    }
    let revision = value.get("rv").and_then(Value::as_i64).unwrap_or(0);
    if revision == 0 {
        return Err(format!("{INVALID}: incorrect encoded start resourceVersion (version meta.k8s.io/v1)"));
    }
    let start = value.get("start").and_then(Value::as_str).unwrap_or("");
    if start.is_empty() {
        return Err(format!("{INVALID}: encoded start key empty (version meta.k8s.io/v1)"));
    }
    if start.split('/').any(|part| matches!(part.trim_end_matches('\0'), "." | "..")) || start.contains("//") {
        return Err(format!("{INVALID}: {start}"));
    }
    Ok((revision, start.to_owned()))
}

/// 410 for a page whose revision is gone, with a token that continues from the same key at the present revision.
fn expired_page(token: &str, _prefix: &str) -> Status {
    let mut status = Status::expired(
        "The provided continue parameter is too old to display a consistent list result. You can start a new list \
         without the continue parameter, or use the continue token in this response to retrieve the remainder of the \
         results. Continuing with the provided token results in an inconsistent list - objects that were created, \
         modified, or deleted between the time the first chunk was returned and now may show up in the list.",
    );
    if let Ok((_, start)) = decode_continue(token) {
        status.metadata.insert("continue".into(), encode_token(-1, &start).into());
    }
    status
}
