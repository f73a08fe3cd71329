//! Flow control: a bound on requests in flight, for reads and for writes (`--max-requests-inflight`,
//! `--max-mutating-requests-inflight`), and one on the watches that one user has open (`--max-watches-per-user`). Other
//! long-running requests are exempt, and so are the probes and `system:masters`, so that an overloaded server can still be
//! looked at.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_machinery::Status;
use portcullis_machinery::status::StatusDetails;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::context::{RequestInfo, UserInfo};
use crate::server_config::ServerConfig;

/// The bounds.
#[derive(Debug)]
pub struct FlowControl {
    reads: Option<Arc<Semaphore>>,
    writes: Option<Arc<Semaphore>>,
    watches: Option<Watches>,
}

/// The open watches of each user who has any.
#[derive(Debug)]
struct Watches {
    limit: usize,
    open: Arc<Mutex<HashMap<String, usize>>>,
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

fn too_many(message: impl Into<String>) -> Status {
    Status::failure(429, "TooManyRequests", message)
        .with_details(StatusDetails { retry_after_seconds: 1, ..StatusDetails::default() })
}

/// Whether a request may last for long: watches and connections to containers (the reference's long-running requests).
pub fn is_long_running(info: &RequestInfo) -> bool {
    matches!(info.verb.as_str(), "watch" | "proxy")
        || (info.is_resource_request
            && matches!(info.subresource.as_str(), "attach" | "exec" | "proxy" | "log" | "portforward"))
}

impl FlowControl {
    /// Bounds from the settings; 0 is none.
    pub fn new(config: &ServerConfig) -> Self {
        let bound = |limit: usize| (limit > 0).then(|| Arc::new(Semaphore::new(limit)));
        let limit = config.max_watches_per_user;
        Self {
            reads: bound(config.max_requests_inflight),
            writes: bound(config.max_mutating_requests_inflight),
            watches: (limit > 0).then(|| Watches { limit, open: Arc::default() }),
        }
    }

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

    /// A place for a request; to be kept until its answer is made.
    ///
    /// # Errors
    /// 429 with Retry-After if there is none.
    pub fn enter(&self, user: &UserInfo, info: &RequestInfo) -> Result<Option<OwnedSemaphorePermit>, Status> {
        let probe = matches!(info.path.split('/').nth(1), Some("healthz" | "livez" | "readyz"));
        if is_long_running(info) || probe || is_master(user) {
            return Ok(None);
        }
        let reads = matches!(info.verb.as_str(), "get" | "list" | "head" | "options");
        let Some(places) = (if reads { &self.reads } else { &self.writes }) else { return Ok(None) };
        let refused = |_| too_many("Too many requests, please try again later.");
        places.clone().try_acquire_owned().map(Some).map_err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_have_bounds_of_their_own() {
        let config =
            ServerConfig { max_requests_inflight: 1, max_mutating_requests_inflight: 1, ..ServerConfig::default() };
        let flow = FlowControl::new(&config);
        let user = UserInfo::default();
        let info = |verb: &str| RequestInfo { is_resource_request: true, verb: verb.into(), ..RequestInfo::default() };
        let held = flow.enter(&user, &info("get")).unwrap();
        assert!(held.is_some());
        assert_eq!(flow.enter(&user, &info("list")).unwrap_err().code, 429);
        assert!(flow.enter(&user, &info("create")).unwrap().is_some());
        assert!(flow.enter(&user, &info("watch")).unwrap().is_none());
        drop(held);
        assert!(flow.enter(&user, &info("list")).unwrap().is_some());
    }

    #[test]
    fn a_user_has_so_many_watches_and_no_more() {
        let flow = |limit| FlowControl::new(&ServerConfig { max_watches_per_user: limit, ..ServerConfig::default() });
        let user = |name: &str, groups: &[&str]| UserInfo {
            username: name.into(),
            groups: groups.iter().map(|group| (*group).to_owned()).collect(),
            ..UserInfo::default()
        };
        let two = flow(2);
        let (first, _second) = (two.watch(&user("a", &[])).unwrap(), two.watch(&user("a", &[])).unwrap());
        let refused = two.watch(&user("a", &[])).unwrap_err();
        assert_eq!((refused.code, refused.reason.as_str()), (429, "TooManyRequests"));
        assert!(two.watch(&user("b", &[])).unwrap().is_some());
        assert!(two.watch(&user("a", &["system:masters"])).unwrap().is_none());
        drop(first);
        let again = two.watch(&user("a", &[])).unwrap();
        assert!(again.is_some());
        drop(again);
        assert_eq!(two.watches.as_ref().unwrap().open.lock().get("b"), None, "who has none is not remembered");
        let unbounded = flow(0);
        let many: Vec<_> = (0..1000).map(|_| unbounded.watch(&user("a", &[])).unwrap()).collect();
        assert!(many.iter().all(Option::is_none));
    }
}
