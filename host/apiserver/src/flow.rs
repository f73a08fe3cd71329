//! Flow control: a bound on requests in flight, for reads and for writes (`--max-requests-inflight`,
//! `--max-mutating-requests-inflight`). Long-running requests are exempt, and so are the probes and `system:masters`,
//! so that an overloaded server can still be looked at.

use std::sync::Arc;

use portcullis_machinery::Status;
use portcullis_machinery::status::StatusDetails;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::context::{RequestInfo, UserInfo};
use crate::server_config::ServerConfig;

/// The two bounds.
#[derive(Debug)]
pub struct FlowControl {
    reads: Option<Arc<Semaphore>>,
    writes: Option<Arc<Semaphore>>,
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
        Self { reads: bound(config.max_requests_inflight), writes: bound(config.max_mutating_requests_inflight) }
    }

    /// A place for a request; to be kept until its answer is made.
    ///
    /// # Errors
    /// 429 with Retry-After if there is none.
    pub fn enter(&self, user: &UserInfo, info: &RequestInfo) -> Result<Option<OwnedSemaphorePermit>, Status> {
        let probe = matches!(info.path.split('/').nth(1), Some("healthz" | "livez" | "readyz"));
        if is_long_running(info) || probe || user.groups.iter().any(|group| group == "system:masters") {
            return Ok(None);
        }
        let reads = matches!(info.verb.as_str(), "get" | "list" | "head" | "options");
        let Some(places) = (if reads { &self.reads } else { &self.writes }) else { return Ok(None) };
        places.clone().try_acquire_owned().map(Some).map_err(|_| {
            Status::failure(429, "TooManyRequests", "Too many requests, please try again later.")
                .with_details(StatusDetails { retry_after_seconds: 1, ..StatusDetails::default() })
        })
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
}
