//! The layer itself: a store over a store.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt as _;
use portcullis_storage::{
    BatchStream, Event, Expect, KeyValue, RangeRequest, RangeResponse, Sink, Store, StoreError, StoreWatch, WatchBatch,
};

use crate::encryption::Encryption;
use crate::foreign;
use crate::providers::{self, Read, Refusals, Unread};
use crate::resource::{self, Resource};

/// See the crate.
pub struct StoredForm {
    store: Arc<dyn Store>,
    forms: Arc<Forms>,
}

/// What the form of a value is, without the engine.
struct Forms {
    encryption: Option<Arc<Encryption>>,
    /// The key in etcd.
    etcd_key: Box<dyn Fn(&str) -> String + Send + Sync>,
}

impl StoredForm {
    /// The layer over an engine.
    #[must_use]
    pub fn over(store: Arc<dyn Store>, encryption: Option<Arc<Encryption>>) -> Arc<dyn Store> {
        let engine = Arc::clone(&store);
        let forms = Forms { encryption, etcd_key: Box::new(move |key| engine.etcd_key(key)) };
        Arc::new(Self { store, forms: Arc::new(forms) })
    }
}

impl Forms {
    /// The form in which a value is stored.
    fn write(&self, key: &str, value: Bytes) -> Result<Bytes, StoreError> {
        let Some(encryption) = &self.encryption else { return Ok(value) };
        encryption.with_chain(resource::of_key(key), |chain| match chain {
            None => Ok(value),
            Some(chain) => chain.write(value, (self.etcd_key)(key).as_bytes()).map_err(StoreError::Transform),
        })
    }

    /// Decrypts a value, as far as that can be done without asking anybody.
    fn decrypt(&self, key: &str, of: Option<Resource<'_>>, value: &Bytes, no: &Refusals) -> Result<Read, Unread> {
        let Some(encryption) = &self.encryption else { return providers::identity(value) };
        encryption.with_chain(of, |chain| match chain {
            None => providers::identity(value),
            Some(chain) => chain.read(value, (self.etcd_key)(key).as_bytes(), no),
        })
    }

    /// Whether nothing has to be done about an entry.
    fn is_plain(&self, kv: &KeyValue) -> bool {
        // With encryption, what looks plain is only what the resource's providers take for that.
        if self.encryption.is_some() || providers::is_encrypted(&kv.value) {
            return false;
        }
        let stored = resource::of_key(&kv.key).and_then(|of| of.stored);
        stored.is_none_or(|stored| kv.value.starts_with(stored.head.as_bytes()))
    }

    /// Puts what was written into the place of what is stored.
    fn read(
        &self,
        kv: &mut KeyValue,
        no: &Refusals,
    ) -> Result<(), (Arc<crate::kms::Kms>, Box<crate::kms::envelope::Envelope>)> {
        let of = resource::of_key(&kv.key);
        let read = match self.decrypt(&kv.key, of, &kv.value, no) {
            Ok(read) => Ok(read.value),
            Err(Unread::Failed(why)) => Err(why),
            Err(Unread::Asks(kms, envelope)) => return Err((kms, envelope)),
        };
        let own = read.and_then(|value| match of.and_then(|of| of.stored) {
            Some(stored) if !value.starts_with(stored.head.as_bytes()) => foreign::to_own(stored.definition, &value),
            _ => Ok(value),
        });
        match own {
            Ok(value) => kv.value = value,
            Err(why) => kv.unreadable = Some(Arc::from(why)),
        }
        Ok(())
    }

    /// The same without waiting for anybody: what would have to be asked for is unreadable for now.
    fn read_now(&self, kv: &mut KeyValue) {
        if self.is_plain(kv) {
            return;
        }
        if let Err((kms, _)) = self.read(kv, &Refusals::default()) {
            let refusals = Refusals::of(&kms, "the data key has not been decrypted yet");
            // With the refusal there is nothing left to ask for.
            let _ = self.read(kv, &refusals);
        }
    }

    /// The same, with what has to be asked for.
    async fn read_all(&self, entries: impl Iterator<Item = &mut KeyValue>) {
        let mut refusals = Refusals::default();
        for kv in entries {
            if self.is_plain(kv) {
                continue;
            }
            while let Err((kms, envelope)) = self.read(kv, &refusals) {
                refusals.ask(&kms, &envelope).await;
            }
        }
    }
}

