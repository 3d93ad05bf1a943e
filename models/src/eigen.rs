//! Eigenvalues of small symmetric matrices.

/// Sweeps after which a matrix of finite numbers has long converged.
const SWEEPS: usize = 64;

/// The eigenvalues of the symmetric n by n `matrix` (row by row), largest first, and row by row their unit
/// eigenvectors: Jacobi's rotations. An eigenvector's largest entry is positive.
///
/// # Panics
/// When `matrix` is not n by n.
pub(crate) fn symmetric(mut matrix: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    assert_eq!(matrix.len(), n * n, "a square matrix");
    let a = &mut matrix;
    let mut vectors: Vec<f64> = (0..n * n)
        .map(|i| if i % (n + 1) == 0 { 1.0 } else { 0.0 })
        .collect();
    for _ in 0..SWEEPS {
        let off: f64 = (0..n * n)
            .filter(|i| i % (n + 1) != 0)
            .map(|i| a[i] * a[i])
            .sum();
        if off == 0.0 {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                rotate(a, &mut vectors, n, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[j * n + j].total_cmp(&a[i * n + i]));
    let values = order.iter().map(|&i| a[i * n + i]).collect();
    let rows = order.iter().flat_map(|&i| {
        let row = &vectors[i * n..(i + 1) * n];
        let largest = row
            .iter()
            .fold(0f64, |m, &v| if v.abs() > m.abs() { v } else { m });
        let sign = if largest < 0.0 { -1.0 } else { 1.0 };
        row.iter().map(move |v| sign * v)
    });
    (values, rows.collect())
}

/// The rotation in the plane of p and q that makes a\[p, q\] zero.
fn rotate(a: &mut [f64], vectors: &mut [f64], n: usize, p: usize, q: usize) {
    let off = a[p * n + q];
    if off == 0.0 {
        return;
    }
    let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * off);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for k in 0..n {
        let (kp, kq) = (a[k * n + p], a[k * n + q]);
        a[k * n + p] = c * kp - s * kq;
        a[k * n + q] = s * kp + c * kq;
    }
    for k in 0..n {
        let (pk, qk) = (a[p * n + k], a[q * n + k]);
        a[p * n + k] = c * pk - s * qk;
        a[q * n + k] = s * pk + c * qk;
        let (pk, qk) = (vectors[p * n + k], vectors[q * n + k]);
        vectors[p * n + k] = c * pk - s * qk;
        vectors[q * n + k] = s * pk + c * qk;
    }
    // What is left there is rounding alone.
    (a[p * n + q], a[q * n + p]) = (0.0, 0.0);
}

#[cfg(test)]
mod tests {
    use super::*;
    use gmnm_core::rng::Philox;

    #[test]
    fn vectors_are_orthonormal_and_give_the_matrix_back() {
        for n in [1, 2, 5, 12, 27] {
            let mut rng = Philox::new(3, n as u64);
            let factor: Vec<f64> = (0..n * n).map(|_| rng.normal()).collect();
            let product = |i: usize, j: usize| -> f64 {
                (0..n).map(|k| factor[i * n + k] * factor[j * n + k]).sum()
            };
            let matrix: Vec<f64> = (0..n * n).map(|i| product(i / n, i % n)).collect();
            let (values, vectors) = symmetric(matrix.clone(), n);
            assert!(values.windows(2).all(|w| w[0] >= w[1]));
            for i in 0..n {
                for j in 0..n {
                    let rebuilt: f64 = (0..n)
                        .map(|k| values[k] * vectors[k * n + i] * vectors[k * n + j])
                        .sum();
                    assert!((rebuilt - matrix[i * n + j]).abs() < 1e-10 * values[0]);
                    let dot: f64 = (0..n)
                        .map(|k| vectors[i * n + k] * vectors[j * n + k])
                        .sum();
                    assert!((dot - f64::from(i == j)).abs() < 1e-12);
                }
            }
        }
    }

    #[test]
    fn a_known_matrix() {
        let (values, vectors) = symmetric(vec![2.0, -1.0, -1.0, 2.0], 2);
        let half = 0.5f64.sqrt();
        assert!((values[0] - 3.0).abs() < 1e-15 && (values[1] - 1.0).abs() < 1e-15);
        assert!((vectors[0].abs() - half).abs() < 1e-15);
        assert!((vectors[2] - half).abs() < 1e-15 && (vectors[3] - half).abs() < 1e-15);
    }

    #[test]
    fn equal_values_and_zeros_converge() {
        let (values, _) = symmetric(vec![0.0; 9], 3);
        assert_eq!(values, [0.0; 3]);
        let (values, _) = symmetric(vec![1.0, 0.5, 0.5, 1.0], 2);
        assert!((values[0] - 1.5).abs() < 1e-15 && (values[1] - 0.5).abs() < 1e-15);
    }
}
