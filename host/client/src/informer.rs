//! Informers: a local, always current copy of a collection, by list and watch.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::client::Client;
use crate::object::{Object, ObjectExt, object_key};
use crate::resource::Resource;
use portcullis_machinery::Value;

mod reflector;
mod store;

use store::Shared;

#[cfg(test)]
mod tests;

/// A change of an informer's collection.
#[derive(Clone, Debug)]
pub enum InformerEvent {
    /// The object is new.
    Added(Object),
    /// The object changed (or was only listed again: compare versions).
    Updated {
        /// Before.
        old: Object,
        /// After.
        new: Object,
    },
    /// The object is gone; this is the last state known of it.
    Deleted(Object),
}

impl InformerEvent {
    /// The object in its latest state.
    pub fn object(&self) -> &Object {
        match self {
            Self::Added(object) | Self::Deleted(object) | Self::Updated { new: object, .. } => object,
        }
    }
}

/// Changes an object before it is kept, for instance to drop fields nobody reads.
pub type Transform = Arc<dyn Fn(&mut Value) + Send + Sync>;
/// The keys of an index under which an object is found.
pub type IndexFn = Arc<dyn Fn(&Value) -> Vec<String> + Send + Sync>;
/// Called for each event, in order, on the informer's own task: must be short.
pub type Handler = Arc<dyn Fn(&InformerEvent) + Send + Sync>;

/// What an informer watches and how it keeps it.
#[derive(Clone)]
pub struct InformerBuilder {
    client: Client,
    resource: Resource,
    namespace: String,
    label_selector: String,
    field_selector: String,
    metadata_only: bool,
    transform: Option<Transform>,
    indexes: Vec<(String, IndexFn)>,
}

impl InformerBuilder {
    /// Only objects of one namespace.
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.namespace = namespace.to_owned();
        self
    }
    /// Only objects that match a label selector.
    pub fn label_selector(mut self, selector: &str) -> Self {
        self.label_selector = selector.to_owned();
        self
    }
    /// Only objects that match a field selector.
    pub fn field_selector(mut self, selector: &str) -> Self {
        self.field_selector = selector.to_owned();
        self
    }
    /// Only the objects' metadata (`PartialObjectMetadata`), which keeps the copy small.
    pub fn metadata_only(mut self) -> Self {
        self.metadata_only = true;
        self
    }
    /// Drops or rewrites fields before an object is kept. `metadata.managedFields` is dropped always.
    pub fn transform(mut self, transform: impl Fn(&mut Value) + Send + Sync + 'static) -> Self {
        self.transform = Some(Arc::new(transform));
        self
    }
    /// Adds an index; [`Informer::by_index`] asks it.
    pub fn index(mut self, name: &str, keys: impl Fn(&Value) -> Vec<String> + Send + Sync + 'static) -> Self {
        self.indexes.push((name.to_owned(), Arc::new(keys)));
        self
    }
    /// Adds the index `owner`: the uid of each owner reference.
    pub fn index_by_owner(self) -> Self {
        self.index("owner", |object| {
            object.owner_references().iter().map(|owner| owner.str_at(&["uid"]).to_owned()).collect()
        })
    }
    /// Starts to list and watch, until `shutdown`.
    pub fn start(self, shutdown: CancellationToken) -> Informer {
        let indexes = self.indexes.clone();
        let informer = Informer { shared: Arc::new(Shared::new(self.resource.clone(), indexes)) };
        tokio::spawn(reflector::run(self, informer.shared.clone(), shutdown));
        informer
    }
}

/// A local copy of a collection. Clones share it.
#[derive(Clone)]
pub struct Informer {
    shared: Arc<Shared>,
}

impl Informer {
    /// An informer of a resource, over all namespaces unless the builder says otherwise.
    pub fn builder(client: &Client, resource: &Resource) -> InformerBuilder {
        InformerBuilder {
            client: client.clone(),
            resource: resource.clone(),
            namespace: String::new(),
            label_selector: String::new(),
            field_selector: String::new(),
            metadata_only: false,
            transform: None,
            indexes: Vec::new(),
        }
    }

    /// What it watches.
    pub fn resource(&self) -> &Resource {
        &self.shared.resource
    }

    /// Whether the copy has been complete once.
    pub fn has_synced(&self) -> bool {
        *self.shared.synced.borrow()
    }

    /// Waits until the copy has been complete once. Ends early, with `false`, if the informer ends.
    pub async fn synced(&self) -> bool {
        self.shared.synced.subscribe().wait_for(|synced| *synced).await.is_ok()
    }

    /// The version of the collection that the copy shows; empty before the first list.
    pub fn resource_version(&self) -> String {
        self.shared.state.lock().resource_version.clone()
    }

    /// An object.
    pub fn get(&self, namespace: &str, name: &str) -> Option<Object> {
        self.get_key(&object_key(namespace, name))
    }

    /// An object by its `namespace/name`.
    pub fn get_key(&self, key: &str) -> Option<Object> {
        self.shared.state.lock().objects.get(key).cloned()
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.shared.state.lock().objects.len()
    }

    /// Whether there are no objects.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All objects, in the order of their keys.
    pub fn list(&self) -> Vec<Object> {
        self.shared.state.lock().objects.values().cloned().collect()
    }

    /// The objects of a namespace.
    pub fn list_namespace(&self, namespace: &str) -> Vec<Object> {
        let prefix = format!("{namespace}/");
        let state = self.shared.state.lock();
        state
            .objects
            .range::<str, _>((std::ops::Bound::Included(prefix.as_str()), std::ops::Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(&prefix))
            .map(|(_, object)| object.clone())
            .collect()
    }

    /// The objects that an index has under a key. An index that was not added has none.
    pub fn by_index(&self, index: &str, key: &str) -> Vec<Object> {
        self.shared.by_index(index, key)
    }

    /// Calls `handler` for every event from now on, after an `Added` for each object that is there already.
    pub fn on_event(&self, handler: impl Fn(&InformerEvent) + Send + Sync + 'static) {
        self.shared.add_handler(Arc::new(handler));
    }

    /// The same as a channel. It is not bounded: a subscriber that does not read keeps what it does not read.
    pub fn subscribe(&self) -> mpsc::UnboundedReceiver<InformerEvent> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.on_event(move |event| {
            // A subscriber that has gone away misses nothing.
            let _ = sender.send(event.clone());
        });
        receiver
    }
}
