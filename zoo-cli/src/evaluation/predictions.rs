//! What a classifier said of labelled examples.

/// The logits of a classifier for examples whose classes are known.
#[derive(Debug, Clone, PartialEq)]
pub struct Predictions {
    classes: usize,
    /// Row after row, one for each example.
    logits: Vec<f32>,
    labels: Vec<u32>,
}

impl Predictions {
    /// No examples yet, of `classes` classes (at least one).
    pub fn new(classes: usize) -> Self {
        Self {
            classes: classes.max(1),
            logits: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// Adds examples: their logits row after row, and their classes.
    ///
    /// # Panics
    /// When there is not one row of logits for each label, or a label is no class.
    pub fn extend(&mut self, logits: &[f32], labels: &[u32]) {
        assert_eq!(logits.len(), labels.len() * self.classes, "rows of logits");
        assert!(
            labels.iter().all(|&label| (label as usize) < self.classes),
            "a label is no class"
        );
        self.logits.extend_from_slice(logits);
        self.labels.extend_from_slice(labels);
    }

    /// The number of examples.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The class of each example.
    pub fn labels(&self) -> &[u32] {
        &self.labels
    }

    /// The class of example `i`.
    pub fn label(&self, i: usize) -> usize {
        self.labels[i] as usize
    }

    /// The logits of example `i`.
    pub fn logits(&self, i: usize) -> &[f32] {
        &self.logits[i * self.classes..(i + 1) * self.classes]
    }

    /// Whether all logits are finite; figures of others mean nothing.
    pub fn is_finite(&self) -> bool {
        self.logits.iter().all(|logit| logit.is_finite())
    }

    /// The predicted class of example `i`: the first with the highest logit.
    pub fn predicted(&self, i: usize) -> usize {
        self.ranked(i, 1)[0]
    }

    /// The `count` classes of example `i` with the highest logits, the highest first; of equal ones the first comes
    /// first.
    pub fn ranked(&self, i: usize, count: usize) -> Vec<usize> {
        let logits = self.logits(i);
        let mut order: Vec<usize> = (0..self.classes).collect();
        let by_logit = |a: &usize, b: &usize| logits[*b].total_cmp(&logits[*a]).then(a.cmp(b));
        let count = count.min(self.classes);
        if count < self.classes {
            order.select_nth_unstable_by(count, by_logit);
        }
        order.truncate(count);
        order.sort_unstable_by(by_logit);
        order
    }

    /// How many classes stand before its own in the order of [`Self::ranked`] of example `i`.
    pub fn rank(&self, i: usize) -> usize {
        let (logits, label) = (self.logits(i), self.label(i));
        let before = |(class, logit): &(usize, &f32)| {
            let order = logit.total_cmp(&logits[label]);
            order.is_gt() || order.is_eq() && *class < label
        };
        logits.iter().enumerate().filter(before).count()
    }

    /// The probability of each class for example `i`, the logits divided by `temperature`.
    pub fn probabilities(&self, i: usize, temperature: f64) -> Vec<f64> {
        let logits = self.logits(i);
        let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut exponents: Vec<f64> = logits
            .iter()
            .map(|logit| ((f64::from(*logit) - f64::from(highest)) / temperature).exp())
            .collect();
        let sum: f64 = exponents.iter().sum();
        exponents.iter_mut().for_each(|value| *value /= sum);
        exponents
    }

    /// The negative logarithm of the probability of its class for example `i`, the logits divided by `temperature`.
    pub fn log_loss(&self, i: usize, temperature: f64) -> f64 {
        let logits = self.logits(i);
        let own = f64::from(logits[self.label(i)]);
        let highest = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        let exponents = logits
            .iter()
            .map(|logit| ((f64::from(*logit) - highest) / temperature).exp());
        exponents.sum::<f64>().ln() + (highest - own) / temperature
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equal_logits_the_first_class_comes_first() {
        let mut predictions = Predictions::new(4);
        predictions.extend(&[1.0, 3.0, 3.0, 2.0, 0.0, 0.0, 0.0, 0.0], &[2, 3]);
        assert_eq!(predictions.ranked(0, 4), [1, 2, 3, 0]);
        assert_eq!(predictions.ranked(0, 2), [1, 2]);
        assert_eq!(predictions.ranked(1, 9), [0, 1, 2, 3]);
        assert_eq!([predictions.predicted(0), predictions.predicted(1)], [1, 0]);
        assert_eq!([predictions.rank(0), predictions.rank(1)], [1, 3]);
    }

    #[test]
    fn probabilities_of_large_logits_are_finite() {
        let mut predictions = Predictions::new(2);
        predictions.extend(&[1000.0, -1000.0], &[1]);
        assert_eq!(predictions.probabilities(0, 1.0), [1.0, 0.0]);
        assert_eq!(predictions.log_loss(0, 1.0), 2000.0);
        assert_eq!(predictions.log_loss(0, 4.0), 500.0);
        assert!(predictions.is_finite());
        predictions.extend(&[f32::NAN, 0.0], &[0]);
        assert!(!predictions.is_finite());
    }
}
