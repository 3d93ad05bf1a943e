//! Progress of one long piece of work.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::Printer;

/// Between two plain lines in a pipe.
const PLAIN_EVERY: Duration = Duration::from_secs(10);

/// Counts work that is done; drop it to end the bar.
#[derive(Debug)]
pub struct Progress {
    printer: Printer,
    label: String,
    unit: &'static str,
    bar: ProgressBar,
    last_plain: Mutex<Instant>,
}

impl Progress {
    pub(super) fn new(printer: &Printer, label: &str, total: u64, unit: &'static str) -> Self {
        let bar = printer.bars().add(ProgressBar::new(total));
        let template = if printer.colour() {
            "{prefix} {bar:28.green/dim} {pos}/{len} {msg} {eta:.dim}"
        } else {
            "{prefix} {bar:28} {pos}/{len} {msg} {eta}"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_prefix(label.to_string());
        Self {
            printer: printer.clone(),
            label: label.to_string(),
            unit,
            bar,
            last_plain: Mutex::new(Instant::now()),
        }
    }

    /// Adds `n` to what is done.
    pub fn advance(&self, n: u64) {
        self.bar.inc(n);
        if !self.printer.is_terminal() {
            self.plain_line();
        }
    }

    /// Says how much is done in all.
    pub fn set(&self, done: u64) {
        self.advance(done.saturating_sub(self.bar.position()));
    }

    /// What stands after the count, as in `loss 0.41`.
    pub fn note(&self, text: String) {
        self.bar.set_message(text);
    }

    fn plain_line(&self) {
        let mut last = self
            .last_plain
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if last.elapsed() < PLAIN_EVERY {
            return;
        }
        *last = Instant::now();
        let (done, unit) = (self.bar.position(), self.unit);
        let of = match self.bar.length() {
            Some(total) if total > 0 => format!("/{total}"),
            _ => String::new(),
        };
        let message = self.bar.message();
        self.printer
            .info(format!("{}: {done}{of} {unit} {message}", self.label).trim_end());
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
