//! The command `zoo`.

use std::process::ExitCode;
use std::time::Duration;

use zoo::report::Printer;
use zoo::version::{Commit, commit};

/// Training frees and asks again for the same large buffers at every step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The commit that this program was built from, where it was built from a checkout.
const COMMIT: Option<Commit> = commit(include_bytes!(env!("ZOO_LOG_OF_HEAD")));

/// Longer than a training step.
const KEEP_PAGES: Duration = Duration::from_secs(10);

/// Bounds the threads that candle computes with beside rayon's: it knows them from the environment alone, and those that
/// wait for work spin.
fn limit_candle(threads: usize) {
    for name in ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"] {
        // SAFETY: called first, while this is the only thread.
        unsafe { std::env::set_var(name, threads.to_string()) };
    }
}

fn main() -> ExitCode {
    let cli = zoo::cli::Cli::from_process(COMMIT.as_ref());
    if cli.threads > 0 {
        limit_candle(cli.threads);
    }
    gmnm_core::keep_freed_pages(KEEP_PAGES);
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
