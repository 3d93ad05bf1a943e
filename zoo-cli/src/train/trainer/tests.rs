use candle_core::{Result, Tensor};
use candle_nn::{Init, VarBuilder};

use super::super::record::DataRecord;
use super::super::run_dir::IfExists;
use super::super::{Batches, Contrast, Digits, Loss, Measure, Measures, Recipe, Section, Sums};
use super::*;
use crate::layout::METRICS_CSV;

const MEASURES: Measures = Measures {
    all: &[Measure::lower(
        "error",
        Contrast::Difference,
        Digits::Fixed(4),
    )],
    objective: 0,
};

/// Steps of an epoch.
const STEPS: u64 = 11;

/// One number that is drawn to those of the batches; at `breaks_at` (epoch, step) the loss is not a number.
struct Line {
    breaks_at: Option<(usize, u64)>,
}

impl Examples for Line {
    type Batch = f32;

    fn count(&self, part: Part) -> usize {
        match part {
            Part::Train => STEPS as usize,
            Part::Validation | Part::Test => 2,
        }
    }

    fn steps(&self) -> u64 {
        STEPS
    }

    fn training_batches(&self, epoch: usize, first_step: u64) -> Batches<'_, f32> {
        Box::new((first_step..STEPS).map(move |step| {
            let breaks = self.breaks_at == Some((epoch, step));
            Ok(if breaks { f32::NAN } else { step as f32 / 7.0 })
        }))
    }

    fn batches(&self, _: Part, _: usize) -> Batches<'_, f32> {
        Box::new([0.25, 0.5].into_iter().map(Ok))
    }

    fn batch_len(&self, _: &f32) -> usize {
        1
    }
}

impl Task for Line {
    type Model = Tensor;
    type Examples = Self;

    fn examples(&self) -> &Self {
        self
    }

    fn build(&self, vb: VarBuilder) -> Result<Tensor> {
        vb.get_with_hints(1, "a.weight", Init::Const(3.0))
    }

    fn measures(&self) -> Measures {
        MEASURES
    }

    fn loss(&self, model: &Tensor, batch: &f32) -> Result<Loss> {
        let value = (model - f64::from(*batch))?.sqr()?.sum_all()?;
        let sums = Sums::Queued(vec![(value.sqrt()?.detach(), 1.0)]);
        Ok(Loss { value, sums })
    }

    fn measure(&self, model: &Tensor, batch: &f32) -> Result<Sums> {
        Ok(self.loss(model, batch)?.sums)
    }

    fn curves(&self, _: &str, _: &[Row]) -> String {
        String::new()
    }
}

/// A family without keys of its own.
#[derive(Default, serde::Serialize, serde::Deserialize)]
struct Keyless {}

impl Section for Keyless {
    const NAME: &'static str = "line";
}

/// What came of a run, and the metrics of its epochs.
type Came = std::result::Result<(Finished, String), TrainError>;

/// A run of three epochs that reads every so many steps, and what it was told of losses.
fn run(task: &Line, read_every: usize) -> (Came, Vec<f64>) {
    struct Losses(std::cell::RefCell<Vec<f64>>);
    impl Watch for Losses {
        fn step(&self, loss: f64) {
            self.0.borrow_mut().push(loss);
        }
    }
    let root = tempfile::tempdir().unwrap();
    let mut recipe = Descent {
        epochs: 3,
        ..Descent::default()
    };
    recipe.optimizer.clip_norm = 1.0;
    recipe.ema.decay = 0.9;
    recipe.checkpoint.every_steps = 4;
    let recipe = Recipe::new(Some(recipe), &Keyless::default()).unwrap();
    let watch = Losses(Default::default());
    let record = TrainingRecord {
        command: None,
        model: "line".into(),
        version: String::new(),
        seed: 0,
        data: DataRecord::default(),
        base: None,
        recipe,
        config: models::registry::find("cifar-classifier").unwrap().config(),
        result: None,
    };
    let run = Run {
        record: &record,
        device: &Device::Cpu,
        dir: &RunDir::create(root.path(), IfExists::Refuse).unwrap(),
        watch: &watch,
        stop: &AtomicBool::new(false),
    };
    let mut training = Training::start(task, &run)
        .unwrap()
        .expect("nothing stops it");
    training.tally.read_every = read_every;
    let trained = (|| {
        while !training.is_over() {
            assert!(training.epoch()?.is_none());
        }
        let finished = training.finish()?.expect("nothing stops it");
        let metrics = std::fs::read_to_string(run.dir.join(METRICS_CSV)).unwrap();
        Ok((finished, metrics))
    })();
    (trained, watch.0.into_inner())
}

#[test]
fn when_measures_are_read_changes_nothing() {
    let task = Line { breaks_at: None };
    let (every, losses) = run(&task, 1);
    let every = every.unwrap();
    assert_eq!(losses.len() as u64, 3 * STEPS);
    for read_every in [3, 50] {
        let (seldom, told) = run(&task, read_every);
        let seldom = seldom.unwrap();
        assert_eq!(told, losses);
        assert_eq!(seldom.1, every.1);
        assert_eq!(seldom.0.test, every.0.test);
        let weight = |finished: &Finished| {
            let tensors = &finished.model.tensors;
            tensors["a.weight"].to_vec1::<f32>().unwrap()
        };
        assert_eq!(weight(&seldom.0), weight(&every.0));
    }
}

#[test]
fn a_loss_that_is_no_number_is_found_at_its_step_whenever_it_is_read() {
    let task = Line {
        breaks_at: Some((1, 5)),
    };
    for read_every in [1, 3, 50] {
        let (trained, losses) = run(&task, read_every);
        match trained.map(drop).unwrap_err() {
            TrainError::Diverged {
                what, epoch, step, ..
            } => assert_eq!((what, epoch, step), ("loss", 2, 6)),
            other => panic!("{other}"),
        }
        assert_eq!(losses.len() as u64, STEPS + 5);
    }
}
