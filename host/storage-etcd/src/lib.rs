//! The [`Store`] trait on etcd, version 3.4 and later.
//!
//! A crate of its own, so that nothing else is built again when the gRPC client is.
//!
//! * A write is a transaction: it compares the entry's modification revision and, where that is another one, reads the
//!   entry in the same step. Writes are never made twice by themselves.
//! * [`endpoints`] asks one member until it fails, then the next; [`watch`] goes on at another member where it left off.
//! * [`revision`] lets all consistent reads that wait share one question; [`progress`] makes watches reach the answer,
//!   also with versions of etcd whose progress requests cannot be trusted.
//! * [`archive`] reads and writes the whole contents.
//! * [`leases`] shares leases between entries with a time to live; [`compactor`] takes turns with other servers.

#![forbid(unsafe_code)]

pub mod archive;
mod compactor;
mod endpoints;
mod failure;
mod keys;
mod leases;
mod options;
mod progress;
mod revision;
mod version;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use etcd_client::{Compare, CompareOp, DeleteOptions, GetOptions, PutOptions, Txn, TxnOp, TxnOpResponse, TxnResponse};
use futures::StreamExt as _;
use portcullis_storage::{BatchStream, Expect, KeyValue, RangeRequest, RangeResponse, Store, StoreError, StoreWatch};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use self::options::EtcdOptions;

use self::endpoints::{Call, Endpoint, Endpoints};
use self::failure::Failure;
use self::keys::Keys;
use self::leases::Leases;
use self::progress::Progress;
use self::revision::RevisionReader;

/// How long the question whether the store can take writes may take.
const HEALTH_WITHIN: Duration = Duration::from_secs(2);

/// A store on etcd. Its tasks end when it is dropped.
pub struct EtcdStore {
    endpoints: Arc<Endpoints>,
    keys: Arc<Keys>,
    leases: Leases,
    revisions: Arc<RevisionReader>,
    progress: Arc<Progress>,
    _tasks: DropGuard,
}

/// etcd's numbers are signed and never negative.
pub(crate) fn number(signed: i64) -> u64 {
    u64::try_from(signed).unwrap_or(0)
}

/// A revision for etcd. None so large will ever be reached, so cutting it off is "in the future" still.
fn signed(revision: u64) -> i64 {
    i64::try_from(revision).unwrap_or(i64::MAX)
}

/// The revision at which to read. etcd takes 0 for the present; its first revision, at which there is nothing, is 1.
fn at_revision(options: GetOptions, at: Option<u64>) -> GetOptions {
    at.map_or(options.clone(), |at| options.with_revision(signed(at.max(1))))
}

/// The entry that a transaction read, if it did.
fn read_in(keys: &Keys, response: &TxnResponse) -> Option<KeyValue> {
    match response.op_responses().into_iter().next()? {
        TxnOpResponse::Get(mut get) => watch::entry(keys, get.take_kvs().pop()?.0),
        TxnOpResponse::Delete(mut delete) => watch::entry(keys, delete.take_prev_kvs().pop()?.0),
        _ => None,
    }
}

/// The comparisons that an expectation comes to.
fn compares(key: &str, expect: Expect) -> Vec<Compare> {
    match expect {
        Expect::Any => Vec::new(),
        Expect::Absent => vec![Compare::mod_revision(key, CompareOp::Equal, 0)],
        Expect::ModRevision(revision) => vec![Compare::mod_revision(key, CompareOp::Equal, signed(revision))],
    }
}

impl EtcdStore {
    /// Opens the store: waits until a member answers.
    ///
    /// # Errors
    /// [`StoreError::Unsupported`] for options that cannot be used and for an etcd before 3.4,
    /// [`StoreError::Unavailable`] if no member answers in time.
    pub async fn open(options: EtcdOptions) -> Result<Arc<dyn Store>, StoreError> {
        let endpoints = Arc::new(Endpoints::new(&options).await?);
        let version = endpoints.first_version(options.open_within).await?;
        if !version::is_supported(version) {
            let (major, minor, patch, _) = version;
            return Err(StoreError::Unsupported(format!("etcd {major}.{minor}.{patch} is too old: 3.4 is needed")));
        }
        let keys = Arc::new(Keys::new(&options.prefix));
        let revisions = RevisionReader::new(Arc::clone(&endpoints), keys.touch().to_owned());
        let progress = Arc::new(Progress::default());
        let stop = CancellationToken::new();
        let touch = keys.touch().to_owned();
        let (reports, reader) = (Arc::clone(&progress), Arc::clone(&revisions));
        let (members, stopped) = (Arc::clone(&endpoints), stop.clone());
        tokio::spawn(async move { reports.run(members, reader, touch, stopped).await });
        if let Some(every) = options.compact_every {
            tokio::spawn(compactor::run(Arc::clone(&endpoints), every, stop.clone()));
        }
        let leases = Leases::new(options.lease_reuse, options.lease_entries);
        Ok(Arc::new(Self { endpoints, keys, leases, revisions, progress, _tasks: stop.drop_guard() }))
    }

