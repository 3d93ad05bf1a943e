//! Small dense positive definite systems.

/// Solves A·x = b in place by Cholesky's decomposition: `matrix` (row by row, only its lower triangle is read) becomes
/// the factor L, `right` becomes x. Returns whether A is positive definite; if not, `right` is of no use.
///
/// # Panics
/// When `matrix` is not the square of the length of `right`.
#[must_use]
pub(crate) fn solve(matrix: &mut [f64], right: &mut [f64]) -> bool {
    if !factor(matrix, right.len()) {
        return false;
    }
    substitute(matrix, right);
    right.iter().all(|x| x.is_finite())
}

/// Replaces the lower triangle of A by L with L·Lᵀ = A. Returns whether A is positive definite.
///
/// # Panics
/// When `matrix` is not n by n.
#[must_use]
pub fn factor(matrix: &mut [f64], n: usize) -> bool {
    assert_eq!(matrix.len(), n * n, "a square matrix");
    for i in 0..n {
        let (above, row) = matrix.split_at_mut(i * n);
        for j in 0..i {
            let other = &above[j * n..j * n + j + 1];
            let sum = row[j] - dot(&row[..j], &other[..j]);
            row[j] = sum / other[j];
        }
        let pivot = row[i] - dot(&row[..i], &row[..i]);
        // A NaN is not positive either.
        if !(pivot > 0.0 && pivot.is_finite()) {
            return false;
        }
        row[i] = pivot.sqrt();
    }
    true
}

/// Solves L·Lᵀ·x = b in place for a factor from [`factor`].
pub fn substitute(factor: &[f64], right: &mut [f64]) {
    let n = right.len();
    for i in 0..n {
        let row = &factor[i * n..i * n + i + 1];
        right[i] = (right[i] - dot(&row[..i], &right[..i])) / row[i];
    }
    for i in (0..n).rev() {
        right[i] /= factor[i * n + i];
        let x = right[i];
        for (r, l) in right[..i].iter_mut().zip(&factor[i * n..]) {
            *r -= l * x;
        }
    }
}

/// Four running sums, so that the additions do not wait for each other.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 4];
    let (fours_a, fours_b) = (a.chunks_exact(4), b.chunks_exact(4));
    let rest: f64 = fours_a
        .remainder()
        .iter()
        .zip(fours_b.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in fours_a.zip(fours_b) {
        for (sum, (x, y)) in sums.iter_mut().zip(x.iter().zip(y)) {
            *sum += x * y;
        }
    }
    sums[0] + sums[1] + sums[2] + sums[3] + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use gmnm_core::rng::Philox;

    #[test]
    fn solves_random_systems() {
        for n in [1, 2, 5, 13, 40] {
            let mut rng = Philox::new(2, n as u64);
            let root: Vec<f64> = (0..n * n).map(|_| rng.normal()).collect();
            let x: Vec<f64> = (0..n).map(|_| rng.normal()).collect();
            let mut a: Vec<f64> = (0..n * n)
                .map(|k| {
                    let (i, j) = (k / n, k % n);
                    let gram: f64 = (0..n).map(|l| root[i * n + l] * root[j * n + l]).sum();
                    gram + if i == j { 1.0 } else { 0.0 }
                })
                .collect();
            let mut b: Vec<f64> = (0..n)
                .map(|i| (0..n).map(|j| a[i * n + j] * x[j]).sum())
                .collect();
            assert!(solve(&mut a, &mut b));
            assert!(b.iter().zip(&x).all(|(b, x)| (b - x).abs() < 1e-9), "{n}");
        }
    }

    #[test]
    fn refuses_what_is_not_positive_definite() {
        for matrix in [
            [0.0, 0.0, 0.0, 0.0],
            [1.0, 2.0, 2.0, 1.0],
            [f64::NAN, 0.0, 0.0, 1.0],
        ] {
            assert!(!solve(&mut matrix.clone(), &mut [1.0, 1.0]));
        }
    }
}
