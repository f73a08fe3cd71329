//! TokenReview, SubjectAccessReview and its relatives: resources that are answered and not stored.

use portcullis_machinery::status::{Cause, FieldErrorType};
use portcullis_machinery::{Status, Value, object};
use serde_json::{Map, json};

use crate::authn::{AUDIENCES_EXTRA, with_authenticated_group};
use crate::authz::Decision;
use crate::context::{Context, RequestInfo, UserInfo};
use crate::server::ApiServer;
use crate::tokens::claims_of;

/// Whether a group's resource is one of the reviews.
pub fn is_review(group: &str, resource: &str) -> bool {
    match group {
        "authentication.k8s.io" => matches!(resource, "tokenreviews" | "selfsubjectreviews"),
        "authorization.k8s.io" => matches!(
            resource,
            "subjectaccessreviews"
                | "localsubjectaccessreviews"
                | "selfsubjectaccessreviews"
                | "selfsubjectrulesreviews"
        ),
        _ => false,
    }
}

/// Answers a review: takes the decoded, defaulted body and returns the object with its status (to be sent with 201).
///
/// # Errors
/// 400 or 422 as the reference answers.
pub async fn create(server: &ApiServer, cx: &Context, mut review: Value) -> Result<Value, Status> {
    let status = match cx.info.resource.as_str() {
        "tokenreviews" => token_review(server, cx, &review).await?,
        "selfsubjectreviews" => {
            object::set_at(&mut review, &["metadata", "creationTimestamp"], object::now_rfc3339());
            json!({"userInfo": user_value(&cx.user)})
        }
        "selfsubjectrulesreviews" => rules_review(server, cx, &review)?,
        resource => access_review(server, cx, &review, resource)?,
    };
    object::set_at(&mut review, &["status"], status);
    Ok(review)
}

/// A user as reviews show it; empty parts are left out.
pub fn user_value(user: &UserInfo) -> Value {
    let mut value = Map::new();
    if !user.username.is_empty() {
        value.insert("username".to_owned(), json!(user.username));
    }
    if !user.uid.is_empty() {
        value.insert("uid".to_owned(), json!(user.uid));
    }
    if !user.groups.is_empty() {
        value.insert("groups".to_owned(), json!(user.groups));
    }
    if !user.extra.is_empty() {
        let extra: Map<String, Value> = user.extra.iter().map(|(key, values)| (key.clone(), json!(values))).collect();
        value.insert("extra".to_owned(), Value::Object(extra));
    }
    Value::Object(value)
}

fn strings(value: &Value, path: &[&str]) -> Vec<String> {
    object::list_at(value, path).iter().filter_map(|item| item.as_str().map(str::to_owned)).collect()
}

async fn token_review(server: &ApiServer, cx: &Context, review: &Value) -> Result<Value, Status> {
    let token = object::str_at(review, &["spec", "token"]).unwrap_or_default();
    if token.is_empty() {
        return Err(Status::bad_request("token is required for TokenReview in authentication"));
    }
    let wanted = strings(review, &["spec", "audiences"]);
    let ours = server.config.audiences();
    let mut document = json!({
        "authorization": {"scheme": "Bearer", "token": token},
        "request": {"method": "POST", "path": cx.info.path, "sourceIP": ""},
    });
    if !wanted.is_empty() {
        document["authorization"]["audiences"] = json!(wanted);
    }
    let failed = |error: String| json!({"user": {}, "error": error});
    let mismatch = |token_audiences: &[String]| {
        failed(format!(
            "[invalid bearer token, token audiences {} is invalid for the target audiences {}]",
            crate::authz::rules::quoted_list(token_audiences),
            crate::authz::rules::quoted_list(&wanted),
        ))
    };
    // The token's own audiences, of a JWT; other tokens are for this server.
    let own = claims_of(token).and_then(|claims| match claims.get("aud") {
        Some(Value::String(one)) => Some(vec![one.clone()]),
        Some(Value::Array(_)) => Some(strings(&claims, &["aud"])),
        _ => None,
    });
    let found = match server.authenticators.authenticate(&document).await {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(failed("invalid bearer token".to_owned())),
        Err(status) if status.code == 401 => {
            return Ok(match own {
                Some(own) if !wanted.is_empty() && !own.iter().any(|audience| wanted.contains(audience)) => {
                    mismatch(&own)
                }
                _ => failed("invalid bearer token".to_owned()),
            });
        }
        Err(status) => return Err(status),
    };
    let mut user = found.user;
    let named = user.extra.iter().position(|(key, _)| key == AUDIENCES_EXTRA).map(|at| user.extra.remove(at).1);
    let token_audiences = named.or(own).unwrap_or_else(|| ours.to_vec());
    let targets: &[String] = if wanted.is_empty() { ours } else { &wanted };
    // A component may have looked at the server's audiences alone. What is answered here is what the token is for.
    let audiences: Vec<&String> = targets.iter().filter(|audience| token_audiences.contains(audience)).collect();
    if audiences.is_empty() {
        return Ok(mismatch(&token_audiences));
    }
    Ok(json!({
        "authenticated": true,
        "user": user_value(&with_authenticated_group(user)),
        "audiences": audiences,
    }))
}

/// The 422 of a review, if anything is wrong with it.
fn check(kind: &str, causes: Vec<Cause>) -> Result<(), Status> {
    if causes.is_empty() { Ok(()) } else { Err(Status::invalid("authorization.k8s.io", kind, "", causes)) }
}

