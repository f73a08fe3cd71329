//! `portcullis-robustness`: clients and watchers against the real API server while it, its store and the network between
//! them fail; then everything that they saw is checked.
//!
//! The idea is that of etcd's own robustness tests: take down each call, each answer and each event; read from the store
//! itself what happened; and see whether one order of operations explains every answer ([`check::linear`]), whether the
//! revisions are in one order ([`check::revisions`]), and whether every watch had every event once and in order
//! ([`check::watches`]).

#![forbid(unsafe_code)]

mod api;
mod check;
mod clients;
mod faults;
mod history;
mod run;
mod system;
mod truth;
mod watchers;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

/// What the API server keeps its state in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Engine {
    /// In the process.
    Embedded,
    /// Three members of etcd, and two API servers.
    Etcd,
}

/// Tests an API server under faults.
#[derive(Parser)]
#[command(version, about)]
pub struct Options {
    /// The program to test
    #[arg(long, default_value = "target/release/portcullis")]
    binary: PathBuf,
    /// What it keeps its state in
    #[arg(long, value_enum, default_value = "embedded")]
    engine: Engine,
    /// The version of etcd; any that is installed without one
    #[arg(long, default_value = "")]
    etcd: String,
    /// How long faults are made, in seconds
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// What the choices of clients and faults follow from; another one each time without it
    #[arg(long)]
    seed: Option<u64>,
    /// How many clients
    #[arg(long, default_value_t = 10)]
    clients: u64,
    /// How many objects
    #[arg(long, default_value_t = 10)]
    objects: usize,
    /// About how long a client rests between requests, in milliseconds
    #[arg(long, default_value_t = 20)]
    pace: u64,
    /// Which faults are made; all that can be without it
    #[arg(long, value_enum, value_delimiter = ',')]
    only: Vec<faults::Fault>,
    /// Whether the network between members of etcd is taken apart; the process then has to be in a network namespace of
    /// its own
    #[arg(long)]
    partitions: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("portcullis-robustness: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run::run(options)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("portcullis-robustness: {error:#}");
            ExitCode::FAILURE
        }
    }
}
