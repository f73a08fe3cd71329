//! `portcullis-load`: puts load on any Kubernetes API server and says what the server spent on it.
//!
//! Phases: create, get, list, paged list, watch fan-out, patch, delete, each over pods of a given size in a namespace of
//! the tool's own. Load is kept in flight on several HTTP/2 connections. What counts is the server's CPU time, read from
//! `/proc` of the processes named with `--pid` (user and system time, proc(5)); wall time on a shared machine is noise,
//! and is printed for orientation.

#![forbid(unsafe_code)]

mod phases;
mod report;
mod server;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use crate::phases::Load;

/// Puts load on a Kubernetes API server and prints what it spent.
#[derive(Parser)]
#[command(version, about)]
pub struct Options {
    /// How to reach the server and as whom
    #[arg(long, env = "KUBECONFIG")]
    kubeconfig: PathBuf,
    /// The server's processes (API server, store), whose CPU time and memory are read; may be given several times
    #[arg(long)]
    pid: Vec<u32>,
    /// How many pods
    #[arg(long, default_value_t = 4000)]
    pods: usize,
    /// Bytes of a pod
    #[arg(long, default_value_t = 4096)]
    size: usize,
    /// Requests in flight
    #[arg(long, default_value_t = 32)]
    in_flight: usize,
    /// Connections
    #[arg(long, default_value_t = 4)]
    connections: usize,
    /// Watchers of the fan-out phase
    #[arg(long, default_value_t = 200)]
    watchers: usize,
    /// Changes that each watcher gets
    #[arg(long, default_value_t = 200)]
    changes: usize,
    /// LISTs of everything
    #[arg(long, default_value_t = 20)]
    lists: usize,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("portcullis-load: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(async { Load::new(options)?.run().await }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portcullis-load: {error:#}");
            ExitCode::FAILURE
        }
    }
}
