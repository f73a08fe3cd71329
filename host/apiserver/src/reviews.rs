//! TokenReview, SubjectAccessReview and its relatives: resources that are answered and not stored.

use portcullis_machinery::{Status, Value};

use crate::context::Context;
use crate::server::ApiServer;

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
pub async fn create(_server: &ApiServer, _cx: &Context, _review: Value) -> Result<Value, Status> {
    Err(Status::unavailable("reviews are not served yet"))
}
