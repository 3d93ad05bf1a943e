//! Matrix products in tiles of registers, for operands that stay in the cache.
//!
//! Unlike a general product these copy nothing per call: a weight is packed once into [`Panels`] and meets many blocks
//! of rows, and a weight's gradient reads both of its operands where they lie.

use crate::cpu::simd::isa::{Isa, Kernel};
use crate::cpu::simd::lanes::{Lanes, Real};

/// A matrix `[inner, cols]` cut into panels of the columns of one register tile, each stored row by row; columns past
/// the last are zero.
pub(crate) struct Panels<T> {
    data: Vec<T>,
    inner: usize,
    cols: usize,
    width: usize,
    isa: Isa,
}

impl<T: Real> Panels<T> {
    /// Packs the matrix whose element (i, j) is `at(i, j)`.
    ///
    /// # Panics
    /// When it has no row.
    pub(crate) fn new(isa: Isa, inner: usize, cols: usize, at: impl Fn(usize, usize) -> T) -> Self {
        assert!(inner > 0);
        let (lanes, registers) = isa.shape::<T>();
        let width = lanes * registers;
        let mut data = vec![T::default(); cols.div_ceil(width) * width * inner];
        for (p, panel) in data.chunks_exact_mut(inner * width).enumerate() {
            let first = p * width;
            for (i, row) in panel.chunks_exact_mut(width).enumerate() {
                for (j, to) in row.iter_mut().enumerate().take(cols - first) {
                    *to = at(i, first + j);
                }
            }
        }
        Self {
            data,
            inner,
            cols,
            width,
            isa,
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
        if rows == 0 || self.cols == 0 {
            return;
        }
        assert!((rows - 1) * out_step + self.cols <= out.len());
        assert!((rows - 1) * left_step + self.inner <= left.len());
        self.isa.run(ByPanels {
            panels: self,
            out,
            out_step,
            left,
            left_step,
            rows,
            add,
        });
    }
}

struct ByPanels<'a, T> {
    panels: &'a Panels<T>,
    out: &'a mut [T],
    out_step: usize,
    left: &'a [T],
    left_step: usize,
    rows: usize,
    add: bool,
}

impl<T: Real> Kernel<T> for ByPanels<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(mut self) {
        let inner = self.panels.inner;
        let panels = self.panels.data.chunks_exact(self.panels.width * inner);
        for (p, panel) in panels.enumerate() {
            let mut row = 0;
            while row < self.rows {
                // SAFETY: the caller checked the features; `Panels::product` checked the slices.
                unsafe {
                    if small_tile(self.rows - row, ROWS) {
                        self.tile::<V, SMALL, COLS>(row, p, panel);
                        row += SMALL;
                    } else {
                        self.tile::<V, ROWS, COLS>(row, p, panel);
                        row += ROWS;
                    }
                }
            }
        }
    }
}

/// Rows of a tile for what big tiles leave.
const SMALL: usize = 4;

/// Whether small tiles leave fewer rows idle than a big one and a rest.
fn small_tile(left: usize, big: usize) -> bool {
    left <= SMALL || (left > big && left <= 2 * SMALL)
}

impl<T: Real> ByPanels<'_, T> {
    /// The tile of `R` rows from `row` on and the columns of panel number `p`. Rows past the last repeat it.
    ///
    /// # Safety
    /// The processor has the features of `V`, and the slices are as `Panels::product` asserts.
    #[inline(always)]
    unsafe fn tile<V: Lanes<Scalar = T>, const R: usize, const C: usize>(
        &mut self,
        row: usize,
        p: usize,
        panel: &[T],
    ) {
        let count = (self.rows - row).min(R);
        let width = V::COUNT * C;
        let first = p * width;
        let cols = (self.panels.cols - first).min(width);
        // SAFETY: row + i is below `rows`, so each row's `inner` elements are readable and `cols` are writable.
        unsafe {
            let left = self.left.as_ptr();
            let lefts: [*const T; R] =
                std::array::from_fn(|i| left.add((row + i.min(count - 1)) * self.left_step));
            let panel = panel.as_ptr();
            let sums = micro::<V, R, C>(self.panels.inner, lefts, 1, |k, c| {
                V::load(panel.add(k * width + c * V::COUNT))
            });
            let out = self.out.as_mut_ptr().add(row * self.out_step + first);
            write::<V, R, C>(sums, out, self.out_step, count, cols, self.add);
        }
    }
}

/// Σ_k left\[i\]\[k·left_step\] · right(k, c) for each of `R` rows and `C` registers.
///
/// # Safety
/// The processor has the features of `V`; the rows hold `inner` elements at that step; `right` may be called below
/// `inner`.
#[inline(always)]
unsafe fn micro<V: Lanes, const R: usize, const C: usize>(
    inner: usize,
    lefts: [*const V::Scalar; R],
    left_step: usize,
    right: impl Fn(usize, usize) -> V,
) -> [[V; C]; R] {
    // SAFETY: as the caller guarantees.
    unsafe {
        let zero = V::splat(V::Scalar::default());
        let mut sums = [[zero; C]; R];
        for k in 0..inner {
            let rights: [V; C] = std::array::from_fn(|c| right(k, c));
            for (sums, left) in sums.iter_mut().zip(lefts) {
                let left = V::splat(*left.add(k * left_step));
                for (sum, right) in sums.iter_mut().zip(rights) {
                    *sum = left.mul_add(right, *sum);
                }
            }
        }
        sums
    }
}

