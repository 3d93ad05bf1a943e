//! Timings of the paths that matter, under the names that the PyTorch peers in `tests/peers` share.

mod scaling;
mod works;

use std::time::{Duration, Instant};

use gmnm_core::on_worker;
use serde::{Deserialize, Serialize};

use crate::device::Opened;
use crate::report::peak_memory_mib;
pub use scaling::{scaling, scaling_works};
pub use works::{Work, standard};

/// A work that cannot be measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No work has this name.
    #[error("there is no work `{0}`; `zoo bench` without a name measures {names}", names = works::NAMES.join(", "))]
    Unknown(String),
    /// The work failed.
    #[error("the work `{work}` failed: {source}")]
    Failed {
        /// Its name.
        work: String,
        /// Why.
        source: candle_core::Error,
    },
}

/// What one work took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// The name of the work.
    pub work: String,
    /// The median of one run, in milliseconds.
    pub milliseconds: f64,
    /// The fastest run, in milliseconds.
    pub minimum: f64,
    /// The largest resident memory of the process so far, in MiB; absent where the system does not tell.
    pub peak_mib: Option<u64>,
    /// Threads of the processor, whether they computed or launched.
    pub threads: usize,
    /// What computed, as `--device` names it.
    pub device: String,
}

/// Measures `work` in this process on the device `opened`: two runs to warm up, then at least five and about `budget` in all. A run
/// ends when the device has done all of it.
///
/// # Errors
/// When the work fails.
pub fn measure(work: &Work, budget: Duration, opened: &Opened) -> Result<Timing, BenchError> {
    let failed = |source| BenchError::Failed {
        work: work.name().to_string(),
        source,
    };
    let mut run = work.prepare(&opened.device).map_err(failed)?;
    opened.device.synchronize().map_err(failed)?;
    let mut timed = || -> Result<f64, BenchError> {
        let begun = Instant::now();
        on_worker(&mut run)
            .and_then(|()| opened.device.synchronize())
            .map_err(failed)?;
        Ok(begun.elapsed().as_secs_f64())
    };
    timed()?;
    let once = timed()?;
    let runs = (budget.as_secs_f64() / once.max(1e-6)).clamp(5.0, 2000.0) as usize;
    let mut seconds = (0..runs).map(|_| timed()).collect::<Result<Vec<_>, _>>()?;
    seconds.sort_by(f64::total_cmp);
    Ok(Timing {
        work: work.name().to_string(),
        milliseconds: 1e3 * median(&seconds),
        minimum: 1e3 * seconds[0],
        peak_mib: peak_memory_mib(),
        threads: rayon::current_num_threads(),
        device: opened.name.clone(),
    })
}

/// The median of sorted, non-empty values.
fn median(sorted: &[f64]) -> f64 {
    let middle = sorted.len() / 2;
    if sorted.len().is_multiple_of(2) {
        0.5 * (sorted[middle - 1] + sorted[middle])
    } else {
        sorted[middle]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::DeviceChoice;

    #[test]
    fn median_of_even_and_odd_counts() {
        assert_eq!(median(&[1.0, 2.0, 9.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), 3.0);
    }

    #[test]
    fn a_small_work_is_measured() {
        let work: Work = "mixture-8-3-5-2".parse().expect("a work");
        let cpu = DeviceChoice::Cpu.open().expect("it is there");
        let timing = measure(&work, Duration::from_millis(1), &cpu).expect("a timing");
        assert_eq!(timing.device, "cpu");
        assert!(timing.minimum > 0.0 && timing.minimum <= timing.milliseconds);
        assert_eq!(timing.work, "mixture-8-3-5-2");
    }

    #[test]
    fn every_standard_work_parses_and_others_are_named() {
        let standard: Vec<Work> = standard();
        let names: Vec<&str> = standard.iter().map(Work::name).collect();
        assert_eq!(names, works::NAMES);
        for wrong in [
            "",
            "cnn",
            "mixture-1-2-3",
            "lstm-0-1-1",
            "cnn-forward-x",
            "mixture-8-3-5-2-9",
            "lstm--1-2",
        ] {
            let error = wrong.parse::<Work>().expect_err("not a work").to_string();
            assert!(error.contains(&format!("`{wrong}`")), "{error}");
        }
    }
}
