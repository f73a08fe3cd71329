//! Compaction by one of several servers at a time.
//!
//! Servers on one etcd agree through the key `compact_rev_key`, as kube-apiservers do, and with those: its version is a
//! clock. Each server remembers the version that it saw and the revision of that moment; the first one to find the
//! version unchanged an interval later moves it on and compacts at the revision that it remembers. All others find it
//! moved on, and wait another interval. So history is kept for between one and two intervals.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Compare, CompareOp, GetOptions, Txn, TxnOp, TxnOpResponse};
use tokio_util::sync::CancellationToken;

use crate::endpoints::{Call, Endpoint, Endpoints};
use crate::failure::Failure;

const KEY: &str = "compact_rev_key";

/// What a server remembers from one turn to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Turn {
    /// The version of the key.
    version: i64,
    /// The revision at the time; 0 before the first turn.
    revision: i64,
}

/// Compacts until cancelled.
pub(crate) async fn run(endpoints: Arc<Endpoints>, every: Duration, stop: CancellationToken) {
    let mut turn = Turn::default();
    loop {
        match take(&endpoints, turn).await {
            Ok(next) => turn = next,
            Err(error) => tracing::warn!(%error, "compaction failed; trying again at the next turn"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(every) => {}
        }
    }
}

/// Takes a turn, and compacts if it is this server's.
pub(crate) async fn take(endpoints: &Endpoints, turn: Turn) -> Result<Turn, Failure> {
    let claim = |member: Endpoint| async move {
        let unchanged = Compare::version(KEY, CompareOp::Equal, turn.version);
        let txn = Txn::new()
            .when([unchanged])
            .and_then([TxnOp::put(KEY, turn.revision.to_string(), None)])
            .or_else([TxnOp::get(KEY, Some(GetOptions::new()))]);
        member.kv().txn(txn).await
    };
    // Claiming twice finds the clock moved on, which costs one interval.
    let response = endpoints.call(Call::Repeatable, claim).await?;
    let now = response.header().map_or(0, etcd_client::ResponseHeader::revision);
    if !response.succeeded() {
        let version = match response.op_responses().first() {
            Some(TxnOpResponse::Get(get)) => get.kvs().first().map_or(0, etcd_client::KeyValue::version),
            _ => 0,
        };
        return Ok(Turn { version, revision: now });
    }
    if turn.revision > 0 {
        let compact = |member: Endpoint| async move { member.kv().compact(turn.revision, None).await };
        match endpoints.call(Call::Repeatable, compact).await {
            // Somebody who does not take part in this has compacted further.
            Ok(_) | Err(Failure::Compacted) => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(Turn { version: turn.version + 1, revision: now })
}
