//! Where a run begins: at its newest checkpoint, with what it takes of a trained model, or with drawn parameters.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use candle_core::DType;
use gmnm_core::optim::{Ema, Optimizer};
use gmnm_core::{ParamStore, on_worker};

use super::{Run, Training};
use crate::train::checkpoint::{Checkpoint, Position};
use crate::train::freeze::Freezing;
use crate::train::recipe::TakenNorm;
use crate::train::tally::Tally;
use crate::train::task::{BatchOf, Examples, Task};
use crate::train::{Descent, Effort, TrainError};

/// Training batches from which the batch norms of a trained model take new running statistics. At a momentum of 0.1 the
/// former ones then weigh 0.5 %.
const RENEWING: usize = 50;

impl<'a, T: Task> Training<'a, T> {
    /// The state at which the run goes on; nothing where it is told to stop before its first step.
    pub(super) fn start(task: &'a T, run: &'a Run<'a>) -> Result<Option<Self>, TrainError> {
        let recipe = run.record.recipe.descent()?;
        let freezing = Freezing::of(run.record)?;
        let store = ParamStore::new(run.record.seed, DType::F32, run.device);
        let model = task.build(store.var_builder())?;
        let saved = Checkpoint::<Position>::latest(run.dir)?;
        if saved.is_none() && !begin(task, run, recipe, &store)? {
            return Ok(None);
        }
        let mut optimizer = Optimizer::new(&store, recipe.optimizer.clone())?;
        let mut ema = (recipe.ema.decay > 0.0)
            .then(|| Ema::new(&store, recipe.ema.decay))
            .transpose()?;
        let mut best = None;
        let mut position = Position {
            sums: vec![0.0; task.measures().all.len()],
            ..Default::default()
        };
        if let Some(saved) = saved {
            store.load_strict(saved.set("weights")?)?;
            optimizer.restore(saved.set("moments")?, saved.position.total_steps)?;
            if let Some(ema) = &mut ema {
                ema.store().load_strict(saved.set("average")?)?;
            }
            best = saved.tensors.get("best").cloned();
            position = saved.position;
        }
        let steps_per_epoch = task.examples().steps().max(1);
        if let Some(base) = &run.record.base {
            optimizer.scale_rates(&base.parameters(), recipe.from_rate);
        }
        if let Some((names, epochs)) = freezing.later() {
            optimizer.begin_after(epochs as u64 * steps_per_epoch, names);
        }
        Ok(Some(Self {
            task,
            run,
            recipe,
            store,
            model,
            freezing,
            unchanged: BTreeSet::new(),
            frozen: BTreeSet::new(),
            optimizer,
            ema,
            best,
            position,
            tally: Tally::new(run.device),
            steps_per_epoch,
            effort: Effort::default(),
        }))
    }
}

/// Gives the drawn parameters in `store` the values with which the run begins; `false` where it is told to stop before.
fn begin<T: Task>(
    task: &T,
    run: &Run<'_>,
    recipe: &Descent,
    store: &ParamStore,
) -> Result<bool, TrainError> {
    task.initialize(store)?;
    let Some(base) = &run.record.base else {
        return Ok(true);
    };
    let mut first = store.tensors();
    first.extend(base.tensors(run.dir)?);
    store.load_strict(&first)?;
    if recipe.norm == TakenNorm::Keep {
        return Ok(true);
    }
    let epochs = (0..).flat_map(|epoch| task.examples().training_batches(epoch, 0));
    renew(task, run, store, &BTreeSet::new(), epochs.take(RENEWING))
}

/// Lets the batch norms of the network over `store` take new running statistics from `batches`, except those called
/// `kept`; `false` where the run is told to stop before the end.
pub(super) fn renew<T: Task>(
    task: &T,
    run: &Run<'_>,
    store: &ParamStore,
    kept: &BTreeSet<String>,
    batches: impl Iterator<Item = candle_core::Result<BatchOf<T>>>,
) -> Result<bool, TrainError> {
    let parameters = store.trainable().into_iter().map(|(name, _)| name);
    let frozen = parameters.chain(kept.iter().cloned()).collect();
    let model = task.build(store.freezing(frozen).var_builder())?;
    let precision = run.record.recipe.descent()?.precision.precision();
    for batch in batches {
        if run.stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
        let batch = batch?;
        on_worker(|| {
            let _guard = precision.enter();
            task.loss(&model, &batch)
        })?;
    }
    Ok(true)
}
