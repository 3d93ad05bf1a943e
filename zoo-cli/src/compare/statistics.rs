//! Means, spreads and confidence intervals.

/// A mean with the ends of its 95% confidence interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The mean.
    pub mean: f64,
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The mean; not a number without values.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The sample standard deviation (n − 1); 0 below two values.
pub fn spread(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return 0.0;
    }
    let center = mean(values);
    let sum: f64 = values.iter().map(|v| (v - center).powi(2)).sum();
    (sum / (values.len() - 1) as f64).sqrt()
}

/// The mean of paired differences (one for each seed) with its 95% confidence interval by Student's t. None below two.
pub fn paired(differences: &[f64]) -> Option<Interval> {
    if differences.len() < 2 {
        return None;
    }
    let center = mean(differences);
    let error = spread(differences) / (differences.len() as f64).sqrt();
    let half = student(differences.len() - 1) * error;
    Some(Interval {
        mean: center,
        low: center - half,
        high: center + half,
    })
}

/// The 97.5% quantile of Student's t.
fn student(degrees: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ];
    TABLE
        .get(degrees.saturating_sub(1))
        .copied()
        .unwrap_or(1.96)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_worked_example() {
        // Differences 1, 2, 3: mean 2, deviation 1, t(2) = 4.303, half width 4.303/√3 = 2.484.
        let interval = paired(&[1.0, 2.0, 3.0]).unwrap();
        assert_eq!(interval.mean, 2.0);
        assert!((interval.high - 4.484).abs() < 1e-3 && (interval.low + 0.484).abs() < 1e-3);
        assert!(paired(&[1.0]).is_none());
        assert_eq!(spread(&[5.0]), 0.0);
    }
}
