//! What is particular to requests for custom resources before a handler has them.

use http::Method;
use portcullis_machinery::Status;
use portcullis_machinery::status::StatusDetails;

use crate::context::RequestContext;
use crate::handlers::Scope;
use crate::handlers::body::Expected;
use portcullis_machinery::{Value, definition, object};

/// 405 in the words of the reference's extension server.
pub fn method_not_supported(scope: &Scope, method: &Method) -> Status {
    let resource = portcullis_machinery::status::group_resource(scope.group(), scope.resource());
    let (terminating, verb) = (scope.definition.custom.as_ref().is_some_and(|c| c.terminating), &scope.cx.info.verb);
    let message = if terminating && *method == Method::POST {
        format!("{verb} not permitted while custom resource definition is terminating")
    } else {
        format!("{verb} is not supported on resources of kind \"{resource}\"")
    };
    Status::failure(405, "MethodNotAllowed", message).with_details(StatusDetails {
        group: scope.group().to_owned(),
        kind: scope.resource().to_owned(),
        ..StatusDetails::default()
    })
}

/// Warns of a deprecated version.
pub fn warn(cx: &RequestContext, definition: &definition::ResourceDefinition) {
    if let Some(text) = definition.custom.as_ref().and_then(|custom| custom.deprecation.as_ref()) {
        cx.warn(text.clone());
    }
}

/// Checks what the body of a request says it is. A kind that is not the resource's own is left to validation.
///
/// # Errors
/// 400.
pub fn check_head(value: &Value, body: &[u8], summary: &str, expected: Expected<'_>) -> Result<(), Status> {
    let kind = expected.kind;
    if object::kind(value).is_empty() {
        let body = String::from_utf8_lossy(body);
        return Err(Status::bad_request(format!(
            "the object provided is unrecognized (must be of type {kind}): Object 'Kind' is missing in '{body}' \
             ({summary})"
        )));
    }
    let wanted = definition::api_version(expected.group, expected.version);
    let given = object::api_version(value);
    if given != wanted {
        return Err(Status::bad_request(format!(
            "the API version in the data ({given}) does not match the expected API version ({wanted})"
        )));
    }
    Ok(())
}
