//! Whether probabilities are what they claim to be, and the temperature that brings them nearer.

use serde::Serialize;

use super::Predictions;

/// Bins of equal width between the probabilities 0 and 1.
pub const BINS: usize = 15;

/// The examples whose highest probability lies in one range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Bin {
    /// The lowest probability of the range.
    pub low: f64,
    /// The probability at which the next range begins; the last holds its own.
    pub high: f64,
    /// How many examples fall into it.
    pub examples: usize,
    /// The mean of their highest probabilities; none without examples.
    pub confidence: Option<f64>,
    /// How many of them have that class, as a part of all; none without examples.
    pub accuracy: Option<f64>,
}

/// How good the probabilities of a classifier are.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Calibration {
    /// What the logits were divided by.
    pub temperature: f64,
    /// The mean negative logarithm of the probability of the right class.
    pub log_loss: f64,
    /// The mean over the examples of the squared difference between the probabilities and the truth (1 for the right
    /// class, 0 for the others), summed over the classes: from 0 to 2 (Brier 1950).
    pub brier: f64,
    /// Expected calibration error: the mean over the examples of how far accuracy and confidence are apart in their
    /// bins, of the highest probability (Guo et al. 2017, arXiv 1706.04599).
    pub ece: f64,
    /// The bins from the lowest to the highest.
    pub reliability: Vec<Bin>,
}

impl Calibration {
    /// How good the probabilities are when the logits are divided by `temperature`. Of no examples every figure is 0.
    pub fn of(predictions: &Predictions, temperature: f64) -> Self {
        let examples = predictions.len();
        let (mut log_loss, mut brier) = (0.0, 0.0);
        let mut sums = [(0usize, 0.0, 0usize); BINS];
        for i in 0..examples {
            let (label, predicted) = (predictions.label(i), predictions.predicted(i));
            let probabilities = predictions.probabilities(i, temperature);
            log_loss += predictions.log_loss(i, temperature);
            let squares = probabilities.iter().enumerate();
            brier += squares
                .map(|(class, p)| (p - f64::from(u8::from(class == label))).powi(2))
                .sum::<f64>();
            let confidence = probabilities[predicted];
            let (count, sum, hits) = &mut sums[bin(confidence)];
            *count += 1;
            *sum += confidence;
            *hits += usize::from(predicted == label);
        }
        let total = examples.max(1) as f64;
        let part = |sum: f64, count: usize| (count > 0).then(|| sum / count as f64);
        let reliability: Vec<Bin> = sums
            .iter()
            .enumerate()
            .map(|(i, &(examples, sum, hits))| Bin {
                low: edge(i),
                high: edge(i + 1),
                examples,
                confidence: part(sum, examples),
                accuracy: part(hits as f64, examples),
            })
            .collect();
        let apart = sums.iter().map(|&(_, sum, hits)| (sum - hits as f64).abs());
        Self {
            temperature,
            log_loss: log_loss / total,
            brier: brier / total,
            ece: apart.sum::<f64>() / total,
            reliability,
        }
    }
}

/// Where bin `i` begins.
fn edge(i: usize) -> f64 {
    i as f64 / BINS as f64
}

/// The bin of a probability: one on an edge belongs to the bin that begins there, and 1 to the last.
fn bin(probability: f64) -> usize {
    let near = ((probability * BINS as f64) as usize).min(BINS - 1);
    // The product may be rounded over an edge.
    match probability < edge(near) {
        true => near - 1,
        false if near + 1 < BINS && probability >= edge(near + 1) => near + 1,
        false => near,
    }
}

/// A temperature outside of this range says that there was nothing to learn it from.
const TEMPERATURES: (f64, f64) = (0.01, 100.0);

/// The temperature that makes the log loss of `predictions` least (Guo et al. 2017). The log loss is convex in its
/// reciprocal, so that there is one.
///
/// # Errors
/// A part of a sentence: there is no such temperature.
pub fn fit_temperature(predictions: &Predictions) -> Result<f64, String> {
    let examples = predictions.len();
    if examples == 0 {
        return Err("there are no held-out examples".to_owned());
    }
    if !predictions.is_finite() {
        return Err("the network's outputs are not finite".to_owned());
    }
    let (coldest, hottest) = TEMPERATURES;
    if slope(predictions, 1.0 / coldest) < 0.0 {
        return Err(format!(
            "nearly all of the {examples} held-out examples are told apart: any temperature that is lower fits them \
             better"
        ));
    }
    if slope(predictions, 1.0 / hottest) > 0.0 {
        return Err(format!(
            "the network tells the {examples} held-out examples apart no better than by chance"
        ));
    }
    // Halving in the logarithm, down to the digits of f32.
    let (mut low, mut high) = ((1.0 / hottest).ln(), (1.0 / coldest).ln());
    for _ in 0..40 {
        let middle = (low + high) / 2.0;
        match slope(predictions, middle.exp()) < 0.0 {
            true => low = middle,
            false => high = middle,
        }
    }
    Ok((-(low + high) / 2.0).exp())
}

