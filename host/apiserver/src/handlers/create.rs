//! POST to a collection.

use axum::body::Body;
use http::Response;
use portcullis_machinery::{Status, object};

use super::body::{self, Expected};
use super::options::{WriteKind, write_options};
use super::transform::respond_object;
use super::{Scope, write};
use crate::admission::Operation;
use crate::negotiation::body_media;
use crate::{reviews, strategy, webhooks};

/// Makes an object of the body and stores it.
///
/// # Errors
/// As the reference answers.
pub async fn create(scope: &Scope, request_body: Body) -> Result<Response<Body>, Status> {
    let media = body_media(&scope.headers)?;
    let bytes = body::read(request_body, scope.server.config.max_request_body_bytes).await?;
    let options = write_options(&scope.query, WriteKind::Create)?;
    let definition = &scope.definition;
    let expected = Expected {
        group: &definition.group,
        version: &definition.version,
        kind: &definition.kind,
        schema: &definition.schema,
    };
    let object = body::decode(&scope.cx, &bytes, media, expected, options.validation)?;
    if reviews::is_review(&definition.group, &definition.plural) {
        let mut object = object;
        let dry_run = options.dry_run;
        let attributes = scope.attributes(Operation::Create, "", dry_run, options.to_value("CreateOptions"));
        webhooks::admit(scope, &attributes, &mut object).await?;
        let review = reviews::create(&scope.server, &scope.cx, object).await?;
        return respond_object(scope, 201, &review);
    }
    if definition.kind == "Binding" && definition.group.is_empty() {
        let mut pod = scope.clone();
        object::name(&object).clone_into(&mut pod.name);
        return super::subresources::bind(&pod, object, &options).await;
    }
    let raw_data = strategy::revision::sent(scope, &bytes, media);
    let mut scope_of_new = Scope { raw_data, ..scope.clone() };
    if definition.plural == "namespaces" && definition.group.is_empty() {
        scope_of_new.namespace = String::new();
    }
    let stored = write::create(&scope_of_new, object, &options, options.to_value("CreateOptions")).await?;
    stored.respond(scope, 201)
}
