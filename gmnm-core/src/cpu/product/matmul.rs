//! Matrix products over strided views of slices.

use gemm::Parallelism;

use super::factor::{Factor, add_transposed};
use super::products::Products;
use super::tile::Rows;
use crate::cpu::parallel::*;
use crate::cpu::simd::isa::Isa;
use crate::cpu::simd::lanes::Real;

/// A `rows` × `cols` view whose element (i, j) is `data[i·row_step + j·col_step]`.
#[derive(Clone, Copy)]
pub(crate) struct View<'a, T> {
    data: &'a [T],
    rows: usize,
    cols: usize,
    row_step: usize,
    col_step: usize,
}

impl<'a, T> View<'a, T> {
    /// Rows of `cols` elements that lie `row_step` apart, from the first element of `data` on.
    ///
    /// # Panics
    /// When `data` is too short.
    pub(crate) fn with_step(data: &'a [T], rows: usize, cols: usize, row_step: usize) -> Self {
        assert!(rows == 0 || cols == 0 || (rows - 1) * row_step + cols <= data.len());
        Self {
            data,
            rows,
            cols,
            row_step,
            col_step: 1,
        }
    }

    /// A row-major matrix.
    ///
    /// # Panics
    /// When `data` is too short.
    pub(crate) fn new(data: &'a [T], rows: usize, cols: usize) -> Self {
        Self::with_step(data, rows, cols, cols)
    }

    /// The transposed view.
    pub(crate) fn t(self) -> Self {
        Self {
            data: self.data,
            rows: self.cols,
            cols: self.rows,
            row_step: self.col_step,
            col_step: self.row_step,
        }
    }
}

/// `out` `[rows, cols]` = `left` · `right`, or `out` += `left` · `right` where `add`, on this thread.
///
/// # Panics
/// When the shapes do not fit.
pub(crate) fn product<T: Real>(out: &mut [T], left: View<T>, right: View<T>, add: bool) {
    product_with_step(out, right.cols, left, right, add);
}

/// [`product`] into rows that lie `out_step` apart.
///
/// # Panics
/// When the shapes do not fit.
pub(crate) fn product_with_step<T: Real>(
    out: &mut [T],
    out_step: usize,
    left: View<T>,
    right: View<T>,
    add: bool,
) {
    let (m, n, k) = (left.rows, right.cols, left.cols);
    assert_eq!(k, right.rows);
    if m == 0 || n == 0 {
        return;
    }
    assert!(n <= out_step || m == 1);
    assert!((m - 1) * out_step + n <= out.len());
    let one = T::from_f64(1.0);
    // SAFETY: the views and the assertions above bound every element; steps fit isize as slices do; `T` is f32 or f64.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            out.as_mut_ptr(),
            1,
            out_step as isize,
            add,
            left.data.as_ptr(),
            left.col_step as isize,
            left.row_step as isize,
            right.data.as_ptr(),
            right.col_step as isize,
            right.row_step as isize,
            one,
            one,
            false,
            false,
            false,
            Parallelism::None,
        );
    }
}

/// Rows of a block that one thread computes.
const BLOCK: usize = 128;

/// `x` `[rows, inner]` · `weight`ᵀ (`[cols, inner]`) + `bias` `[cols]` into `out`, on all threads.
///
/// # Panics
/// When the lengths do not fit.
pub(crate) fn linear<T: Real>(
    products: Products,
    out: &mut [T],
    x: View<T>,
    weight: View<T>,
    bias: Option<&[T]>,
) {
    let (rows, inner, cols) = (x.rows, x.cols, weight.rows);
    if cols == 0 || rows == 0 {
        return;
    }
    let packed = (products != Products::Full && inner > 0).then(|| {
        Factor::new(Isa::best(), products, inner, cols, |i, j| {
            weight.data[j * weight.row_step + i * weight.col_step]
        })
    });
    let fill = |out: &mut [T], bias: Option<&[T]>| match bias {
        Some(bias) => {
            for row in out.chunks_exact_mut(bias.len()) {
                row.copy_from_slice(bias);
            }
        }
        None => out.fill(T::default()),
    };
    out.par_chunks_mut(BLOCK * cols)
        .enumerate()
        .for_each(|(i, out)| {
            let first = i * BLOCK;
            fill(out, bias);
            let part = &x.data[first * x.row_step..];
            let rows = BLOCK.min(rows - first);
            match &packed {
                Some(packed) => packed.product(out, cols, part, x.row_step, rows, true),
                None => {
                    let part = View::with_step(part, rows, inner, x.row_step);
                    product(out, part, weight.t(), true);
                }
            }
        });
}

/// `left`ᵀ · `right` for `left` `[rows, m]` and `right` `[rows, n]`, on all threads: a weight's gradient.
///
/// Threads share the columns of `left`, so the result does not depend on their number.
///
/// # Panics
/// When the lengths do not fit.
pub(crate) fn transposed_product<T: Real>(
    products: Products,
    left: View<T>,
    right: View<T>,
) -> Vec<T> {
    let (m, n) = (left.cols, right.cols);
    let mut out = vec![T::default(); m * n];
    if m == 0 || n == 0 {
        return out;
    }
    const COLUMNS: usize = 32;
    out.par_chunks_mut(COLUMNS * n)
        .enumerate()
        .for_each(|(i, out)| {
            let first = i * COLUMNS;
            let (rows, cols) = (left.rows, COLUMNS.min(m - first));
            let data = left.data.get(first..).unwrap_or(&[]);
            if products == Products::Full {
                let part = View::with_step(data, rows, cols, left.row_step);
                product(out, part.t(), right, false);
            } else {
                let part = Rows::new(data, rows, cols, left.row_step);
                let right = Rows::new(right.data, rows, n, right.row_step);
                add_transposed(Isa::best(), products, out, part, right, rows);
            }
        });
    out
}
