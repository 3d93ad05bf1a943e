//! Transposes pairs, so that rows of a factor become what a tile's rows are read from.

use std::arch::x86_64::{
    __m512i, _mm512_maskz_loadu_epi32, _mm512_setzero_si512, _mm512_shuffle_i32x4,
    _mm512_storeu_epi32, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32,
    _mm512_unpacklo_epi64,
};

use half::bf16;

use crate::cpu::simd::tile_unit::SIDE;

/// Writes the transpose of `x` `[rows, cols]`, whose rows lie `x_step` pairs apart, to `to`, whose rows lie `to_step`
/// pairs apart. Zeros fill it up to whole tiles both ways.
///
/// # Panics
/// When a slice or a step is too short.
pub(super) fn transpose(
    x: &[[bf16; 2]],
    x_step: usize,
    [rows, cols]: [usize; 2],
    to: &mut [[bf16; 2]],
    to_step: usize,
) {
    assert!(cols <= x_step && rows * x_step <= x.len());
    assert!(rows <= to_step && to_step.is_multiple_of(SIDE));
    assert!(cols.next_multiple_of(SIDE) * to_step <= to.len());
    for row in (0..rows).step_by(SIDE) {
        for column in (0..cols).step_by(SIDE) {
            // SAFETY: tiles come with AVX-512; the asserts above hold every tile inside its slice, of the first one's
            // rows and columns as many as there are.
            unsafe {
                tile(
                    x.as_ptr().add(row * x_step + column).cast(),
                    x_step,
                    [SIDE.min(rows - row), SIDE.min(cols - column)],
                    to.as_mut_ptr().add(column * to_step + row).cast(),
                    to_step,
                );
            }
        }
    }
}

/// A tile, of which `rows` × `cols` elements are there and the others are taken as zeros.
///
/// # Safety
/// The processor has AVX-512F; those elements of `x`, and a whole tile of `to`, lie in memory.
#[target_feature(enable = "avx512f")]
unsafe fn tile(
    x: *const i32,
    x_step: usize,
    [rows, cols]: [usize; 2],
    to: *mut i32,
    to_step: usize,
) {
    let mask = u16::MAX >> (SIDE - cols);
    let mut a = [_mm512_setzero_si512(); SIDE];
    for (i, a) in a.iter_mut().take(rows).enumerate() {
        // SAFETY: as the caller guarantees.
        *a = unsafe { _mm512_maskz_loadu_epi32(mask, x.add(i * x_step)) };
    }
    // Each step doubles the rows whose elements of one column lie side by side.
    let mut b = a;
    for i in (0..SIDE).step_by(2) {
        b[i] = _mm512_unpacklo_epi32(a[i], a[i + 1]);
        b[i + 1] = _mm512_unpackhi_epi32(a[i], a[i + 1]);
    }
    for i in (0..SIDE).step_by(4) {
        a[i] = _mm512_unpacklo_epi64(b[i], b[i + 2]);
        a[i + 1] = _mm512_unpackhi_epi64(b[i], b[i + 2]);
        a[i + 2] = _mm512_unpacklo_epi64(b[i + 1], b[i + 3]);
        a[i + 3] = _mm512_unpackhi_epi64(b[i + 1], b[i + 3]);
    }
    let even = |x: __m512i, y: __m512i| _mm512_shuffle_i32x4::<0x88>(x, y);
    let odd = |x: __m512i, y: __m512i| _mm512_shuffle_i32x4::<0xdd>(x, y);
    for c in 0..4 {
        let (upper, lower) = ((a[c], a[4 + c]), (a[8 + c], a[12 + c]));
        let evens = (even(upper.0, upper.1), even(lower.0, lower.1));
        let odds = (odd(upper.0, upper.1), odd(lower.0, lower.1));
        b[c] = even(evens.0, evens.1);
        b[4 + c] = even(odds.0, odds.1);
        b[8 + c] = odd(evens.0, evens.1);
        b[12 + c] = odd(odds.0, odds.1);
    }
    for (i, &b) in b.iter().enumerate() {
        // SAFETY: as the caller guarantees.
        unsafe { _mm512_storeu_epi32(to.add(i * to_step), b) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns_and_the_rest_zeros() {
        if !is_x86_feature_detected!("avx512f") {
            return;
        }
        for (rows, cols) in [(1, 1), (16, 16), (3, 40), (17, 15), (33, 31)] {
            let x_step = cols + 3;
            let pair = |i: usize| [bf16::from_bits(i as u16), bf16::from_bits(!i as u16)];
            let x: Vec<_> = (0..rows * x_step).map(pair).collect();
            let (to_rows, to_step) = (cols.next_multiple_of(SIDE), rows.next_multiple_of(SIDE));
            let mut to = vec![pair(7); to_rows * to_step];
            transpose(&x, x_step, [rows, cols], &mut to, to_step);
            for (i, row) in to.chunks_exact(to_step).enumerate() {
                for (j, &found) in row.iter().enumerate() {
                    let inside = i < cols && j < rows;
                    let expected = if inside {
                        x[j * x_step + i]
                    } else {
                        [bf16::ZERO; 2]
                    };
                    let bits = |pair: [bf16; 2]| pair.map(bf16::to_bits);
                    assert_eq!(bits(found), bits(expected), "{rows} {cols}: ({i}, {j})");
                }
            }
        }
    }
}