fn access_review(server: &ApiServer, cx: &Context, review: &Value, resource: &str) -> Result<Value, Status> {
    let (kind, own, local) = match resource {
        "selfsubjectaccessreviews" => ("SelfSubjectAccessReview", true, false),
        "localsubjectaccessreviews" => ("LocalSubjectAccessReview", false, true),
        _ => ("SubjectAccessReview", false, false),
    };
    let part = |key: &str| review.pointer(&format!("/spec/{key}")).filter(|value| !value.is_null());
    let (asked, path) = (part("resourceAttributes"), part("nonResourceAttributes"));
    let user = if own { cx.user.clone() } else { subject(review) };
    let invalid = |field: &str, value: &str, detail: &str| Cause::field(FieldErrorType::Invalid, field, value, detail);
    let mut causes = Vec::new();
    if let (Some(_), Some(path)) = (asked, path) {
        let detail = "cannot be specified in combination with resourceAttributes";
        causes.push(invalid("spec.nonResourceAttributes", &path.to_string(), detail));
    }
    if asked.is_none() && path.is_none() {
        let detail = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        causes.push(invalid("spec.resourceAttributes", "null", detail));
    }
    if !own && user.username.is_empty() && user.groups.is_empty() {
        causes.push(invalid("spec.user", "\"\"", "at least one of user or group must be specified"));
    }
    let namespace = asked.and_then(|asked| object::str_at(asked, &["namespace"])).unwrap_or_default();
    if local {
        if asked.is_some() && namespace != cx.info.namespace {
            let value = format!("{namespace:?}");
            causes.push(invalid("spec.resourceAttributes.namespace", &value, "must match metadata.namespace"));
        }
        if let Some(path) = path {
            let value = path.to_string();
            causes.push(invalid("spec.nonResourceAttributes", &value, "disallowed on this kind of request"));
        }
    }
    check(kind, causes)?;
    let (decision, reason) = match server.authorizer.authorize(&user, &request_of(asked, path)) {
        Decision::Allow(reason) => ("allowed", reason),
        Decision::Deny(reason) => ("denied", reason),
        Decision::NoOpinion(reason) => ("", reason),
    };
    let mut status = Map::new();
    status.insert("allowed".to_owned(), json!(decision == "allowed"));
    if decision == "denied" {
        status.insert("denied".to_owned(), json!(true));
    }
    if !reason.is_empty() {
        status.insert("reason".to_owned(), json!(reason));
    }
    Ok(Value::Object(status))
}

/// The user that a SubjectAccessReview asks about.
fn subject(review: &Value) -> UserInfo {
    let text = |key: &str| object::str_at(review, &["spec", key]).unwrap_or_default().to_owned();
    let extra = review.pointer("/spec/extra").and_then(Value::as_object);
    UserInfo {
        username: text("user"),
        uid: text("uid"),
        groups: strings(review, &["spec", "groups"]),
        extra: extra.into_iter().flatten().map(|(key, values)| (key.to_lowercase(), strings(values, &[]))).collect(),
    }
}

/// The request that a review asks about.
fn request_of(asked: Option<&Value>, path: Option<&Value>) -> RequestInfo {
    let text = |from: &Value, key: &str| object::str_at(from, &[key]).unwrap_or_default().to_owned();
    if let Some(asked) = asked {
        let selector = asked.pointer("/fieldSelector/requirements").and_then(Value::as_array);
        let mut field_selector =
            object::str_at(asked, &["fieldSelector", "rawSelector"]).unwrap_or_default().to_owned();
        for requirement in selector.into_iter().flatten() {
            let values = strings(requirement, &["values"]);
            if let ("In", [value]) = (text(requirement, "operator").as_str(), values.as_slice()) {
                field_selector = format!("{field_selector},{}={value}", text(requirement, "key"));
            }
        }
        return RequestInfo {
            is_resource_request: true,
            verb: text(asked, "verb"),
            api_group: text(asked, "group"),
            api_version: text(asked, "version"),
            resource: text(asked, "resource"),
            subresource: text(asked, "subresource"),
            namespace: text(asked, "namespace"),
            name: text(asked, "name"),
            field_selector,
            path: String::new(),
        };
    }
    let path = path.unwrap_or(&Value::Null);
    RequestInfo { verb: text(path, "verb"), path: text(path, "path"), ..RequestInfo::default() }
}

fn rules_review(server: &ApiServer, cx: &Context, review: &Value) -> Result<Value, Status> {
    let namespace = object::str_at(review, &["spec", "namespace"]).unwrap_or_default();
    if namespace.is_empty() {
        return Err(Status::bad_request("no namespace on request"));
    }
    let (rules, incomplete, errors) = server.authorizer.rules_for(&cx.user, namespace);
    let (mut of_resources, mut of_paths) = (Vec::new(), Vec::new());
    for rule in rules {
        if !rule.resources.is_empty() {
            let mut entry = json!({"verbs": rule.verbs, "apiGroups": rule.api_groups, "resources": rule.resources});
            if !rule.resource_names.is_empty() {
                entry["resourceNames"] = json!(rule.resource_names);
            }
            of_resources.push(entry);
        }
        if !rule.non_resource_urls.is_empty() {
            of_paths.push(json!({"verbs": rule.verbs, "nonResourceURLs": rule.non_resource_urls}));
        }
    }
    let mut status = json!({"resourceRules": of_resources, "nonResourceRules": of_paths, "incomplete": incomplete});
    if !errors.is_empty() {
        status["evaluationError"] = json!(errors.join(", "));
    }
    Ok(status)
}
