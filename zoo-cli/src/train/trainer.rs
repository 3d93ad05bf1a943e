//! The training loop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use candle_core::{Device, Tensor};
use gmnm_core::optim::{Ema, Optimizer};
use gmnm_core::{ParamStore, on_worker};
use models::ModelDir;

use super::checkpoint::{Checkpoint, Position};
use super::freeze::Freezing;
use super::metrics::{self, Row};
use super::record::TrainingRecord;
use super::run_dir::RunDir;
use super::tally::{self, Measured, Tally};
use super::task::{BatchOf, Examples, Part, Sums, Task};
use super::{Descent, Effort, Ended, Finished, Place, TrainError, checkpoint};
use crate::layout::CURVES;

mod start;

use start::renew;

/// Follows a run.
pub trait Watch {
    /// An epoch of `steps` steps begins, `done` of them done before an interruption.
    fn epoch_begins(&self, epoch: usize, epochs: usize, steps: u64, done: u64) {
        let _ = (epoch, epochs, steps, done);
    }

    /// The loss of a step is known: of each in its order, of some at once on a device that works while the program goes
    /// on.
    fn step(&self, loss: f64) {
        let _ = loss;
    }

    /// An epoch is done and measured; training alone took `elapsed` for `examples` examples.
    fn epoch_ends(&self, row: &Row, examples: u64, elapsed: Duration) {
        let _ = (row, examples, elapsed);
    }

    /// Some of the `total` examples of an evaluation are done.
    fn evaluated(&self, part: Part, done: usize, total: usize) {
        let _ = (part, done, total);
    }
}

/// Follows nothing.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Watch for Unwatched {}

/// One run, whatever the problem.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// What is trained, on what and how.
    pub record: &'a TrainingRecord,
    /// Where parameters live and steps are computed.
    pub device: &'a Device,
    /// Where checkpoints and metrics go.
    pub dir: &'a RunDir,
    /// Who follows it.
    pub watch: &'a dyn Watch,
    /// Set to end the run after the current step, with its state saved.
    pub stop: &'a AtomicBool,
}

/// Trains the network of `task` from the newest checkpoint in the run's directory, or from the start.
///
/// # Errors
/// When the loss is not finite (the last good checkpoint stays), data is missing, or files cannot be written.
pub fn train<T: Task>(task: &T, run: &Run<'_>) -> Result<Ended<Finished>, TrainError> {
    for part in [Part::Train, Part::Test] {
        if task.examples().count(part) == 0 {
            return Err(TrainError::NoExamples(part.name()));
        }
    }
    let Some(mut training) = Training::start(task, run)? else {
        return Ok(Ended::Interrupted(Place { epoch: 1, step: 0 }));
    };
    while !training.is_over() {
        if let Some(place) = training.epoch()? {
            return Ok(Ended::Interrupted(place));
        }
    }
    let place = Place {
        epoch: training.position.epoch,
        step: training.steps_per_epoch,
    };
    Ok(match training.finish()? {
        Some(finished) => Ended::Finished(Box::new(finished)),
        // The state at the end of the last epoch is saved.
        None => Ended::Interrupted(place),
    })
}

/// The means of the task's measures over a part, in the order of its examples.
///
/// # Errors
/// When the part is empty or the network fails.
pub fn evaluate<T: Task>(
    task: &T,
    model: &T::Model,
    part: Part,
    batch_size: usize,
    watch: &dyn Watch,
) -> Result<Vec<f64>, TrainError> {
    let each = |batch: &_| on_worker(|| task.measure(model, batch));
    measure(task.examples(), part, batch_size, watch, each)
}

/// The means over a part of what `each` sums over a batch, in the order of the examples.
///
/// # Errors
/// When the part is empty or `each` fails.
pub fn measure<E: Examples>(
    examples: &E,
    part: Part,
    batch_size: usize,
    watch: &dyn Watch,
    each: impl FnMut(&E::Batch) -> candle_core::Result<Sums>,
) -> Result<Vec<f64>, TrainError> {
    let never = AtomicBool::new(false);
    let measured = measure_until(&never, examples, part, batch_size, watch, each)?;
    Ok(measured.unwrap_or_default())
}

