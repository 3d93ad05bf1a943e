use candle_core::{Result, Tensor};
use gmnm_core::ParamStore;
use gmnm_core::rng::Philox;
use models::forecaster::{ForecastNetwork, Step};
use models::registry;

use super::task::{Batch, errors};
use super::*;
use crate::data::series::{SAMPLE, SeriesOptions};
use crate::train::{Batches, Examples, Task, tally};

fn config(look_back: usize, horizon: usize) -> ForecasterConfig {
    let entry = registry::find("series-forecaster.dlinear").unwrap();
    let mut config = settings(&entry.config()).unwrap().clone();
    (config.look_back, config.horizon, config.channels) = (look_back, horizon, 3);
    config
}

fn sample(config: &ForecasterConfig) -> Windows {
    let series = Series::open(None, SAMPLE, &SeriesOptions::default()).unwrap();
    Windows {
        config: config.clone(),
        split: series.split(0.1),
        series,
        evaluation_batch_size: 64,
    }
}

fn task(config: &ForecasterConfig, settings: &SeriesRecipe) -> Forecasting {
    let windows = sample(config);
    let scale = windows.series.scale(windows.split.train.clone()).unwrap();
    let recipe = Some((settings, 16, 5));
    windows.task(config, &scale, recipe, &Device::Cpu).unwrap()
}

fn first_values(batches: Batches<'_, Batch>) -> Vec<f32> {
    batches
        .flat_map(|batch| {
            let past = batch.unwrap().past;
            past.narrow(1, 0, 1)
                .unwrap()
                .narrow(2, 0, 1)
                .unwrap()
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap()
        })
        .collect()
}

#[test]
fn every_test_window_is_measured_once() {
    let config = config(48, 24);
    let task = task(&config, &SeriesRecipe::default());
    // The last 800 of 4000 rows.
    assert_eq!(task.count(Part::Test), 800 - 24 + 1);
    let batches: Vec<Batch> = task.batches(Part::Test, 100).map(Result::unwrap).collect();
    let sizes: Vec<usize> = batches.iter().map(|b| task.batch_len(b)).collect();
    assert_eq!(sizes, [100, 100, 100, 100, 100, 100, 100, 77]);
    // The last window's last row is the series' last, and its look-back ends where its future begins.
    let last = &batches[7]
        .future
        .narrow(0, 76, 1)
        .unwrap()
        .narrow(1, 23, 1)
        .unwrap();
    assert_eq!(
        last.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
        task.values[3999 * 3..]
    );
    let first = &batches[0]
        .future
        .narrow(0, 0, 1)
        .unwrap()
        .narrow(1, 0, 1)
        .unwrap();
    assert_eq!(
        first.flatten_all().unwrap().to_vec1::<f32>().unwrap(),
        task.values[3200 * 3..3201 * 3]
    );
}

#[test]
fn an_epoch_is_shuffled_limited_and_resumes() {
    let config = config(48, 24);
    let settings = SeriesRecipe {
        epoch_windows: 100,
        ..SeriesRecipe::default()
    };
    let task = task(&config, &settings);
    assert_eq!(task.steps(), 6);
    let epoch = |epoch, step| first_values(task.training_batches(epoch, step));
    let whole = epoch(0, 0);
    assert_eq!(whole.len(), 96);
    assert_eq!(epoch(0, 4), whole[64..]);
    assert_ne!(epoch(1, 0), whole);
    assert!(epoch(0, 9).is_empty());
}

#[test]
fn a_run_is_judged_by_the_error_that_it_makes_small() {
    for (loss, name) in [(SeriesLoss::Squared, "mse"), (SeriesLoss::Absolute, "mae")] {
        let settings = SeriesRecipe {
            loss,
            ..SeriesRecipe::default()
        };
        let measures = task(&config(48, 24), &settings).measures();
        assert_eq!(measures.all[measures.objective].name, name);
    }
}

