//! What a controller wrote of the slices of each Service: an informer may show older ones for a while, and to act on
//! those would make slices twice.

use std::collections::HashMap;

use parking_lot::Mutex;
use portcullis_client::{InformerEvent, Object, ObjectExt};
use portcullis_machinery::Value;

/// The generation that a slice had when it was written, by its uid; `None` once it was deleted.
type Slices = HashMap<String, Option<i64>>;

/// Expectations by the key of the Service.
#[derive(Debug, Default)]
pub(crate) struct Tracker {
    services: Mutex<HashMap<String, Slices>>,
}

impl Tracker {
    /// A slice was created or updated.
    pub(crate) fn expect(&self, service: &str, slice: &Value) {
        let generation = slice.generation();
        self.services.lock().entry(service.to_owned()).or_default().insert(slice.uid().to_owned(), Some(generation));
    }

    /// A slice was deleted.
    pub(crate) fn expect_deletion(&self, service: &str, slice: &Value) {
        if let Some(slices) = self.services.lock().get_mut(service) {
            slices.insert(slice.uid().to_owned(), None);
        }
    }

    /// The Service needs no slices any more.
    pub(crate) fn forget(&self, service: &str) {
        self.services.lock().remove(service);
    }

    /// Whether these are older than what was written.
    pub(crate) fn is_stale(&self, service: &str, present: &[Object]) -> bool {
        let services = self.services.lock();
        let Some(slices) = services.get(service) else { return false };
        let older = present.iter().any(|slice| match slices.get(slice.uid()) {
            Some(Some(generation)) => *generation > slice.generation(),
            Some(None) => true,
            None => false,
        });
        let missing = |uid: &String| present.iter().all(|slice| slice.uid() != uid);
        older || slices.iter().any(|(uid, generation)| generation.is_some() && missing(uid))
    }

    /// Whether somebody else brought an event about, so that the Service is to be looked at again.
    pub(crate) fn is_news(&self, event: &InformerEvent, service_of: impl Fn(&Value) -> String) -> bool {
        let slice = event.object();
        let mut services = self.services.lock();
        let slices = services.get_mut(&service_of(slice));
        match event {
            InformerEvent::Deleted(_) => slices.and_then(|slices| slices.remove(slice.uid())) != Some(None),
            InformerEvent::Updated { old, .. } if service_of(old) != service_of(slice) => true,
            _ => match slices.and_then(|slices| slices.get(slice.uid())) {
                Some(Some(generation)) => slice.generation() > *generation,
                Some(None) => false,
                None => true,
            },
        }
    }
}
