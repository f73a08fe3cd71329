//! The engine that policies run in.

use crate::{RuntimeConfig, RuntimeError};
use std::{
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// The most memory that a plugin's limit may allow: the size of a slot in the pool.
pub(crate) const MAX_MEMORY: u64 = 1 << 30;

/// How much of an instance's memory stays mapped between two instances. Resetting 2 MB of it costs less than faulting
/// it in again, but only where the kernel can say which pages were touched.
const KEEP_RESIDENT: usize = 2 << 20;

/// Makes the engine, and the thread that drives its deadlines.
pub(crate) fn make(config: &RuntimeConfig) -> Result<Engine, RuntimeError> {
    let engine = Engine::new(&settings(Some(config.instances)))
        .or_else(|error| {
            // A process whose address space is limited (`ulimit -v`) cannot reserve the pool. Instances then cost more.
            tracing::warn!(%error, "cannot reserve a pool of instances, allocating each on its own");
            Engine::new(&settings(None))
        })
        .map_err(|error| RuntimeError(format!("{error:#}")))?;
    tick(&engine, config.tick)?;
    Ok(engine)
}

fn settings(pool: Option<u32>) -> Config {
    let mut config = Config::new();
    // Policies are called synchronously and never at the same time in one store: without the bookkeeping for
    // concurrency a call costs a third.
    config.concurrency_support(false);
    config.epoch_interruption(true);
    config.memory_init_cow(true);
    config.wasm_memory64(false);
    if let Some(instances) = pool {
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pooling(instances)));
    }
    config
}

fn pooling(instances: u32) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    // A component is several core instances (adapters and shims beside the program), and may have two memories.
    pool.total_component_instances(instances)
        .total_core_instances(instances.saturating_mul(8))
        .total_memories(instances.saturating_mul(2))
        .total_tables(instances.saturating_mul(8))
        .max_memory_size(MAX_MEMORY as usize)
        .table_elements(50_000);
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(KEEP_RESIDENT).table_keep_resident(64 << 10);
    }
    pool
}

/// Deadlines are counted in epochs of the engine. One thread advances it for as long as the engine lives.
fn tick(engine: &Engine, every: Duration) -> Result<(), RuntimeError> {
    let engine = engine.weak();
    std::thread::Builder::new()
        .name("policy-ticks".to_owned())
        .spawn(move || {
            loop {
                std::thread::sleep(every);
                match engine.upgrade() {
                    Some(engine) => engine.increment_epoch(),
                    None => return,
                }
            }
        })
        .map(drop)
        .map_err(|error| RuntimeError(format!("cannot start the deadline thread: {error}")))
}

/// How many epochs a deadline is. One more, since the current one is already running.
pub(crate) fn epochs(deadline: Duration, tick: Duration) -> u64 {
    let ticks = deadline.as_nanos().div_ceil(tick.as_nanos().max(1));
    u64::try_from(ticks).unwrap_or(u64::MAX / 2).saturating_add(1)
}

/// What compiled code depends on beside the component: wasmtime's version, the configuration and the processor.
pub(crate) fn compatibility(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_round_up() {
        let tick = Duration::from_millis(5);
        assert_eq!(epochs(Duration::from_millis(100), tick), 21);
        assert_eq!(epochs(Duration::from_millis(1), tick), 2);
        assert_eq!(epochs(Duration::ZERO, tick), 1);
    }
}
