//! An object in other versions of its kind.
//!
//! What is cached is an object in the version that it is stored in. Its form in another version is made when somebody
//! first asks for it and then belongs to the object, so that it is made once for each version of the object and not for
//! each reader. Making one may take long (others may be asked): whoever comes first claims it, the others wait.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;

use super::CachedObject;

/// Which form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormKey {
    /// The version, such as `example.com/v2`.
    pub version: Arc<str>,
    /// What makes it: a number that is another one when the same object would be made otherwise.
    pub maker: u64,
}

/// How the making of a form stands.
#[derive(Clone, Debug)]
enum Outcome {
    Pending,
    Made(Arc<CachedObject>),
    Failed(Arc<str>),
}

#[derive(Debug)]
enum Slot {
    Making(watch::Receiver<Outcome>),
    Made(Arc<CachedObject>),
}

/// The forms of an object that there are, or that are being made.
#[derive(Debug, Default)]
pub(super) struct Forms(Mutex<Vec<(FormKey, Slot)>>);

/// What comes of asking for a form.
pub enum Claim {
    /// It is there.
    Made(Arc<CachedObject>),
    /// It is for the caller to make.
    Mine(FormMaking),
    /// Somebody else makes it.
    Others(FormWait),
}

/// The right to make a form, and the duty: dropped without a result, it passes to whoever asks next.
pub struct FormMaking {
    object: Arc<CachedObject>,
    key: FormKey,
    outcome: watch::Sender<Outcome>,
}

/// A form that somebody else makes.
pub struct FormWait(watch::Receiver<Outcome>);

impl Forms {
    /// The forms that there are, each changed by `change`.
    pub(super) fn map(&self, change: impl Fn(&CachedObject) -> CachedObject) -> Self {
        let made = |(key, slot): &(FormKey, Slot)| match slot {
            Slot::Made(form) => Some((key.clone(), Slot::Made(Arc::new(change(form))))),
            Slot::Making(_) => None,
        };
        Self(Mutex::new(self.0.lock().iter().filter_map(made).collect()))
    }
}

impl CachedObject {
    /// The form if it has been made.
    #[must_use]
    pub fn form(&self, key: &FormKey) -> Option<Arc<CachedObject>> {
        self.forms.0.lock().iter().find(|(had, _)| had == key).and_then(|(_, slot)| match slot {
            Slot::Made(form) => Some(Arc::clone(form)),
            Slot::Making(_) => None,
        })
    }

    /// The form, or the right to make it, or whom to wait for.
    #[must_use]
    pub fn claim_form(self: &Arc<Self>, key: &FormKey) -> Claim {
        let mut slots = self.forms.0.lock();
        match slots.iter().find(|(had, _)| had == key).map(|(_, slot)| slot) {
            Some(Slot::Made(form)) => return Claim::Made(Arc::clone(form)),
            Some(Slot::Making(outcome)) => return Claim::Others(FormWait(outcome.clone())),
            None => {}
        }
        let (outcome, receiver) = watch::channel(Outcome::Pending);
        slots.push((key.clone(), Slot::Making(receiver)));
        drop(slots);
        Claim::Mine(FormMaking { object: Arc::clone(self), key: key.clone(), outcome })
    }
}

impl FormMaking {
    /// The object whose form it is.
    #[must_use]
    pub fn object(&self) -> &Arc<CachedObject> {
        &self.object
    }

    /// Hands the form over. What another maker made of the same version goes.
    pub fn done(self, form: Arc<CachedObject>) {
        let mut slots = self.object.forms.0.lock();
        slots.retain(|(had, _)| had.version != self.key.version);
        slots.push((self.key.clone(), Slot::Made(Arc::clone(&form))));
        drop(slots);
        self.outcome.send_replace(Outcome::Made(form));
    }

    /// Tells those who wait why there is none. Who asks later tries again.
    pub fn failed(self, why: Arc<str>) {
        self.outcome.send_replace(Outcome::Failed(why));
    }
}

impl Drop for FormMaking {
    fn drop(&mut self) {
        let mine = self.outcome.subscribe();
        let is_mine = |slot: &Slot| matches!(slot, Slot::Making(outcome) if outcome.same_channel(&mine));
        self.object.forms.0.lock().retain(|(_, slot)| !is_mine(slot));
    }
}

impl FormWait {
    /// Waits for the form. `None` if whoever made it gave up: ask again.
    ///
    /// # Errors
    /// Why it could not be made.
    pub async fn wait(mut self) -> Option<Result<Arc<CachedObject>, Arc<str>>> {
        let outcome = self.0.wait_for(|outcome| !matches!(outcome, Outcome::Pending)).await.ok()?.clone();
        match outcome {
            Outcome::Pending => None,
            Outcome::Made(form) => Some(Ok(form)),
            Outcome::Failed(why) => Some(Err(why)),
        }
    }
}

#[cfg(test)]
mod tests;