/// Writes (or where `add`, adds) the first `count` rows and `cols` columns of a tile to rows that lie `step` apart.
///
/// # Safety
/// The processor has the features of `V`, and those elements are writable, and initialised where `add`.
#[inline(always)]
unsafe fn write<V: Lanes, const R: usize, const C: usize>(
    sums: [[V; C]; R],
    out: *mut V::Scalar,
    step: usize,
    count: usize,
    cols: usize,
    add: bool,
) {
    // SAFETY: as the caller guarantees.
    unsafe {
        let zero = V::splat(V::Scalar::default());
        for (i, row) in sums.iter().enumerate().take(count) {
            for (c, &sum) in row.iter().enumerate() {
                let (to, first) = (out.add(i * step + c * V::COUNT), c * V::COUNT);
                if first + V::COUNT <= cols {
                    let old = if add { V::load(to) } else { zero };
                    old.add(sum).store(to);
                } else if first < cols {
                    let rest = cols - first;
                    let old = if add {
                        V::load_partial(to, rest, zero)
                    } else {
                        zero
                    };
                    old.add(sum).store_partial(to, rest);
                }
            }
        }
    }
}

/// A block of rows that lie `step` apart.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a, T> {
    data: &'a [T],
    rows: usize,
    /// Elements of a row.
    pub(crate) cols: usize,
    step: usize,
}

impl<'a, T: Real> Rows<'a, T> {
    /// `rows` rows of `cols` elements from the start of `data` on.
    ///
    /// # Panics
    /// When `data` is too short.
    pub(crate) fn new(data: &'a [T], rows: usize, cols: usize, step: usize) -> Self {
        assert!(rows == 0 || (rows - 1) * step + cols <= data.len());
        Self {
            data,
            rows,
            cols,
            step,
        }
    }

    /// The rows without the first `row`.
    ///
    /// # Panics
    /// When there are not as many.
    pub(crate) fn skip_rows(self, row: usize) -> Self {
        assert!(row <= self.rows);
        Self {
            data: self.data.get(row * self.step..).unwrap_or(&[]),
            rows: self.rows - row,
            ..self
        }
    }

    /// The register of the elements of row `row` from `column` on, zero past the last column.
    ///
    /// # Safety
    /// The processor has V's features.
    #[inline(always)]
    pub(crate) unsafe fn register<V: Lanes<Scalar = T>>(&self, row: usize, column: usize) -> V {
        assert!(row < self.rows && column < self.cols);
        // SAFETY: `new` checked that each row's `cols` elements are readable.
        unsafe {
            let from = self.data.as_ptr().add(row * self.step + column);
            let left = self.cols - column;
            if left >= V::COUNT {
                V::load(from)
            } else {
                V::load_partial(from, left, V::splat(V::Scalar::default()))
            }
        }
    }
}

/// Adds `left`ᵀ · `right` to `out` `[left.cols, right.cols]`, over the `rows` rows of both.
///
/// # Panics
/// When a slice is too short.
pub(crate) fn add_transposed<T: Real>(
    isa: Isa,
    out: &mut [T],
    left: Rows<T>,
    right: Rows<T>,
    rows: usize,
) {
    if rows == 0 {
        return;
    }
    assert!(left.cols * right.cols <= out.len());
    assert!(rows <= left.rows && rows <= right.rows);
    isa.run(AddTransposed {
        out,
        left,
        right,
        rows,
    });
}

struct AddTransposed<'a, T> {
    out: &'a mut [T],
    left: Rows<'a, T>,
    right: Rows<'a, T>,
    rows: usize,
}

/// Rows whose columns of `left` are copied together.
const STRIP_ROWS: usize = 128;

/// The most rows of a register tile on any instruction set.
const MAX_ROWS: usize = 8;

impl<T: Real> Kernel<T> for AddTransposed<'_, T> {
    #[inline(always)]
    unsafe fn run<V: Lanes<Scalar = T>, const ROWS: usize, const COLS: usize>(mut self) {
        for first in (0..self.rows).step_by(STRIP_ROWS) {
            let rows = STRIP_ROWS.min(self.rows - first);
            let mut row = 0;
            while row < self.left.cols {
                // SAFETY: the caller checked the features; `add_transposed` checked the slices.
                unsafe {
                    if small_tile(self.left.cols - row, ROWS) {
                        self.strip::<V, SMALL, COLS>(first, rows, row);
                        row += SMALL;
                    } else {
                        self.strip::<V, ROWS, COLS>(first, rows, row);
                        row += ROWS;
                    }
                }
            }
        }
    }
}

