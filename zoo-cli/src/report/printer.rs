//! Decides what goes where, and whether it has colour.
#![allow(clippy::print_stderr)] // This is the place that may.

use std::io::{self, IsTerminal, Write};

use indicatif::{MultiProgress, ProgressDrawTarget};

use super::Progress;
use crate::data::inventory::visible;

/// Colours of a terminal.
const RED: u8 = 31;
const YELLOW: u8 = 33;

/// Prints results to stdout and everything else to stderr.
///
/// Bars and colour appear only where stderr is a terminal; `NO_COLOR` (any non-empty value) turns colour off.
#[derive(Debug, Clone)]
pub struct Printer {
    quiet: bool,
    terminal: bool,
    colour: bool,
    bars: MultiProgress,
}

impl Printer {
    /// A printer for this process; `quiet` keeps results, warnings and errors only.
    pub fn new(quiet: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        let no_colour = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let target = if terminal && !quiet {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        Self {
            quiet,
            terminal,
            colour: terminal && !no_colour,
            bars: MultiProgress::with_draw_target(target),
        }
    }

    /// Writes one line of results to stdout.
    ///
    /// # Errors
    /// When stdout cannot be written, a closed pipe included.
    pub fn result(&self, line: &str) -> io::Result<()> {
        self.write_results(|out| writeln!(out, "{line}"))
    }

    /// Lets `write` write results to stdout, buffered, and flushes.
    ///
    /// # Errors
    /// When stdout cannot be written, a closed pipe included.
    pub fn write_results(
        &self,
        write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        self.bars
            .suspend(|| {
                let mut out = io::BufWriter::new(io::stdout().lock());
                write(&mut out).and_then(|()| out.flush())
            })
            .map_err(|error| {
                io::Error::new(error.kind(), format!("cannot write to stdout: {error}"))
            })
    }

    /// Logs lines to stderr, unless quiet.
    pub fn info(&self, lines: &str) {
        if !self.quiet {
            let lines: Vec<String> = lines.split('\n').map(visible).collect();
            self.log(&lines.join("\n"));
        }
    }

    /// Logs something that the user should not miss, quiet or not.
    pub fn warn(&self, line: &str) {
        self.tagged(YELLOW, "warning:", line);
    }

    /// Reports the error that ends the command, with its causes on the same line.
    pub fn error(&self, error: &anyhow::Error) {
        self.tagged(RED, "error:", &sentence(error));
    }

    /// Reports an input that failed while the command goes on.
    pub fn failed_input(&self, line: &str) {
        self.tagged(RED, "failed:", line);
    }

    /// Progress over `total` of `unit`: a bar on a terminal, now and then a plain line in a pipe.
    pub fn progress(&self, label: &str, total: u64, unit: &'static str) -> Progress {
        Progress::new(self, label, total, unit)
    }

    /// Whether a person is watching stderr.
    pub fn is_terminal(&self) -> bool {
        self.terminal && !self.quiet
    }

    pub(super) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    pub(super) fn colour(&self) -> bool {
        self.colour
    }

    /// Logs a line behind a tag in this colour; of what it quotes nothing is for the terminal.
    fn tagged(&self, colour: u8, tag: &str, line: &str) {
        let line = visible(line);
        self.log(&match self.colour {
            true => format!("\x1b[1;{colour}m{tag}\x1b[0m {line}"),
            false => format!("{tag} {line}"),
        });
    }

    fn log(&self, line: &str) {
        self.bars.suspend(|| {
            // Nothing can be reported when stderr itself is gone.
            let _ = writeln!(io::stderr().lock(), "{line}");
        });
    }
}

/// The error and its causes, outermost first. The libraries' errors name their cause in their own sentence: it is not
/// said again.
fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot write `a`: {source}")]
        struct Outer {
            source: io::Error,
        }
        let cause = || io::Error::other("the disk is full");
        let outer = anyhow::Error::new(Outer { source: cause() });
        assert_eq!(sentence(&outer), "cannot write `a`: the disk is full");
        let context = anyhow::Error::new(cause()).context("cannot write `b`");
        assert_eq!(sentence(&context), "cannot write `b`: the disk is full");
    }
}
