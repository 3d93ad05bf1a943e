//! The command `zoo`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use zoo::report::Printer;

/// Training frees and asks again for the same large buffers at every step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Longer than a training step.
const KEEP_PAGES: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    gmnm_core::keep_freed_pages(KEEP_PAGES);
    let cli = zoo::cli::Cli::parse();
    let printer = Printer::new(cli.quiet);
    match zoo::commands::run(cli, &printer) {
        Ok(outcome) => ExitCode::from(outcome.exit_code()),
        Err(error) if zoo::commands::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            printer.error(&error);
            ExitCode::from(2)
        }
    }
}