/// The derivative of the summed log loss with respect to the reciprocal of the temperature, at `sharpness`.
fn slope(predictions: &Predictions, sharpness: f64) -> f64 {
    let each = (0..predictions.len()).map(|i| {
        let logits = predictions.logits(i);
        let probabilities = predictions.probabilities(i, 1.0 / sharpness);
        let expected = probabilities.iter().zip(logits);
        let expected: f64 = expected.map(|(p, logit)| p * f64::from(*logit)).sum();
        expected - f64::from(logits[predictions.label(i)])
    });
    each.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Predictions of two classes with these probabilities of class 1.
    fn sure(of_one: &[f64], labels: &[u32]) -> Predictions {
        let mut predictions = Predictions::new(2);
        for (p, label) in of_one.iter().zip(labels) {
            predictions.extend(&[0.0, (p / (1.0 - p)).ln() as f32], &[*label]);
        }
        predictions
    }

    #[test]
    fn probabilities_fall_into_their_bins() {
        for (i, p) in [
            (0, 0.0),
            (0, 0.066),
            (3, 0.2),
            (9, 0.6),
            (13, 14.0 / 15.0 - 1e-9),
            (14, 1.0),
        ] {
            assert_eq!(bin(p), i, "{p}");
        }
        for i in 0..BINS {
            assert_eq!(bin(edge(i)), i);
        }
    }

    #[test]
    fn figures_are_those_of_their_definitions() {
        // Three with 0.9 of which two are right, one with 0.7 that is right.
        let predictions = sure(&[0.9, 0.9, 0.1, 0.7], &[1, 0, 0, 1]);
        let found = Calibration::of(&predictions, 1.0);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-6, "{a} {b}");
        near(found.ece, (3.0 * (0.9 - 2.0 / 3.0) + 0.3) / 4.0);
        near(found.brier, (2.0 * 0.02 + 1.62 + 0.18) / 4.0);
        near(
            found.log_loss,
            -(2.0 * 0.9f64.ln() + 0.1f64.ln() + 0.7f64.ln()) / 4.0,
        );
        let full: Vec<_> = found
            .reliability
            .iter()
            .filter(|bin| bin.examples > 0)
            .collect();
        assert_eq!([full[0].examples, full[1].examples], [1, 3]);
        near(full[1].accuracy.unwrap(), 2.0 / 3.0);
        assert_eq!(found.reliability[0].accuracy, None);
        assert_eq!(Calibration::of(&Predictions::new(3), 1.0).ece, 0.0);
    }

    #[test]
    fn the_temperature_makes_the_log_loss_least() {
        // Of three that are sure with 0.99 two are right: 2/3 would be honest.
        let predictions = sure(&[0.99, 0.99, 0.99], &[1, 1, 0]);
        let temperature = fit_temperature(&predictions).unwrap();
        assert!(
            (temperature - 99f64.ln() / 2f64.ln()).abs() < 1e-5,
            "{temperature}"
        );
        let loss = |t: f64| Calibration::of(&predictions, t).log_loss;
        let best = loss(temperature);
        assert!(best <= loss(temperature * 1.01) && best <= loss(temperature * 0.99));
        assert!(Calibration::of(&predictions, temperature).ece < 1e-5);
    }

    #[test]
    fn there_is_no_temperature_for_what_teaches_none() {
        for (predictions, why) in [
            (Predictions::new(2), "no held-out"),
            (sure(&[0.9, 0.8, 0.3], &[1, 1, 0]), "told apart"),
            (sure(&[0.9, 0.8, 0.3], &[0, 0, 1]), "by chance"),
        ] {
            let problem = fit_temperature(&predictions).unwrap_err();
            assert!(problem.contains(why), "{problem}");
        }
    }
}
