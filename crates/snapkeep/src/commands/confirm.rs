//! Asking before something that cannot be taken back.

use std::io::{IsTerminal, Write};

use crate::exit::{Exit, Failure};

/// Asks on the terminal, unless `--yes` was given. Where nobody can be asked, only `--yes` will do.
pub fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(
            Failure::usage(format!("not done without --yes: {question}"))
                .hint("add --yes where nobody can be asked"),
        );
    }
    eprint!("{question} [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    if matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Cancelled,
        "not_confirmed",
        "nothing was done",
    ))
}
