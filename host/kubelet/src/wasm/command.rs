//! WASI commands: components that export `wasi:cli/run` and run once.

use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::{I32Exit, WasiCtx};

use super::container::{Ending, Job};
use super::engine::Guest;

/// Runs a command to its end. WASI has no signals, so one that is asked to end does so as a process does that has not
/// asked for SIGTERM: at once, with exit code 143.
pub(super) async fn run(job: Job, pre: CommandPre<Guest>, wasi: WasiCtx) -> Ending {
    let mut store = job.engine.store(wasi, &job.meter);
    let work = job.meter.measure(async {
        let command = pre.instantiate_async(&mut store).await?;
        command.wasi_cli_run().call_run(&mut store).await
    });
    tokio::select! {
        result = work => ending(result),
        () = job.stopping.cancelled() => Ending { exit_code: 143, message: String::new() },
    }
}

fn ending(result: wasmtime::Result<Result<(), ()>>) -> Ending {
    match result {
        Ok(Ok(())) => Ending { exit_code: 0, message: String::new() },
        Ok(Err(())) => Ending { exit_code: 1, message: String::new() },
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(I32Exit(code)) => Ending { exit_code: *code, message: String::new() },
            // 134 is what a process gets that aborts.
            None => Ending { exit_code: 134, message: format!("{error:#}") },
        },
    }
}
