//! The command `zoo`.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use zoo::report::Printer;
use zoo::version::{Commit, commit};

/// Training frees and asks again for the same large buffers at every step.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The commit that this program was built from, where it was built from a checkout.
const COMMIT: Option<Commit> = commit(include_bytes!(env!("ZOO_LOG_OF_HEAD")));

/// Longer than a training step.
const KEEP_PAGES: Duration = Duration::from_secs(10);

/// Tells candle what it knows from the environment alone: how many threads compute beside rayon's, where those that wait
/// for work spin, and that errors are one sentence, without a backtrace of where they were made.
fn set_environment(threads: usize) {
    let mut variables = vec![("RUST_LIB_BACKTRACE", "0".to_string())];
    if threads > 0 {
        let names = ["RAYON_NUM_THREADS", "CANDLE_NUM_THREADS"];
        variables.extend(names.map(|name| (name, threads.to_string())));
    }
    for (name, value) in variables {
        // SAFETY: called first, while this is the only thread.
        unsafe { std::env::set_var(name, value) };
    }
}

fn main() -> ExitCode {
    let cli = match zoo::cli::Cli::from_process(COMMIT.as_ref()) {
        Ok(cli) => cli,
        Err(asked) => return tell(&asked),
    };
    set_environment(cli.threads);
    let printer = Printer::new(cli.quiet);
    let done = zoo::interrupt::listen()
        .context("cannot listen for signals")
        .and_then(|()| {
            gmnm_core::keep_freed_pages(KEEP_PAGES);
            zoo::commands::run(cli, &printer)
        });
    match done {
        Ok(outcome) => ExitCode::from(outcome.exit_code()),
        Err(error) if zoo::commands::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            printer.error(&error);
            ExitCode::from(2)
        }
    }
}

/// Prints help, the version, or what is wrong with the command line.
fn tell(asked: &clap::Error) -> ExitCode {
    let written = asked.print().and_then(|()| io::stdout().flush());
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let error = anyhow::Error::new(error).context("cannot write to stdout");
            Printer::new(false).error(&error);
            ExitCode::from(2)
        }
        _ => ExitCode::from(asked.exit_code() as u8),
    }
}