#[test]
fn dropout_is_drawn_anew_every_step_and_again_by_a_resumed_run() {
    let entry = registry::find("series-forecaster").unwrap();
    let mut config = ForecasterConfig {
        look_back: 48,
        horizon: 24,
        channels: 3,
        ..super::settings(&entry.config()).unwrap().clone()
    };
    if let ForecastNetwork::Recurrent(own) = &mut config.network {
        own.dropout = 0.5;
    }
    let task = task(&config, &SeriesRecipe::default());
    let store = ParamStore::new(3, DType::F32, &Device::Cpu);
    let network = task.build(store.var_builder()).unwrap();
    let draws = |epoch, first_step| -> Vec<f32> {
        let batches = task.training_batches(epoch, first_step).take(2);
        batches
            .map(|batch| {
                let mut batch = batch.unwrap();
                // The same windows every time: what differs is the dropout.
                batch.past = batch.past.zeros_like().unwrap();
                batch.future = batch.future.zeros_like().unwrap();
                let loss = task.loss(&network, &batch).unwrap();
                loss.value.to_scalar().unwrap()
            })
            .collect()
    };
    let whole = draws(0, 0);
    assert_ne!(whole[0], whole[1]);
    assert_ne!(draws(1, 0)[0], whole[0]);
    assert_eq!(draws(0, 1)[0], whole[1]);
    // Measuring drops nothing.
    let batch = task.batches(Part::Test, 4).next().unwrap().unwrap();
    let numbers = |sums| tally::values(&[sums]).unwrap();
    let measured = || numbers(task.measure(&network, &batch).unwrap());
    assert_eq!(measured(), measured());
    let expected = network.forward(&batch.past).unwrap();
    let expected = errors(&expected, &batch).unwrap();
    assert_eq!(numbers(expected), measured());
}

#[test]
fn repeating_is_measured_as_by_hand() {
    let config = config(48, 30);
    let windows = sample(&config);
    assert_eq!(windows.season(), 24);
    let task = task(&config, &SeriesRecipe::default());
    for season in [1, 24] {
        let (mut squared, mut absolute, mut count) = (0.0, 0.0, 0.0);
        for start in task.windows(Part::Test) {
            for step in 0..30 {
                for column in 0..3 {
                    let at = |row: usize| f64::from(task.values[row * 3 + column]);
                    let error = at(start + 48 + step) - at(start + 48 - season + step % season);
                    squared += error * error;
                    absolute += error.abs();
                    count += 1.0;
                }
            }
        }
        let measured = windows.repeat(season).unwrap();
        assert!((measured[0] - squared / count).abs() < 1e-4, "{measured:?}");
        assert!(
            (measured[1] - absolute / count).abs() < 1e-4,
            "{measured:?}"
        );
    }
    assert!(windows.repeat(49).is_err());
}

#[test]
fn a_series_that_is_too_short_is_named() {
    for (look_back, horizon, part) in [(2720, 96, "training"), (48, 500, "validation")] {
        let config = config(look_back, horizon);
        let windows = sample(&config);
        let error = windows
            .check(&ModelConfig::Forecaster(config))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`sample` is too short") && error.contains(part),
            "{error}"
        );
    }
}

#[test]
fn what_the_channels_stand_for_is_kept_with_the_model() {
    let config = config(48, 24);
    let windows = sample(&config);
    let ModelConfig::Forecaster(fitted) = windows.adapt(ModelConfig::Forecaster(config)).unwrap()
    else {
        panic!("a forecaster is none");
    };
    fitted.validate().unwrap();
    let format = fitted.series.as_ref().unwrap();
    assert_eq!(format.columns, ["load", "temperature", "wind"]);
    let column = windows.series.values.iter().skip(1).step_by(3).take(2800);
    let mean = column.sum::<f64>() / 2800.0;
    assert!((format.mean[1] - mean).abs() < 1e-9);
    let mut other = sample(&fitted);
    other.series.timeline.step = Step::Seconds(60);
    let error = super::format(&fitted, &other.series)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("steps of 1 min, the model learned from steps of 1 h"),
        "{error}"
    );
}