    /// Reads a range of etcd.
    async fn read(
        &self,
        start: &str,
        options: GetOptions,
        at: Option<u64>,
    ) -> Result<(etcd_client::GetResponse, u64), StoreError> {
        let get = |member: Endpoint| {
            let (start, options) = (start.to_owned(), options.clone());
            async move { member.kv().get(start, Some(options)).await }
        };
        match self.endpoints.call(Call::Repeatable, get).await {
            Ok(response) => {
                let now = response.header().map_or(0, |header| number(header.revision()));
                Ok((response, at.unwrap_or(now)))
            }
            Err(failure) => Err(self.explained(failure).await),
        }
    }

    /// The error of a failure about revisions, with the revision that etcd does not say in it.
    async fn explained(&self, failure: Failure) -> StoreError {
        match failure {
            Failure::Compacted => match self.compacted_revision().await {
                Ok(compact_revision) => StoreError::Compacted { compact_revision },
                Err(error) => error,
            },
            Failure::Future => match self.revision().await {
                Ok(current) => StoreError::FutureRevision { current },
                Err(error) => error,
            },
            other => other.into_error(0),
        }
    }

    async fn put_once(&self, key: &str, value: &Bytes, expect: Expect, lease: i64) -> Result<TxnResponse, Failure> {
        let put = |member: Endpoint| {
            let options = (lease != 0).then(|| PutOptions::new().with_lease(lease));
            let txn = Txn::new()
                .when(compares(key, expect))
                .and_then([TxnOp::put(key, value.to_vec(), options)])
                .or_else([TxnOp::get(key, None)]);
            async move { member.kv().txn(txn).await }
        };
        self.endpoints.call(Call::Once, put).await
    }
}

#[async_trait]
impl Store for EtcdStore {
    async fn get(&self, key: &str, at: Option<u64>) -> Result<(Option<KeyValue>, u64), StoreError> {
        let options = at_revision(GetOptions::new(), at);
        let (mut response, revision) = self.read(&self.keys.outer(key)?, options, at).await?;
        Ok((response.take_kvs().pop().and_then(|kv| watch::entry(&self.keys, kv.0)), revision))
    }

    async fn range(&self, request: RangeRequest) -> Result<RangeResponse, StoreError> {
        let (start, end) = self.keys.range(&request.start, &request.end);
        if end <= start {
            // etcd would read the one key `start` for an end that is empty, and an empty range is not worth a question
            // unless its revision is.
            let (_, revision) = self.get(&format!("/registry/{}", "~"), request.at).await?;
            return Ok(RangeResponse { revision, ..RangeResponse::default() });
        }
        let limit = i64::try_from(request.limit).unwrap_or(i64::MAX);
        let mut options = at_revision(GetOptions::new(), request.at).with_range(end).with_limit(limit);
        if request.count_only {
            options = options.with_count_only();
        }
        let (mut response, revision) = self.read(&start, options, request.at).await?;
        let (count, more) = (number(response.count()), response.more());
        let given = response.kvs().len() as u64;
        let kvs = response.take_kvs().into_iter().filter_map(|kv| watch::entry(&self.keys, kv.0)).collect();
        Ok(RangeResponse { kvs, more, remaining: count.saturating_sub(given), revision })
    }