/// The same, or nothing where `stop` is set before the end.
fn measure_until<E: Examples>(
    stop: &AtomicBool,
    examples: &E,
    part: Part,
    batch_size: usize,
    watch: &dyn Watch,
    mut each: impl FnMut(&E::Batch) -> candle_core::Result<Sums>,
) -> Result<Option<Vec<f64>>, TrainError> {
    let total = examples.count(part);
    if total == 0 {
        return Err(TrainError::NoExamples(part.name()));
    }
    let mut measured = Vec::new();
    let mut done = 0;
    for batch in examples.batches(part, batch_size) {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let batch = batch?;
        measured.push(each(&batch)?);
        done += examples.batch_len(&batch);
        watch.evaluated(part, done, total);
    }
    let mut sums = Vec::new();
    for batch in tally::values(&measured)? {
        sums.resize(batch.len(), 0.0);
        add(&mut sums, &batch);
    }
    Ok(Some(sums.iter().map(|sum| sum / total as f64).collect()))
}

fn add(sums: &mut [f64], batch: &[f64]) {
    for (sum, value) in sums.iter_mut().zip(batch) {
        *sum += value;
    }
}

struct Training<'a, T: Task> {
    task: &'a T,
    run: &'a Run<'a>,
    recipe: &'a Descent,
    store: ParamStore,
    model: T::Model,
    freezing: Freezing,
    /// Those that it does not train in this epoch, nor did in any before.
    unchanged: BTreeSet<String>,
    /// The tensors that `model` does not change.
    frozen: BTreeSet<String>,
    optimizer: Optimizer,
    ema: Option<Ema>,
    best: Option<BTreeMap<String, Tensor>>,
    position: Position,
    tally: Tally,
    steps_per_epoch: u64,
    effort: Effort,
}

