//! How well a classifier tells its classes apart.

use serde::Serialize;

use super::{Calibration, Predictions};

/// Numbers of guesses at which accuracy is measured, where there are more classes.
const GUESSES: [usize; 3] = [2, 3, 5];

/// How well one class is found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassScore {
    /// Its name.
    pub name: String,
    /// Examples of it.
    pub examples: usize,
    /// Examples that were taken for it.
    pub predicted: usize,
    /// Of those that were taken for it, the part that is of it; 0 where there are none.
    pub precision: f64,
    /// Of its examples, the part that was found; 0 where there are none.
    pub recall: f64,
    /// The harmonic mean of both; 0 where both are.
    pub f1: f64,
}

/// Means over classes.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Averages {
    /// Of precision.
    pub precision: f64,
    /// Of recall.
    pub recall: f64,
    /// Of F1.
    pub f1: f64,
}

/// The part of the examples whose class is among the first guesses.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TopK {
    /// How many guesses count.
    pub k: usize,
    /// The part, in 0..=1.
    pub accuracy: f64,
}

/// How often one class was taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Confused {
    /// The class that it is.
    pub label: usize,
    /// The class that it was taken for.
    pub predicted: usize,
    /// Examples.
    pub examples: usize,
}

/// The figures of a classifier on labelled examples.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassFigures {
    /// Examples.
    pub examples: usize,
    /// The part that is labelled rightly.
    pub accuracy: f64,
    /// The mean recall of the classes that have examples.
    pub balanced_accuracy: f64,
    /// Accuracy with more than one guess, as far as there are more classes than guesses.
    pub top_k: Vec<TopK>,
    /// Means over the classes that have examples or were predicted, each counting alike.
    #[serde(rename = "macro")]
    pub macro_average: Averages,
    /// Means over the classes, each counting as many times as it has examples.
    #[serde(rename = "weighted")]
    pub weighted_average: Averages,
    /// Each class in the model's order.
    pub classes: Vec<ClassScore>,
    /// For each class (row) how many of its examples were taken for each class (column).
    pub confusion: Vec<Vec<usize>>,
    /// How good the probabilities are as they come from the network.
    pub calibration: Calibration,
}

impl ClassFigures {
    /// The figures of `predictions` of the classes with these names. Of no examples every figure is 0.
    ///
    /// # Panics
    /// When there is not one name a class.
    pub fn of(predictions: &Predictions, names: &[String]) -> Self {
        let count = predictions.classes();
        assert_eq!(names.len(), count, "one name a class");
        let mut confusion = vec![vec![0; count]; count];
        let mut hits = [0; GUESSES.len()];
        for i in 0..predictions.len() {
            confusion[predictions.label(i)][predictions.predicted(i)] += 1;
            let rank = predictions.rank(i);
            for (hits, guesses) in hits.iter_mut().zip(GUESSES) {
                *hits += usize::from(rank < guesses);
            }
        }
        let classes: Vec<ClassScore> = names
            .iter()
            .enumerate()
            .map(|(class, name)| {
                let examples = confusion[class].iter().sum();
                let predicted = confusion.iter().map(|row| row[class]).sum();
                let right = confusion[class][class];
                ClassScore {
                    name: name.clone(),
                    examples,
                    predicted,
                    precision: part(right, predicted),
                    recall: part(right, examples),
                    f1: part(2 * right, examples + predicted),
                }
            })
            .collect();
        let right = (0..count).map(|class| confusion[class][class]).sum();
        let top_k = GUESSES.iter().zip(hits);
        Self {
            examples: predictions.len(),
            accuracy: part(right, predictions.len()),
            balanced_accuracy: mean(&classes, |c| f64::from(u8::from(c.examples > 0))).recall,
            top_k: top_k
                .filter(|(guesses, _)| **guesses < count)
                .map(|(&k, hits)| TopK {
                    k,
                    accuracy: part(hits, predictions.len()),
                })
                .collect(),
            macro_average: mean(&classes, |c| {
                f64::from(u8::from(c.examples + c.predicted > 0))
            }),
            weighted_average: mean(&classes, |c| c.examples as f64),
            calibration: Calibration::of(predictions, 1.0),
            classes,
            confusion,
        }
    }

    /// The pairs of classes that were confused, the most frequent first, `most` at most.
    pub fn confused(&self, most: usize) -> Vec<Confused> {
        let cells = self.confusion.iter().enumerate().flat_map(|(label, row)| {
            let of_row = move |(predicted, &examples)| Confused {
                label,
                predicted,
                examples,
            };
            row.iter().enumerate().map(of_row)
        });
        let mut pairs: Vec<Confused> = cells
            .filter(|pair| pair.label != pair.predicted && pair.examples > 0)
            .collect();
        // Stable: of equally frequent pairs the first class comes first.
        pairs.sort_by_key(|pair| std::cmp::Reverse(pair.examples));
        pairs.truncate(most);
        pairs
    }
}

/// `count` as a part of `all`; 0 of nothing.
fn part(count: usize, all: usize) -> f64 {
    count as f64 / all.max(1) as f64
}

/// The means over classes, each counting as `weight` says.
fn mean(classes: &[ClassScore], weight: impl Fn(&ClassScore) -> f64) -> Averages {
    let total: f64 = classes.iter().map(&weight).sum();
    let of = |value: fn(&ClassScore) -> f64| match total > 0.0 {
        true => classes.iter().map(|c| weight(c) * value(c)).sum::<f64>() / total,
        false => 0.0,
    };
    Averages {
        precision: of(|c| c.precision),
        recall: of(|c| c.recall),
        f1: of(|c| c.f1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Predictions of these classes, each surer of the next lower ones.
    fn predicted(pairs: &[(u32, usize)], classes: usize) -> ClassFigures {
        let mut predictions = Predictions::new(classes);
        for &(label, chosen) in pairs {
            let mut logits: Vec<f32> = (0..classes).map(|c| -(c as f32)).collect();
            logits[chosen] = 5.0;
            predictions.extend(&logits, &[label]);
        }
        let names: Vec<String> = (0..classes).map(|c| format!("class {c}")).collect();
        ClassFigures::of(&predictions, &names)
    }

    #[test]
    fn classes_are_scored() {
        // Class 3 is never seen, class 2 never predicted.
        let found = predicted(&[(0, 0), (0, 0), (0, 1), (1, 1), (2, 0)], 4);
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-12, "{a} {b}");
        near(found.accuracy, 0.6);
        near(found.balanced_accuracy, (2.0 / 3.0 + 1.0) / 3.0);
        near(found.classes[0].precision, 2.0 / 3.0);
        near(found.classes[1].f1, 2.0 / 3.0);
        near(found.classes[2].f1, 0.0);
        near(found.macro_average.precision, (2.0 / 3.0 + 0.5) / 3.0);
        near(found.weighted_average.recall, 0.6);
        assert_eq!(found.confusion[0], [2, 1, 0, 0]);
        let top: Vec<(usize, f64)> = found.top_k.iter().map(|t| (t.k, t.accuracy)).collect();
        assert_eq!(top, [(2, 0.8), (3, 1.0)]);
        let pairs = found.confused(9);
        assert_eq!(pairs.len(), 2);
        assert_eq!((pairs[0].label, pairs[0].predicted), (0, 1));
        assert_eq!(found.confused(1), pairs[..1]);
    }

    #[test]
    fn of_no_examples_every_figure_is_zero() {
        let found = predicted(&[], 2);
        assert_eq!(found.accuracy + found.balanced_accuracy, 0.0);
        assert_eq!(found.macro_average, Averages::default());
        assert_eq!(found.top_k, []);
    }
}
