//! How a training run looks to the one who started it.

use std::cell::RefCell;
use std::time::Duration;

use super::{Printer, Progress, thousands};
use crate::train::Watch;
use crate::train::metrics::Row;
use crate::train::{Measure, Part, Trainable};

/// A bar for each epoch and one line for its end.
#[derive(Debug)]
pub struct TrainingReport<'a> {
    printer: &'a Printer,
    measures: &'static [Measure],
    /// What an epoch is called.
    pass: &'static str,
    epochs: RefCell<usize>,
    /// The bar that is drawn, and the part that it evaluates, if it does not train.
    bar: RefCell<Option<(Option<Part>, Progress)>>,
}

impl<'a> TrainingReport<'a> {
    /// A report of runs of `family`.
    pub fn new(printer: &'a Printer, family: &dyn Trainable) -> Self {
        Self {
            printer,
            measures: family.measures().all,
            pass: family.pass(),
            epochs: RefCell::new(0),
            bar: RefCell::new(None),
        }
    }

    fn measured(&self, values: &[f64]) -> String {
        let named = self.measures.iter().zip(values);
        let shown: Vec<String> = named
            .map(|(m, &v)| format!("{} {}", m.name, m.shown(v)))
            .collect();
        shown.join(" ")
    }
}

impl Watch for TrainingReport<'_> {
    fn epoch_begins(&self, epoch: usize, epochs: usize, steps: u64, done: u64) {
        *self.epochs.borrow_mut() = epochs;
        // The bar before ends first: two would be drawn otherwise.
        self.bar.borrow_mut().take();
        let label = format!("{} {epoch}/{epochs}", self.pass);
        let bar = self.printer.progress(&label, steps, "steps");
        bar.advance(done);
        *self.bar.borrow_mut() = Some((None, bar));
    }

    fn step(&self, loss: f64) {
        if let Some((_, bar)) = self.bar.borrow().as_ref() {
            let shown = self.measures.first().map(|m| m.shown(loss));
            bar.note(format!("loss {}", shown.unwrap_or_default()));
            bar.advance(1);
        }
    }

    fn epoch_ends(&self, row: &Row, examples: u64, elapsed: Duration) {
        self.bar.borrow_mut().take();
        let mut line = format!(
            "{} {}/{}  training {}",
            self.pass,
            row.epoch,
            self.epochs.borrow(),
            self.measured(&row.train)
        );
        if let Some(validation) = &row.validation {
            line += &format!("  held-out {}", self.measured(validation));
        }
        let rate = examples as f64 / elapsed.as_secs_f64().max(1e-9);
        line += &format!("  {} examples/s", thousands(rate.round() as usize));
        self.printer.info(&line);
    }

    fn evaluated(&self, part: Part, done: usize, total: usize) {
        let mut drawn = self.bar.borrow_mut();
        if !matches!(&*drawn, Some((Some(of), _)) if *of == part) {
            drawn.take();
            let label = format!("{} part", part.name());
            let bar = self.printer.progress(&label, total as u64, "examples");
            *drawn = Some((Some(part), bar));
        }
        if let Some((_, bar)) = &*drawn {
            bar.set(done as u64);
        }
    }
}

impl Drop for TrainingReport<'_> {
    fn drop(&mut self) {
        self.bar.borrow_mut().take();
    }
}
