//! The admission pipeline as the generic handlers see it: mutate, check the object, check the policies.
//!
//! The modules here are the part that the host does itself: what has to look at all objects of a kind (limit ranges,
//! default classes), to count exactly (quotas) or to ask who may do something (signers, nodes). All else is components.

pub mod classes;
pub mod limits;
pub mod nodes;
pub mod quota;
pub mod reinvocation;
pub mod signing;

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use parking_lot::Mutex;
use portcullis_machinery::{Status, Value};
use portcullis_policy::AdmissionDocument;

use crate::context::{Context, UserInfo};
use crate::replay::Recorder;

/// What a request does to the object (`admission.k8s.io` Operation).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A new object.
    Create,
    /// A change of an object.
    Update,
    /// The removal of an object.
    Delete,
    /// A connection through the server: exec, attach, port-forward, proxy.
    Connect,
}

impl Operation {
    /// The word that admission reviews carry: `CREATE`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

/// A group, a version, and a kind or a resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupVersionName {
    /// Empty for the core group.
    pub group: String,
    /// `v1`.
    pub version: String,
    /// The kind (`Pod`) or the resource (`pods`).
    pub name: String,
}

/// Everything about a write that is not the new object itself (`admission.k8s.io/v1` AdmissionRequest).
#[derive(Clone, Debug)]
pub struct AdmissionAttributes {
    /// What is done.
    pub operation: Operation,
    /// The kind of the object sent: for a subresource its own kind (`Scale`).
    pub kind: GroupVersionName,
    /// The resource written to.
    pub resource: GroupVersionName,
    /// `status`; empty for the object itself.
    pub subresource: String,
    /// Empty while a name has yet to be generated.
    pub name: String,
    /// Empty for cluster-scoped objects.
    pub namespace: String,
    /// Whether nothing will be stored.
    pub dry_run: bool,
    /// The object as stored; none on create.
    pub old_object: Option<Arc<Value>>,
    /// The Namespace that the object lives in, if it does and that one exists.
    pub namespace_object: Option<Arc<Value>>,
    /// The CreateOptions, UpdateOptions, PatchOptions or DeleteOptions.
    pub options: Value,
    /// Who writes.
    pub user: UserInfo,
    /// What admission makes of all this once for its steps; begin with the default.
    pub prepared: Prepared,
}

/// What the steps of admission share of what they make of a request. A copy of the attributes begins anew, since it is
/// made to differ.
#[derive(Debug, Default)]
pub struct Prepared {
    /// The document's `request`.
    pub request: OnceLock<Arc<Value>>,
    /// The document, as long as its object is the one that is admitted.
    pub document: Mutex<Option<Arc<AdmissionDocument>>>,
}

impl Clone for Prepared {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl AdmissionAttributes {
    /// Sets the name that was generated meanwhile.
    pub fn set_name(&mut self, name: &str) {
        if self.name != name {
            name.clone_into(&mut self.name);
            self.prepared = Prepared::default();
        }
    }

    /// The object, which admission is done with and holds on to no longer.
    pub fn release(&self, object: Arc<Value>) -> Value {
        *self.prepared.document.lock() = None;
        Arc::unwrap_or_clone(object)
    }
}

/// Steps 4, 6 and 7 of a request. A deletion has `Value::Null` as its object. The validators take the object shared, since
/// a component's instance holds on to the document for the time of its call.
#[async_trait]
pub trait Admission: Send + Sync {
    /// Lets mutators change the object.
    async fn mutate(&self, cx: &Context, attributes: &AdmissionAttributes, object: &mut Value) -> Result<(), Status>;

    /// Checks the object by the rules of its kind: 422 with one cause for each field that is wrong.
    async fn validate_object(
        &self,
        cx: &Context,
        attributes: &AdmissionAttributes,
        object: &Arc<Value>,
    ) -> Result<(), Status>;

    /// What keeps recent requests, if anything does.
    fn recorder(&self) -> Option<&Recorder> {
        None
    }

    /// Lets validators refuse.
    async fn validate(&self, cx: &Context, attributes: &AdmissionAttributes, object: &Arc<Value>)
    -> Result<(), Status>;
}

/// Admits everything as it is.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoAdmission;

#[async_trait]
impl Admission for NoAdmission {
    async fn mutate(&self, _: &Context, _: &AdmissionAttributes, _: &mut Value) -> Result<(), Status> {
        Ok(())
    }

    async fn validate_object(&self, _: &Context, _: &AdmissionAttributes, _: &Arc<Value>) -> Result<(), Status> {
        Ok(())
    }

    async fn validate(&self, _: &Context, _: &AdmissionAttributes, _: &Arc<Value>) -> Result<(), Status> {
        Ok(())
    }
}