/// The entries of an event.
fn entries_of(event: &mut Event) -> impl Iterator<Item = &mut KeyValue> {
    let (kv, prev) = match event {
        Event::Put { kv, prev } => (Some(kv), prev.as_mut()),
        Event::Delete { prev, .. } => (None, prev.as_mut()),
    };
    kv.into_iter().chain(prev)
}

fn is_plain(forms: &Forms, event: &Event) -> bool {
    match event {
        Event::Put { kv, prev } => forms.is_plain(kv) && prev.as_ref().is_none_or(|kv| forms.is_plain(kv)),
        Event::Delete { prev, .. } => prev.as_ref().is_none_or(|kv| forms.is_plain(kv)),
    }
}

#[async_trait]
impl Store for StoredForm {
    async fn get(&self, key: &str, at: Option<u64>) -> Result<(Option<KeyValue>, u64), StoreError> {
        let (mut kv, revision) = self.store.get(key, at).await?;
        self.forms.read_all(kv.iter_mut()).await;
        Ok((kv, revision))
    }

    async fn range(&self, request: RangeRequest) -> Result<RangeResponse, StoreError> {
        let mut response = self.store.range(request).await?;
        self.forms.read_all(response.kvs.iter_mut()).await;
        Ok(response)
    }

    async fn put(&self, key: &str, value: Bytes, expect: Expect, ttl: Option<Duration>) -> Result<u64, StoreError> {
        let size = value.len();
        let value = self.forms.write(key, value)?;
        match self.store.put(key, value, expect, ttl).await {
            Err(StoreError::TooLarge { limit, .. }) => Err(StoreError::TooLarge { size, limit }),
            Err(StoreError::Conflict { mut current }) => {
                self.forms.read_all(current.iter_mut()).await;
                Err(StoreError::Conflict { current })
            }
            done => done,
        }
    }

    async fn delete(&self, key: &str, expect: Expect) -> Result<(KeyValue, u64), StoreError> {
        match self.store.delete(key, expect).await {
            Ok((mut kv, revision)) => {
                self.forms.read_all(std::iter::once(&mut kv)).await;
                Ok((kv, revision))
            }
            Err(StoreError::Conflict { mut current }) => {
                self.forms.read_all(current.iter_mut()).await;
                Err(StoreError::Conflict { current })
            }
            Err(error) => Err(error),
        }
    }

    async fn watch(&self, watch: StoreWatch) -> Result<BatchStream, StoreError> {
        let forms = Arc::clone(&self.forms);
        let stream = self.store.watch(watch).await?;
        let read = move |batch: Result<WatchBatch, StoreError>| {
            let forms = Arc::clone(&forms);
            async move {
                let mut batch = batch?;
                forms.read_all(batch.events.iter_mut().flat_map(entries_of)).await;
                Ok(batch)
            }
        };
        Ok(stream.then(read).boxed())
    }

    fn attach(&self, watch: StoreWatch, mut sink: Sink) -> Result<bool, StoreError> {
        let forms = Arc::clone(&self.forms);
        let read = move |batch: &WatchBatch| {
            if batch.events.iter().all(|event| is_plain(&forms, event)) {
                return sink(batch);
            }
            let mut batch = batch.clone();
            batch.events.iter_mut().flat_map(entries_of).for_each(|kv| forms.read_now(kv));
            sink(&batch)
        };
        self.store.attach(watch, Box::new(read))
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        self.store.revision().await
    }

    fn revision_now(&self) -> Option<u64> {
        self.store.revision_now()
    }

    async fn compact(&self, revision: u64) -> Result<(), StoreError> {
        self.store.compact(revision).await
    }

    async fn compacted_revision(&self) -> Result<u64, StoreError> {
        self.store.compacted_revision().await
    }

    async fn request_progress(&self) -> Result<(), StoreError> {
        self.store.request_progress().await
    }

    async fn is_stale(&self, key: &str, mod_revision: u64) -> Result<bool, StoreError> {
        if self.forms.encryption.is_none() {
            return Ok(false);
        }
        let (Some(kv), _) = self.store.get(key, None).await? else { return Ok(false) };
        let (of, mut refusals) = (resource::of_key(key), Refusals::default());
        loop {
            match self.forms.decrypt(key, of, &kv.value, &refusals) {
                Ok(read) => return Ok(read.stale && kv.mod_revision == mod_revision),
                Err(Unread::Failed(why)) => return Err(StoreError::Transform(why)),
                Err(Unread::Asks(kms, envelope)) => refusals.ask(&kms, &envelope).await,
            }
        }
    }

    fn etcd_key(&self, key: &str) -> String {
        self.store.etcd_key(key)
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.store.health().await
    }
}
