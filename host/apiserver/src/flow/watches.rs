//! A bound on the watches that one user has open (`--max-watches-per-user`).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_machinery::Status;

use super::{FlowControl, too_many};
use crate::context::UserInfo;

/// The open watches of each user who has any.
#[derive(Debug)]
pub(super) struct Watches {
    limit: usize,
    open: Arc<Mutex<HashMap<String, usize>>>,
}

impl Watches {
    /// A bound; 0 is none.
    pub(super) fn new(limit: usize) -> Option<Self> {
        (limit > 0).then(|| Self { limit, open: Arc::default() })
    }
}

/// A place for a watch, given up when it is dropped.
#[derive(Debug)]
pub struct WatchPlace {
    user: String,
    open: Arc<Mutex<HashMap<String, usize>>>,
}

impl Drop for WatchPlace {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        if let Some(count) = open.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}

fn is_master(user: &UserInfo) -> bool {
    user.groups.iter().any(|group| group == "system:masters")
}

impl FlowControl {
    /// A place for a watch; to be kept for as long as it is open.
    ///
    /// # Errors
    /// 429 with Retry-After if the user has as many as there may be.
    pub fn watch(&self, user: &UserInfo) -> Result<Option<WatchPlace>, Status> {
        let Some(Watches { limit, open }) = self.watches.as_ref().filter(|_| !is_master(user)) else { return Ok(None) };
        let mut counts = open.lock();
        let name = &user.username;
        if counts.get(name).is_some_and(|count| count >= limit) {
            return Err(too_many(format!("user {name:?} has {limit} watches open, and no user may have more")));
        }
        *counts.entry(name.clone()).or_default() += 1;
        drop(counts);
        Ok(Some(WatchPlace { user: name.clone(), open: Arc::clone(open) }))
    }
}
