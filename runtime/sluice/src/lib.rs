//! `sluice`: the one command people see. It reads arguments, opens the domain,
//! calls one verb of `sluice-service`, and prints. Data goes to stdout, everything
//! else to stderr; the exit code carries the verdict.
//!
//! A library as well, so that the tests found their cities the way the demo does.
#![forbid(unsafe_code)]

mod args;
mod commands;
pub mod demo;
mod output;

use std::process::ExitCode;

use clap::Parser;

use crate::args::Cli;
pub use crate::{commands::Failure, output::Output};

/// Reads the command line and carries it out.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.json, cli.lang.into());
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::try_from_env("SLUICE_LOG").unwrap_or_else(|_| "off".into()))
        .with_writer(std::io::stderr)
        .init();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output.broken(&error.into()),
    };
    match runtime.block_on(commands::dispatch(cli, &output)) {
        Ok(code) => code,
        Err(Failure::Refusal(refusal)) => output.refusal(&refusal),
        Err(Failure::Other(error)) => output.broken(&error),
    }
}
