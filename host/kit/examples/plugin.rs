//! The commands for authors alone, without a server: `cargo run -p portcullis-kit --example plugin -- new …`. It takes far
//! less time to build than all of `portcullis`.

use std::process::ExitCode;

use clap::Parser;
use portcullis_kit::cli;

/// Work with policy components.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: cli::Command,
}

fn main() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(cli::run(Cli::parse().command)).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("portcullis: {error}");
            ExitCode::FAILURE
        }
    }
}
