//! When a run ends before its last epoch.

use serde::{Deserialize, Serialize};

use super::measure::Better;

/// Stops when the measure of the held-out examples has not improved for some epochs; the best weights are kept.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStopping {
    /// Epochs without an improvement after which the run stops; 0 never stops.
    pub patience: usize,
    /// The least change that counts as an improvement.
    pub min_delta: f64,
    /// The name of the measure, as in `loss`; empty for the one that the family is judged by.
    #[serde(default)]
    pub measure: String,
}

/// What a measure after an epoch means for the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// This epoch is the best so far.
    pub improved: bool,
    /// The run should stop now.
    pub stop: bool,
}

impl EarlyStopping {
    /// Judges the last of `history`, the measures after each epoch.
    pub fn judge(&self, history: &[f64], better: Better) -> Verdict {
        let mut best = f64::NAN;
        let mut since = 0;
        for &value in history {
            let gain = match better {
                Better::Higher => value - best,
                Better::Lower => best - value,
            };
            if best.is_nan() || gain > self.min_delta {
                best = value;
                since = 0;
            } else {
                since += 1;
            }
        }
        Verdict {
            improved: since == 0 && !history.is_empty(),
            stop: self.patience > 0 && since >= self.patience,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_after_patience_without_improvement() {
        let rule = EarlyStopping {
            patience: 2,
            min_delta: 0.01,
            ..EarlyStopping::default()
        };
        let verdict = |history: &[f64], better| {
            let v = rule.judge(history, better);
            (v.improved, v.stop)
        };
        assert_eq!(verdict(&[0.5], Better::Higher), (true, false));
        assert_eq!(verdict(&[0.5, 0.505], Better::Higher), (false, false));
        assert_eq!(verdict(&[0.5, 0.505, 0.509], Better::Higher), (false, true));
        assert_eq!(verdict(&[0.5, 0.505, 0.52], Better::Higher), (true, false));
        assert_eq!(verdict(&[0.5, 0.4, 0.3], Better::Lower), (true, false));
        assert_eq!(verdict(&[0.5, 0.6, 0.7], Better::Lower), (false, true));
    }

    #[test]
    fn patience_of_zero_never_stops() {
        let rule = EarlyStopping::default();
        assert!(!rule.judge(&[1.0, 0.0, 0.0, 0.0], Better::Higher).stop);
    }
}
