//! Products of blocks of rows that stay in the cache, in the numbers that are asked for.

use super::half_tile::{HalfPanels, add_transposed_half};
use super::products::Products;
use super::tile::{self, Panels, Rows};
use crate::cpu::simd::isa::Isa;
use crate::cpu::simd::lanes::Real;

/// A matrix that is packed once and meets many blocks of rows.
pub(crate) enum Factor<T> {
    /// For products in the type that is computed in.
    Full(Panels<T>),
    /// For products in bf16.
    Half(HalfPanels<T>),
}

impl<T: Real> Factor<T> {
    /// Packs the matrix `[inner, cols]` whose element (i, j) is `at(i, j)`.
    ///
    /// # Panics
    /// When it has no row.
    pub(crate) fn new(
        isa: Isa,
        products: Products,
        inner: usize,
        cols: usize,
        at: impl Fn(usize, usize) -> T + Sync,
    ) -> Self {
        let half = |split| HalfPanels::new(isa, split, inner, cols, &at);
        match products {
            Products::Full => Self::Full(Panels::new(isa, inner, cols, at)),
            Products::Half => Self::Half(half(false)),
            Products::Split => Self::Half(half(true)),
        }
    }

    /// `left` `[rows, inner]` times this matrix, into or (where `add`) onto rows of `out` that lie `out_step` apart;
    /// rows of `left` lie `left_step` apart.
    ///
    /// # Panics
    /// When a slice is too short.
    pub(crate) fn product(
        &self,
        out: &mut [T],
        out_step: usize,
        left: &[T],
        left_step: usize,
        rows: usize,
        add: bool,
    ) {
        match self {
            Self::Full(panels) => panels.product(out, out_step, left, left_step, rows, add),
            Self::Half(panels) => panels.product(out, out_step, left, left_step, rows, add),
        }
    }
}

/// Adds `left`ᵀ · `right` to `out` `[left.cols, right.cols]`, over the `rows` rows of both.
///
/// # Panics
/// When a slice is too short.
pub(crate) fn add_transposed<T: Real>(
    isa: Isa,
    products: Products,
    out: &mut [T],
    left: Rows<T>,
    right: Rows<T>,
    rows: usize,
) {
    match products {
        Products::Full => tile::add_transposed(isa, out, left, right, rows),
        Products::Half => add_transposed_half(isa, false, out, left, right, rows),
        Products::Split => add_transposed_half(isa, true, out, left, right, rows),
    }
}

/// Products of every kind on `isa`, each with the error that a result may have against the largest of its size.
#[cfg(test)]
pub(crate) fn tolerances(isa: Isa) -> [((Isa, Products), f64); 3] {
    [
        ((isa, Products::Full), 1e-5),
        ((isa, Products::Half), 2e-2),
        ((isa, Products::Split), 1e-4),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Philox;

    fn random(len: usize, seed: u64) -> Vec<f32> {
        let mut rng = Philox::new(seed, 0);
        (0..len).map(|_| rng.normal() as f32).collect()
    }

    /// The products with their tolerance, for each product that is summed.
    const PRODUCTS: [(Products, f64); 3] = [
        (Products::Full, 1e-6),
        (Products::Half, 1e-2),
        (Products::Split, 3e-5),
    ];

    /// Of a sum of `terms`, each the product of two normal numbers.
    fn close(found: &[f32], expected: &[f64], terms: usize, tolerance: f64, what: &str) {
        for (found, expected) in found.iter().zip(expected) {
            let error = (f64::from(*found) - expected).abs();
            let bound = tolerance * 3.0 * (terms as f64).sqrt().max(2.0);
            assert!(error < bound, "{what}: {found} {expected}");
        }
    }

    /// Rows, inner and columns on both sides of the edges of tiles, pairs and registers.
    const SIZES: [[usize; 3]; 10] = [
        [1, 1, 1],
        [2, 3, 9],
        [5, 2, 16],
        [6, 5, 17],
        [7, 8, 33],
        [13, 17, 64],
        [19, 31, 65],
        [33, 16, 81],
        [129, 33, 70],
        [300, 6, 5],
    ];

    #[test]
    fn products_match_f64_on_every_path() {
        for isa in Isa::available() {
            for (products, tolerance) in PRODUCTS {
                for [rows, inner, cols] in SIZES {
                    let (left_step, out_step) = (inner + 2, cols + 3);
                    let (left, right) = (random(rows * left_step, 1), random(inner * cols, 2));
                    let factor =
                        Factor::new(isa, products, inner, cols, |i, j| right[i * cols + j]);
                    let mut out = random(rows * out_step, 3);
                    let mut expected: Vec<f64> = out.iter().map(|&v| f64::from(v)).collect();
                    let mut alone = vec![0.0; rows * cols];
                    for i in 0..rows {
                        for j in 0..cols {
                            let terms = (0..inner).map(|k| {
                                let left = f64::from(left[i * left_step + k]);
                                left * f64::from(right[k * cols + j])
                            });
                            let sum = terms.sum::<f64>();
                            expected[i * out_step + j] += sum;
                            alone[i * cols + j] = sum;
                        }
                    }
                    let what = format!("{isa:?} {products:?} {rows} {inner} {cols}");
                    factor.product(&mut out, out_step, &left, left_step, rows, true);
                    close(&out, &expected, inner, tolerance, &what);
                    let mut set = vec![f32::NAN; rows * cols];
                    factor.product(&mut set, cols, &left, left_step, rows, false);
                    close(&set, &alone, inner, tolerance, &what);
                }
            }
        }
    }

    #[test]
    fn transposed_sums_match_f64_on_every_path() {
        for isa in Isa::available() {
            for (products, tolerance) in PRODUCTS {
                for [rows, m, n] in SIZES {
                    let (left_step, right_step) = (m + 1, n + 2);
                    let (left, right) = (random(rows * left_step, 1), random(rows * right_step, 2));
                    let mut out = random(m * n + 1, 3);
                    let last = out[m * n];
                    let mut expected: Vec<f64> = out.iter().map(|&v| f64::from(v)).collect();
                    for k in 0..rows {
                        for i in 0..m {
                            for j in 0..n {
                                expected[i * n + j] += f64::from(left[k * left_step + i])
                                    * f64::from(right[k * right_step + j]);
                            }
                        }
                    }
                    let left = Rows::new(&left, rows, m, left_step);
                    let right = Rows::new(&right, rows, n, right_step);
                    add_transposed(isa, products, &mut out, left, right, rows);
                    let what = format!("{isa:?} {products:?} {rows} {m} {n}");
                    close(&out, &expected, rows, tolerance, &what);
                    assert_eq!(out[m * n], last, "{what}");
                }
            }
        }
    }
}