    async fn put(&self, key: &str, value: Bytes, expect: Expect, ttl: Option<Duration>) -> Result<u64, StoreError> {
        let outer = self.keys.outer(key)?;
        let size = value.len();
        if size > failure::MAX_REQUEST {
            return Err(StoreError::TooLarge { size, limit: failure::MAX_REQUEST });
        }
        let mut lease = 0;
        let response = loop {
            if let Some(ttl) = ttl {
                lease = self.leases.take(&self.endpoints, ttl).await.map_err(|failure| failure.into_error(size))?;
            }
            match self.put_once(&outer, &value, expect, lease).await {
                Ok(response) => break response,
                // It was handed out for longer than it lived, as after a pause of the whole process. A new one is tried;
                // should that be gone as well, so will the next be, but never for long.
                Err(Failure::LeaseGone) => self.leases.forget(lease).await,
                Err(failure) => return Err(failure.into_error(size)),
            }
        };
        if !response.succeeded() {
            return Err(StoreError::Conflict { current: read_in(&self.keys, &response) });
        }
        Ok(response.header().map_or(0, |header| number(header.revision())))
    }

    async fn delete(&self, key: &str, expect: Expect) -> Result<(KeyValue, u64), StoreError> {
        let outer = self.keys.outer(key)?;
        let delete = |member: Endpoint| {
            let txn = Txn::new()
                .when(compares(&outer, expect))
                .and_then([TxnOp::delete(outer.as_str(), Some(DeleteOptions::new().with_prev_key()))])
                .or_else([TxnOp::get(outer.as_str(), None)]);
            async move { member.kv().txn(txn).await }
        };
        let response = self.endpoints.call(Call::Once, delete).await.map_err(|failure| failure.into_error(0))?;
        match (response.succeeded(), read_in(&self.keys, &response)) {
            (_, None) => Err(StoreError::NotFound),
            (true, Some(previous)) => Ok((previous, response.header().map_or(0, |header| number(header.revision())))),
            (false, current) => Err(StoreError::Conflict { current }),
        }
    }

    async fn watch(&self, watch: StoreWatch) -> Result<BatchStream, StoreError> {
        let (start, end) = self.keys.prefix(&watch.prefix);
        if start >= end {
            return Err(StoreError::Unsupported(format!("there are no keys under {:?}", watch.prefix)));
        }
        Ok(watch::start(&self.endpoints, &self.keys, &self.progress, watch))
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        self.revisions.read().await
    }

    async fn compact(&self, revision: u64) -> Result<(), StoreError> {
        let compact = |member: Endpoint| async move { member.kv().compact(signed(revision), None).await };
        match self.endpoints.call(Call::Once, compact).await {
            Ok(_) => Ok(()),
            Err(failure) => Err(self.explained(failure).await),
        }
    }

    async fn compacted_revision(&self) -> Result<u64, StoreError> {
        // etcd has no answer to this, but a watch from the beginning of time is told where time begins now.
        let get = |member: Endpoint| {
            let (key, options) = (self.keys.touch().to_owned(), GetOptions::new().with_revision(1).with_count_only());
            async move { member.kv().get(key, Some(options)).await }
        };
        match self.endpoints.call(Call::Repeatable, get).await {
            Ok(_) => return Ok(0),
            Err(Failure::Compacted) => {}
            Err(failure) => return Err(failure.into_error(0)),
        }
        let watch = StoreWatch { prefix: "/registry/~".into(), from: 1, prev: false, progress: false };
        let mut stream = watch::start(&self.endpoints, &self.keys, &self.progress, watch);
        match stream.next().await {
            Some(Err(StoreError::Compacted { compact_revision })) => Ok(compact_revision),
            Some(Err(error)) => Err(error),
            _ => Err(StoreError::Unavailable("etcd did not say what it has compacted".into())),
        }
    }

    fn etcd_key(&self, key: &str) -> String {
        self.keys.outer(key).unwrap_or_else(|_| key.to_owned())
    }

    async fn request_progress(&self) -> Result<(), StoreError> {
        self.progress.request();
        Ok(())
    }

    async fn health(&self) -> Result<(), StoreError> {
        let late = |_| StoreError::Unavailable(format!("etcd did not answer within {HEALTH_WITHIN:?}"));
        tokio::time::timeout(HEALTH_WITHIN, self.revision()).await.map_err(late)??;
        let alarms = |member: Endpoint| async move { member.alarms().await };
        let alarms = tokio::time::timeout(HEALTH_WITHIN, self.endpoints.call(Call::Repeatable, alarms));
        match alarms.await.map_err(late)? {
            Ok(false) => Ok(()),
            Ok(true) => Err(StoreError::Unavailable("etcd has raised an alarm and takes no writes".into())),
            Err(failure) => Err(failure.into_error(0)),
        }
    }
}
