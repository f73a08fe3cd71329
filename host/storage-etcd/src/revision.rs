//! The present revision, asked for once by all who wait for it.
//!
//! Every consistent read of the watch cache asks for it. A question answers all callers that came before it was sent;
//! those who come while it is under way share the next one.

use std::sync::Arc;

use parking_lot::Mutex;
use portcullis_storage::StoreError;
use tokio::sync::oneshot;

use crate::endpoints::{Call, Endpoint, Endpoints};

type Answer = Result<u64, StoreError>;

#[derive(Default)]
struct Waiting {
    callers: Vec<oneshot::Sender<Answer>>,
    asking: bool,
}

/// See the module.
pub(crate) struct RevisionReader {
    endpoints: Arc<Endpoints>,
    key: String,
    waiting: Mutex<Waiting>,
}

impl RevisionReader {
    /// `key` is a key to read, of which only the answer's header matters.
    pub(crate) fn new(endpoints: Arc<Endpoints>, key: String) -> Arc<Self> {
        Arc::new(Self { endpoints, key, waiting: Mutex::default() })
    }

    /// The present revision, linearizably.
    pub(crate) async fn read(self: &Arc<Self>) -> Answer {
        let (sender, answer) = oneshot::channel();
        let first = {
            let mut waiting = self.waiting.lock();
            waiting.callers.push(sender);
            !std::mem::replace(&mut waiting.asking, true)
        };
        if first {
            tokio::spawn(Arc::clone(self).ask());
        }
        answer.await.map_err(|_| StoreError::Unavailable("the store has stopped".into()))?
    }

    async fn ask(self: Arc<Self>) {
        loop {
            let callers = {
                let mut waiting = self.waiting.lock();
                waiting.asking = !waiting.callers.is_empty();
                std::mem::take(&mut waiting.callers)
            };
            if callers.is_empty() {
                return;
            }
            let answer = self.ask_once().await;
            for caller in callers {
                // A caller that has gone away does not want to know.
                let _ = caller.send(answer.clone());
            }
        }
    }

    async fn ask_once(&self) -> Answer {
        let get = |member: Endpoint| {
            let key = self.key.clone();
            async move { member.kv().get(key, Some(etcd_client::GetOptions::new().with_count_only())).await }
        };
        let response = self.endpoints.call(Call::Repeatable, get).await.map_err(|failure| failure.into_error(0))?;
        Ok(response.header().map_or(0, |header| crate::number(header.revision())))
    }
}
