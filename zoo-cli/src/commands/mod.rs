//! The subcommands, one file each. No logic that a user of the library would miss.

use crate::cli::{Cli, Command};
use crate::report::Printer;

/// How a command that could be carried out ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was done.
    Done,
    /// Done, but some inputs failed; they were named.
    SomeFailed,
    /// Stopped by the user, with everything saved.
    Interrupted,
}

impl Outcome {
    /// The exit code of the process.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::SomeFailed => 1,
            Self::Interrupted => 130,
        }
    }
}

/// Whether an error only says that the reader of stdout has gone, as after `zoo … | head`.
pub fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// Carries out a command.
///
/// # Errors
/// When the request was wrong or could not be met: one sentence for the user.
pub fn run(cli: Cli, printer: &Printer) -> anyhow::Result<Outcome> {
    if cli.threads > 0 {
        rayon::ThreadPoolBuilder::new()
            .num_threads(cli.threads)
            .build_global()?;
    }
    match cli.command {
        Command::List(_) | Command::Train(_) | Command::Eval(_) | Command::Infer(_) => {
            let _ = printer;
            anyhow::bail!("this command is not part of this build")
        }
    }
}