impl<T: Real> AddTransposed<'_, T> {
    /// Adds to the `R` rows of `out` from `row` on, over `rows` rows of both operands from `first` on.
    ///
    /// # Safety
    /// The processor has the features of `V`, and the slices are as `add_transposed` asserts.
    #[inline(always)]
    unsafe fn strip<V: Lanes<Scalar = T>, const R: usize, const C: usize>(
        &mut self,
        first: usize,
        rows: usize,
        row: usize,
    ) {
        const { assert!(R <= MAX_ROWS) };
        let count = (self.left.cols - row).min(R);
        // Read once at their step, which may map to few sets of the cache, and then close together.
        let mut strip = [T::default(); STRIP_ROWS * MAX_ROWS];
        for (k, to) in strip.chunks_exact_mut(R).enumerate().take(rows) {
            let from = &self.left.data[(first + k) * self.left.step + row..];
            for (i, to) in to.iter_mut().enumerate().take(count) {
                *to = from[i];
            }
        }
        let lefts: [*const T; R] = std::array::from_fn(|i| strip[i..].as_ptr());
        let (right, step) = (self.right.cols, self.right.step);
        let mut col = 0;
        while col < right {
            // SAFETY: column col + j of `right` is below its count in every row, so are row + i and col + j in `out`;
            // the strip holds `R` elements of each of the `rows` rows.
            unsafe {
                let from = self.right.data.as_ptr().add(first * step + col);
                let out = self.out.as_mut_ptr().add(row * right + col);
                let cols = right - col;
                if cols >= V::COUNT * C {
                    let sums = micro::<V, R, C>(rows, lefts, R, |k, c| {
                        V::load(from.add(k * step + c * V::COUNT))
                    });
                    write::<V, R, C>(sums, out, right, count, V::COUNT * C, true);
                    col += V::COUNT * C;
                } else if cols >= V::COUNT {
                    let sums = micro::<V, R, 1>(rows, lefts, R, |k, _| V::load(from.add(k * step)));
                    write::<V, R, 1>(sums, out, right, count, V::COUNT, true);
                    col += V::COUNT;
                } else {
                    let zero = V::splat(T::default());
                    let sums = micro::<V, R, 1>(rows, lefts, R, |k, _| {
                        V::load_partial(from.add(k * step), cols, zero)
                    });
                    write::<V, R, 1>(sums, out, right, count, cols, true);
                    col += V::COUNT;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::Philox;

    fn random(len: usize, seed: u64) -> Vec<f32> {
        let mut rng = Philox::new(seed, 0);
        (0..len).map(|_| rng.normal() as f32).collect()
    }

    fn close(found: &[f32], expected: &[f64]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                (f64::from(*found) - expected).abs() < 1e-4,
                "{found} {expected}"
            );
        }
    }

    /// Sizes on both sides of every tile's edge.
    const SIZES: [usize; 9] = [1, 3, 4, 5, 7, 8, 13, 33, 70];

    #[test]
    fn panels_match_a_plain_product_on_every_path() {
        for (isa, (rows, (inner, cols))) in Isa::available().into_iter().flat_map(|isa| {
            let shapes = SIZES.into_iter().zip(
                [(2, 9), (1, 1), (5, 15), (9, 16), (17, 17), (3, 65)]
                    .into_iter()
                    .cycle(),
            );
            shapes.map(move |shape| (isa, shape))
        }) {
            let (left_step, out_step) = (inner + 2, cols + 3);
            let (left, right) = (random(rows * left_step, 1), random(inner * cols, 2));
            let panels = Panels::new(isa, inner, cols, |i, j| right[i * cols + j]);
            let mut out = random(rows * out_step, 3);
            let mut expected: Vec<f64> = out.iter().map(|&v| f64::from(v)).collect();
            for i in 0..rows {
                for j in 0..cols {
                    let terms = (0..inner).map(|k| {
                        f64::from(left[i * left_step + k]) * f64::from(right[k * cols + j])
                    });
                    expected[i * out_step + j] += terms.sum::<f64>();
                }
            }
            panels.product(&mut out, out_step, &left, left_step, rows, true);
            close(&out, &expected);
            let mut set = vec![f32::NAN; rows * cols];
            panels.product(&mut set, cols, &left, left_step, rows, false);
            assert!(
                set.iter().all(|v| v.is_finite()),
                "{isa:?} {rows} {inner} {cols}"
            );
        }
    }

    #[test]
    fn transposed_sums_match_a_plain_product_on_every_path() {
        for isa in Isa::available() {
            for (m, n) in SIZES.into_iter().zip(SIZES.into_iter().rev()) {
                let rows = if m == 7 { 150 } else { 11 };
                let (left_step, right_step) = (m + 1, n + 2);
                let (left, right) = (random(rows * left_step, 1), random(rows * right_step, 2));
                let mut out = random(m * n, 3);
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
                add_transposed(isa, &mut out, left, right, rows);
                close(&out, &expected);
            }
        }
    }
}
