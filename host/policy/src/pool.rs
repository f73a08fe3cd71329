//! The instances of a policy: how many may run, and which wait for the next call.

use crate::instance::Instance;
use parking_lot::{Condvar, Mutex};
use std::time::{Duration, Instant};

#[derive(Default)]
struct Inner {
    running: u32,
    waiting: u32,
    queued: u64,
    queued_for: Duration,
    idle: Vec<Box<Instance>>,
}

/// How busy the instances of a policy are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queue {
    /// Calls that run now.
    pub running: u32,
    /// Calls that wait for one of those to end.
    pub waiting: u32,
    /// Calls that had to wait, so far.
    pub queued: u64,
    /// For how long they waited, all together.
    pub queued_for: Duration,
}

/// The instances of a policy. The last one that served serves next, while its memory is in the processor's cache.
#[derive(Default)]
pub(crate) struct Pool {
    inner: Mutex<Inner>,
    free: Condvar,
}

/// The right to run one call. Dropping it lets the next call run.
pub(crate) struct Permit<'p> {
    pool: &'p Pool,
    back: Option<Box<Instance>>,
}

impl Pool {
    /// Waits for the right to run a call, and takes a warm instance if there is one; `None` if none became free in
    /// time. A call that holds a permit never waits for anything, so waiting here blocks no one for long.
    pub(crate) fn acquire(&self, limit: u32, wait: Duration) -> Option<(Permit<'_>, Option<Box<Instance>>)> {
        let mut inner = self.inner.lock();
        if inner.running >= limit {
            let start = Instant::now();
            let until = start + wait;
            inner.waiting += 1;
            inner.queued += 1;
            let mut in_time = true;
            while in_time && inner.running >= limit {
                in_time = !self.free.wait_until(&mut inner, until).timed_out() || inner.running < limit;
            }
            inner.waiting -= 1;
            inner.queued_for += start.elapsed();
            if !in_time {
                return None;
            }
        }
        inner.running += 1;
        Some((Permit { pool: self, back: None }, inner.idle.pop()))
    }

    /// How busy it is.
    pub(crate) fn queue(&self) -> Queue {
        let Inner { running, waiting, queued, queued_for, .. } = *self.inner.lock();
        Queue { running, waiting, queued, queued_for }
    }

    /// Puts an instance into the pool that has not served yet.
    pub(crate) fn put(&self, instance: Box<Instance>) {
        self.inner.lock().idle.push(instance);
    }
}

impl Permit<'_> {
    /// Ends the call and keeps the instance for the next one.
    pub(crate) fn give_back(mut self, instance: Box<Instance>) {
        self.back = Some(instance);
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let mut inner = self.pool.inner.lock();
        inner.running -= 1;
        inner.idle.extend(self.back.take());
        drop(inner);
        self.pool.free.notify_one();
    }
}
