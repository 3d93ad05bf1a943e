//! `zoo completions`.

use clap::CommandFactory;

use super::Outcome;
use crate::cli::{Cli, CompletionsArgs};
use crate::report::Printer;

/// Prints the completions of a shell.
///
/// # Errors
/// When stdout cannot be written.
pub(super) fn run(args: &CompletionsArgs, printer: &Printer) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "zoo", &mut script);
    printer.write_results(|out| out.write_all(&script))?;
    Ok(Outcome::Done)
}
