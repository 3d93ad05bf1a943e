//! The command `zoo`.

use std::process::ExitCode;

use clap::Parser;
use zoo::report::Printer;

/// Training frees and asks again for the same large buffers at every step: mimalloc keeps their pages.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
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
