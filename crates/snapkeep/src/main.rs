//! The snapkeep program: a server with an Elasticsearch and a native API, and the command line that drives it.

#![cfg_attr(test, allow(clippy::unwrap_used))]

mod cli;
mod client;
mod commands;
mod config;
mod demo;
mod exit;
mod output;
mod serve;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::exit::{Exit, Failure};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // Refused only when there is one already, which does as well.
    let _ = tokio_rustls::rustls::crypto::ring::default_provider().install_default();
    let output = cli.connect.output();
    let ended = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => {
            let ended = runtime.block_on(run(cli));
            // Blocking calls that a deadline has already given up on must not hold up the end.
            runtime.shutdown_background();
            ended
        }
        Err(cause) => Err(Failure::failed(format!("cannot start: {cause}"))),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(failure) => {
            output.failure(&failure);
            failure.exit.into()
        }
    }
}

async fn run(cli: Cli) -> Result<Exit, Failure> {
    let connect = &cli.connect;
    match cli.command {
        Command::Serve(arguments) => serve::serve(arguments, &connect.settings)
            .await
            .map(|()| Exit::Ok),
        Command::Demo(arguments) => demo::run(arguments, &connect.settings).await,
        Command::Repo(command) => commands::repo::run(command, connect).await,
        Command::Snapshot(command) => commands::snapshot::run(command, connect).await,
        Command::Restore(arguments) => commands::restore::run(arguments, connect).await,
        Command::Volume(command) => commands::volume::run(command, connect).await,
        Command::Instance(command) => commands::instance::run(command, connect).await,
        Command::Mount(arguments) => commands::mount::run(arguments, connect).await,
        Command::Policy(command) => commands::policy::run(command, connect).await,
        Command::Check(arguments) => commands::check::run(arguments, connect).await,
        Command::Prune(arguments) => commands::prune::run(arguments, connect).await,
        Command::Key(command) => commands::key::run(command, connect).await,
        Command::Credential(command) => commands::credential::run(command, connect).await,
        Command::Audit(arguments) => commands::audit::run(arguments, connect).await,
        Command::Job(command) => commands::job::run(command, connect).await,
        Command::Config(command) => commands::config::run(command, connect),
        Command::Completions(arguments) => commands::completions::run(arguments),
    }
}
