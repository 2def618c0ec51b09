//! `snapkeep completions`.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::exit::{Exit, Failure};

/// Arguments of `snapkeep completions`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  snapkeep completions bash > /etc/bash_completion.d/snapkeep
  snapkeep completions zsh  > ~/.zfunc/_snapkeep")]
pub struct CompletionsArgs {
    /// The shell.
    shell: Shell,
}

/// Prints the completions.
pub fn run(arguments: CompletionsArgs) -> Result<Exit, Failure> {
    clap_complete::generate(
        arguments.shell,
        &mut crate::cli::Cli::command(),
        "snapkeep",
        &mut std::io::stdout(),
    );
    Ok(Exit::Ok)
}