#[test]
fn windows_made_on_the_device_are_those_of_the_host() {
    let config = config(48, 24);
    let host = task(&config, &SeriesRecipe::default());
    let mut there = host.clone();
    let rows = ResidentRows::new(&host.values, host.columns, 48 + 24, &Device::Cpu);
    there.resident = Some(rows.unwrap());
    let parts = |task: &Forecasting| -> Vec<Batch> {
        let training = task.training_batches(1, 3).take(4);
        let test = task.batches(Part::Test, 100);
        training.chain(test).map(Result::unwrap).collect()
    };
    let flat = |t: &Tensor| t.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    for (a, b) in parts(&host).iter().zip(&parts(&there)) {
        for (a, b) in [(&a.past, &b.past), (&a.future, &b.future)] {
            assert_eq!(a.dims(), b.dims());
            assert_eq!(flat(a), flat(b));
        }
    }
}

#[test]
fn what_was_filled_in_counts_in_no_loss_and_no_measure() {
    let config = config(48, 24);
    let mut windows = sample(&config);
    let (columns, horizon) = (3, config.horizon);
    // A run of 200 rows of the test part, one column before it, and some of the training part.
    let filled = |row: usize, column: usize| {
        (3300..3500).contains(&row)
            || row.is_multiple_of(7) && column == 1
            || (100..160).contains(&row)
    };
    let places = (0..4000 * columns).map(|i| filled(i / columns, i % columns));
    windows.series.filled = places.collect();
    let scale = windows.series.scale(windows.split.train.clone()).unwrap();
    let settings = SeriesRecipe::default();
    let recipe = Some((&settings, 16, 5));
    let task = windows.task(&config, &scale, recipe, &Device::Cpu).unwrap();
    let at = |row: usize, column: usize| f64::from(task.values[row * columns + column]);
    // Against the last value of the look-back, as the naive forecast.
    let by_hand = |starts: &[usize]| {
        let (mut squared, mut absolute, mut count) = (0.0, 0.0, 0.0);
        for start in starts {
            for row in start + 48..start + 48 + horizon {
                for column in (0..columns).filter(|&column| !filled(row, column)) {
                    let error = at(row, column) - at(start + 47, column);
                    squared += error * error;
                    absolute += error.abs();
                    count += 1.0;
                }
            }
        }
        [squared / count, absolute / count]
    };
    let test: Vec<usize> = task.windows(Part::Test).collect();
    let measured = windows.repeat(1).unwrap();
    for (measured, expected) in measured.iter().zip(by_hand(&test)) {
        assert!((measured - expected).abs() < 1e-4, "{measured} {expected}");
    }
    // One batch of training, its loss as the sums of its windows.
    let store = ParamStore::new(3, DType::F32, &Device::Cpu);
    let network = task.build(store.var_builder()).unwrap();
    let starts = [40, 60, 900];
    let noise = Some(Philox::named(0, "x"));
    let batch = task.batch(&starts, task.weight(&starts), noise).unwrap();
    let forecast = network.forward(&batch.past).unwrap();
    let forecast = forecast.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (mut squared, mut count) = (0.0, 0.0);
    for (window, start) in starts.iter().enumerate() {
        for step in 0..horizon {
            for column in 0..columns {
                let row = start + 48 + step;
                if !filled(row, column) {
                    let made = f64::from(forecast[(window * horizon + step) * columns + column]);
                    squared += (made - at(row, column)).powi(2);
                    count += 1.0;
                }
            }
        }
    }
    let loss = task.loss(&network, &batch).unwrap();
    let value = f64::from(loss.value.to_scalar::<f32>().unwrap());
    assert!((value - squared / count).abs() < 1e-4, "{value}");
    let sums = tally::values(&[loss.sums]).unwrap();
    assert!(
        (sums[0][0] - 3.0 * squared / count).abs() < 1e-3,
        "{sums:?}"
    );
}
