//! Asks before something is gone for good.

use std::io::{self, IsTerminal, Write};

use crate::failure::Failure;

/// `Ok` when the person says yes (or said `--yes`); where there is nobody to ask, that is an error.
pub(super) fn confirm(question: &str, yes: bool) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(
            Failure::usage(format!("{question} There is nobody to ask")).hint("add --yes if you mean it")
        );
    }
    // Stderr is a terminal.
    let _ = write!(io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    io::stdin()
        .read_line(&mut answer)
        .map_err(|error| Failure::new(format!("cannot read the answer: {error}")))?;
    match answer.trim().to_lowercase().as_str() {
        "y" | "yes" => Ok(()),
        _ => Err(Failure::new("nothing was deleted")),
    }
}
