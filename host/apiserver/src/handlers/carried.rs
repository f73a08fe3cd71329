//! Admission of what a request carries in a kind of its own: a binding, an eviction, a request for a token, a review, the
//! options of a connection. It is admitted as it is, and not what it is done to; nothing of it is stored.

use std::sync::Arc;

use portcullis_machinery::definition::ResourceDefinition;
use portcullis_machinery::schema::{Schema, Shape, builtin};
use portcullis_machinery::{Status, Value};

use super::{Scope, write};
use crate::admission::{AdmissionAttributes, Operation};

/// See the module.
pub struct Carried {
    /// The request's scope, with what is carried as its kind.
    scope: Scope,
    attributes: AdmissionAttributes,
}

impl Carried {
    /// What a request carries to the object of that name.
    pub fn new(scope: &Scope, operation: Operation, name: &str, dry_run: bool, options: Value) -> Self {
        Self { attributes: scope.attributes(operation, name, dry_run, options), scope: scope_of_body(scope) }
    }

    /// Lets mutators change it.
    ///
    /// # Errors
    /// Whatever a mutator answers.
    pub async fn mutate(&self, body: &mut Value) -> Result<(), Status> {
        write::mutate(&self.scope, &self.attributes, body).await
    }

    /// Lets validators refuse it.
    ///
    /// # Errors
    /// Whatever a validator answers.
    pub async fn validate(&self, body: &Value) -> Result<(), Status> {
        write::admit(&self.scope, &self.attributes, &Arc::new(body.clone())).await
    }
}

/// The request's scope, with the kind of the subresource in place of the resource's.
pub fn scope_of_body(scope: &Scope) -> Scope {
    let Some(sub) = scope.subresource.as_ref().filter(|sub| sub.kind != scope.definition.kind) else {
        return scope.clone();
    };
    let definition = ResourceDefinition {
        group: sub.group.clone(),
        version: sub.version.clone(),
        kind: sub.kind.clone(),
        schema: schema_of(&sub.group, &sub.version, &sub.kind),
        builtin: true,
        columns: Vec::new(),
        custom: None,
        ..(*scope.definition).clone()
    };
    Scope { definition: Arc::new(definition), ..scope.clone() }
}

/// The type of a built-in kind; one that is in no table takes everything.
fn schema_of(group: &str, version: &str, kind: &str) -> Arc<Schema> {
    let package = match group.split('.').next() {
        None | Some("") => "core",
        Some(package) => package,
    };
    builtin::schema(&format!("io.k8s.api.{package}.{version}.{kind}"))
        .unwrap_or_else(|| Arc::new(Schema { name: Arc::from(""), go_type: Arc::from(""), shape: Shape::Any }))
}