impl<T: Task> Training<'_, T> {
    fn is_over(&self) -> bool {
        self.position.stopped || self.position.epoch >= self.recipe.epochs
    }

    fn learning_rate(&self, total_step: u64) -> f64 {
        let total = self.steps_per_epoch * self.recipe.epochs as u64;
        self.recipe.optimizer.learning_rate * self.recipe.schedule.factor(total_step, total)
    }

    /// The rest of the current epoch; gives the place where the run was told to stop.
    fn epoch(&mut self) -> Result<Option<Place>, TrainError> {
        let run = self.run;
        let epoch = self.position.epoch;
        self.unchanged = self.freezing.at(epoch);
        let mut frozen = self.task.frozen(epoch);
        frozen.extend(self.unchanged.iter().cloned());
        if frozen != self.frozen {
            let store = self.store.freezing(frozen.clone());
            (self.model, self.frozen) = (self.task.build(store.var_builder())?, frozen);
        }
        run.watch.epoch_begins(
            epoch + 1,
            self.recipe.epochs,
            self.steps_per_epoch,
            self.position.step,
        );
        let (seen_before, started) = (self.effort.examples, Instant::now());
        let every = self.recipe.checkpoint.every_steps;
        let examples = self.task.examples();
        for batch in examples.training_batches(epoch, self.position.step) {
            self.step(&batch?)?;
            let within = self.position.step < self.steps_per_epoch;
            if run.stop.load(Ordering::Relaxed) {
                self.save()?;
                return Ok(Some(self.place()));
            }
            if within && every > 0 && self.position.step.is_multiple_of(every) {
                self.save()?;
            }
        }
        self.read()?;
        let elapsed = started.elapsed();
        self.effort.time += elapsed;
        if !self.end_epoch(self.effort.examples - seen_before, elapsed)? {
            self.save()?;
            return Ok(Some(self.place()));
        }
        if run.stop.load(Ordering::Relaxed) && !self.is_over() {
            return Ok(Some(self.place()));
        }
        Ok(None)
    }

    fn place(&self) -> Place {
        Place {
            epoch: self.position.epoch + 1,
            step: self.position.step,
        }
    }

    fn step(&mut self, batch: &BatchOf<T>) -> Result<(), TrainError> {
        let precision = self.recipe.precision.precision();
        let (task, model) = (self.task, &self.model);
        let loss = on_worker(|| {
            let _guard = precision.enter();
            task.loss(model, batch)
        })?;
        self.tally.push(self.position.step + 1, &loss);
        if self.tally.is_due() {
            // Before the update: where every step is due, a loss that is not finite leaves the weights as they were.
            self.read()?;
        }
        let gradients = on_worker(|| {
            let _guard = precision.enter();
            gmnm_core::ops::backward(&loss.value)
        })?;
        let rate = self.learning_rate(self.position.total_steps);
        self.optimizer.step(&gradients, rate)?;
        self.position.step += 1;
        self.position.total_steps += 1;
        self.effort.steps += 1;
        if let Some(ema) = &mut self.ema {
            ema.update(&self.store, self.position.total_steps, &self.unchanged)?;
        }
        let examples = self.task.examples().batch_len(batch) as u64;
        self.position.seen += examples;
        self.effort.examples += examples;
        Ok(())
    }

    /// Takes in what the steps since the last time have measured.
    fn read(&mut self) -> Result<(), TrainError> {
        for Measured { step, loss, sums } in self.tally.read()? {
            if !loss.is_finite() {
                return Err(self.diverged("loss", step));
            }
            add(&mut self.position.sums, &sums);
            self.run.watch.step(loss);
        }
        Ok(())
    }

    /// Measures and saves; `false` where the run is told to stop before the epoch is measured.
    fn end_epoch(&mut self, examples: u64, elapsed: Duration) -> Result<bool, TrainError> {
        let run = self.run;
        let seen = self.position.seen.max(1) as f64;
        let validation = match self.task.examples().count(Part::Validation) {
            0 => None,
            _ => match self.evaluate(Part::Validation)? {
                None => return Ok(false),
                measured => measured,
            },
        };
        let row = Row {
            epoch: self.position.epoch + 1,
            step: self.position.total_steps,
            learning_rate: self.learning_rate(self.position.total_steps.saturating_sub(1)),
            train: self.position.sums.iter().map(|sum| sum / seen).collect(),
            validation,
            test: None,
        };
        run.watch.epoch_ends(&row, examples, elapsed);
        self.position.history.push(row);
        let rule = &self.recipe.early_stopping;
        if rule.patience > 0 {
            let measures = self.task.measures();
            let judged = measures
                .position(&rule.measure)
                .unwrap_or(measures.objective);
            let measured: Vec<f64> = self
                .position
                .history
                .iter()
                .filter_map(|row| row.validation.as_ref()?.get(judged).copied())
                .collect();
            let verdict = rule.judge(&measured, measures.all[judged].better);
            if verdict.improved {
                self.best = Some(self.kept().deep_copy()?.tensors());
            }
            self.position.stopped = verdict.stop;
        }
        self.position.epoch += 1;
        self.position.step = 0;
        self.position.seen = 0;
        self.position.sums.fill(0.0);
        self.save()?;
        self.write_metrics()?;
        Ok(true)
    }

    /// The weights that are evaluated and, without early stopping, kept.
    fn kept(&self) -> &ParamStore {
        self.ema.as_ref().map_or(&self.store, Ema::store)
    }

    /// The network over the weights to keep.
    fn kept_model(&self) -> candle_core::Result<T::Model> {
        self.task.build(self.kept().detached().var_builder())
    }

    /// The measures of the weights to keep on a part, or nothing where the run is told to stop before the end.
    fn evaluate(&self, part: Part) -> Result<Option<Vec<f64>>, TrainError> {
        let Run { stop, watch, .. } = *self.run;
        let (model, batch_size) = (self.kept_model()?, self.recipe.evaluation_batch_size);
        let each = |batch: &_| on_worker(|| self.task.measure(&model, batch));
        measure_until(stop, self.task.examples(), part, batch_size, watch, each)
    }

    fn save(&mut self) -> Result<(), TrainError> {
        self.read()?;
        let weights = self.store.tensors();
        let sums = weights.values().map(|tensor| tensor.abs()?.sum_all());
        let sums = tally::scalars(&sums.collect::<candle_core::Result<Vec<_>>>()?)?;
        if !sums.iter().all(|sum| sum.is_finite()) {
            return Err(self.diverged("weights", self.position.step + 1));
        }
        let mut tensors = BTreeMap::from([
            ("weights".to_string(), weights),
            ("moments".to_string(), self.optimizer.state()),
        ]);
        if let Some(ema) = &self.ema {
            tensors.insert("average".to_string(), ema.store().tensors());
        }
        if let Some(best) = &self.best {
            tensors.insert("best".to_string(), best.clone());
        }
        let state = Checkpoint {
            position: self.position.clone(),
            tensors,
        };
        state
            .save(self.run.dir, self.position.total_steps)
            .map(drop)
    }

    fn write_metrics(&self) -> Result<(), TrainError> {
        let Run { record, dir, .. } = self.run;
        let history = &self.position.history;
        metrics::write(dir, self.task.measures().all, &record.data, history)?;
        let title = format!("{} on {}", record.model, record.data.name);
        dir.write(CURVES, self.task.curves(&title, history).as_bytes())
    }

    /// What comes of the run, or nothing where it is told to stop before the end.
    fn finish(mut self) -> Result<Option<Finished>, TrainError> {
        if let Some(best) = self.best.take() {
            self.kept().load_strict(&best)?;
        }
        self.renew_statistics()?;
        let Some(test) = self.evaluate(Part::Test)? else {
            return Ok(None);
        };
        if let Some(last) = self.position.history.last_mut() {
            last.test = Some(test.clone());
        }
        let Run { record, stop, .. } = *self.run;
        let (model, batch_size) = (self.kept_model()?, self.recipe.evaluation_batch_size);
        let found = self
            .task
            .conclude(&model, batch_size, self.run.watch, stop)?;
        let Some(found) = found else {
            return Ok(None);
        };
        self.write_metrics()?;
        let mut tensors = self.kept().tensors();
        tensors.extend(found);
        let examples = self.task.examples();
        Ok(Some(Finished {
            model: ModelDir {
                model: record.model.clone(),
                config: record.config.clone(),
                labels: Vec::new(),
                preprocessor: None,
                tensors,
            },
            test,
            examples: (examples.count(Part::Train), examples.count(Part::Test)),
            notes: Vec::new(),
            effort: self.effort,
        }))
    }

    /// Lets the averaged weights' batch norms see training batches, as [`EmaConfig::norm_batches`] says.
    ///
    /// [`EmaConfig::norm_batches`]: super::recipe::EmaConfig::norm_batches
    fn renew_statistics(&self) -> Result<(), TrainError> {
        let recipe = self.recipe;
        let Some(ema) = self.ema.as_ref().filter(|_| recipe.ema.norm_batches > 0) else {
            return Ok(());
        };
        let kept = self.freezing.at(recipe.epochs.saturating_sub(1));
        let batches = self.task.examples().training_batches(recipe.epochs, 0);
        let batches = batches.take(recipe.ema.norm_batches);
        renew(self.task, self.run, ema.store(), &kept, batches).map(drop)
    }

    fn diverged(&self, what: &'static str, step: u64) -> TrainError {
        let kept = match checkpoint::latest_path(self.run.dir) {
            Ok(Some(path)) => format!("the last good state is kept in `{}`", path.display()),
            _ => "nothing had been saved yet".to_string(),
        };
        TrainError::Diverged {
            what,
            epoch: self.position.epoch + 1,
            step,
            suggested_rate: self.recipe.optimizer.learning_rate / 10.0,
            kept,
        }
    }
}

#[cfg(test)]
mod tests;
