//! Bytes that travel to or from the Hub.

use std::sync::{Mutex, PoisonError};

use super::{Printer, Progress};
use crate::hub;

/// Draws a transfer as one bar over all its bytes, and logs what a user should know.
#[derive(Debug)]
pub struct Transfer {
    printer: Printer,
    label: &'static str,
    bar: Mutex<Option<Bar>>,
}

#[derive(Debug)]
struct Bar {
    progress: Progress,
    drawn: u64,
}

impl Transfer {
    /// A transfer named `label`, as in `downloading`.
    pub fn new(printer: &Printer, label: &'static str) -> Self {
        Self {
            printer: printer.clone(),
            label,
            bar: Mutex::new(None),
        }
    }

    fn with_bar(&self, act: impl FnOnce(&mut Option<Bar>)) {
        act(&mut self.bar.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl hub::Progress for Transfer {
    fn start(&self, _files: usize, bytes: u64) {
        self.with_bar(|bar| {
            *bar = Some(Bar {
                progress: self.printer.progress(self.label, bytes, "bytes"),
                drawn: 0,
            });
        });
    }

    fn file(&self, path: &str) {
        self.with_bar(|bar| {
            if let Some(bar) = bar {
                bar.progress.note(path.to_owned());
            }
        });
    }

    fn position(&self, bytes: u64) {
        // A file that starts over holds the bar where it is until the bytes are new again.
        self.with_bar(|bar| {
            if let Some(bar) = bar
                && bytes > bar.drawn
            {
                bar.progress.advance(bytes - bar.drawn);
                bar.drawn = bytes;
            }
        });
    }

    fn note(&self, message: &str) {
        self.printer.warn(message);
    }

    fn finish(&self) {
        self.with_bar(|bar| *bar = None);
    }
}
