//! Weights in the order in which register tiles read them.

use crate::cpu::parallel::*;
use crate::cpu::scratch::Aligned;
use crate::cpu::simd::lanes::Real;

/// How `[lanes][taps][inner]` lies in PyTorch's `[out, in, kh, kw]`.
#[derive(Clone, Copy)]
pub(crate) struct WeightOrder {
    /// Channels that go side by side into registers.
    pub(crate) lanes: usize,
    /// Channels that are summed over.
    pub(crate) inner: usize,
    /// Taps of the kernel, kh · kw.
    pub(crate) taps: usize,
    /// From one of `lanes` to the next.
    pub(crate) lane_stride: usize,
    inner_stride: usize,
    flipped: bool,
}

impl WeightOrder {
    /// Output channels in registers, taps in their order: the forward pass and the weight gradient.
    pub(crate) fn forward(out: usize, input: usize, taps: usize) -> Self {
        Self {
            lanes: out,
            inner: input,
            taps,
            lane_stride: input * taps,
            inner_stride: taps,
            flipped: false,
        }
    }

    /// Input channels in registers, taps reversed: the input gradient.
    pub(crate) fn transposed(out: usize, input: usize, taps: usize) -> Self {
        Self {
            lanes: input,
            inner: out,
            taps,
            lane_stride: taps,
            inner_stride: input * taps,
            flipped: true,
        }
    }

    /// Products a single output sums over.
    pub(crate) fn depth(&self) -> usize {
        self.taps * self.inner
    }

    /// The place of (lane, k) in PyTorch's order, where k counts (tap, inner).
    pub(crate) fn source(&self, lane: usize, k: usize) -> usize {
        self.kernel(lane, k % self.inner) + self.tap(k / self.inner)
    }

    /// The place of the first tap of (lane, inner) in PyTorch's order.
    fn kernel(&self, lane: usize, inner: usize) -> usize {
        lane * self.lane_stride + inner * self.inner_stride
    }

    /// The tap here of a tap there, and the other way round.
    fn tap(&self, tap: usize) -> usize {
        if self.flipped {
            self.taps - 1 - tap
        } else {
            tap
        }
    }
}

/// Splits `channels` into blocks of `cols` registers of `count` floats and, for the rest, of one register each: pairs of
/// (first channel, registers).
#[inline(always)]
pub(crate) fn blocks(
    channels: usize,
    count: usize,
    cols: usize,
) -> impl Iterator<Item = (usize, usize)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start >= channels {
            return None;
        }
        let registers = if channels - start > (cols - 1) * count {
            cols
        } else {
            1
        };
        let block = (start, registers);
        start += registers * count;
        Some(block)
    })
}

/// Channels rounded up to whole blocks.
pub(crate) fn padded(channels: usize, count: usize, cols: usize) -> usize {
    blocks(channels, count, cols)
        .last()
        .map_or(0, |(start, registers)| start + registers * count)
}

/// `weight` as `[block][k][lane]`, zero where a block has more lanes than there are channels.
pub(crate) fn pack<T: Real>(
    weight: &[T],
    order: WeightOrder,
    count: usize,
    cols: usize,
) -> Aligned {
    let len = padded(order.lanes, count, cols) * order.depth();
    let mut packed = Aligned::zeros::<T>(len);
    let mut rest = packed.slice_mut::<T>(len);
    let mut parts = Vec::new();
    for (start, registers) in blocks(order.lanes, count, cols) {
        let (part, after) = rest.split_at_mut(registers * count * order.depth());
        parts.push((start, registers * count, part));
        rest = after;
    }
    parts.into_par_iter().for_each(|(start, width, part)| {
        // As many as fill a line of the cache: their weights are read side by side and written as one.
        const SIDE_BY_SIDE: usize = 16;
        let lanes = order.lanes.min(start + width) - start;
        for first in (0..lanes).step_by(SIDE_BY_SIDE) {
            let count = SIDE_BY_SIDE.min(lanes - first);
            let mut kernels = [0; SIDE_BY_SIDE];
            for inner in 0..order.inner {
                for (lane, kernel) in kernels[..count].iter_mut().enumerate() {
                    *kernel = order.kernel(start + first + lane, inner);
                }
                for tap in 0..order.taps {
                    let k = order.tap(tap) * order.inner + inner;
                    let to = &mut part[k * width + first..][..count];
                    for (to, kernel) in to.iter_mut().zip(kernels) {
                        *to = weight[kernel + tap];
                    }
                }
            }
        }
    });
    packed
}

/// The inverse of [`pack`].
pub(crate) fn unpack<T: Real>(
    packed: &[T],
    order: WeightOrder,
    count: usize,
    cols: usize,
) -> Vec<T> {
    let mut weight = vec![T::default(); order.lanes * order.depth()];
    for (start, registers) in blocks(order.lanes, count, cols) {
        let width = registers * count;
        let block = &packed[start * order.depth()..][..width * order.depth()];
        for (k, row) in block.chunks_exact(width).enumerate() {
            let lanes = start..order.lanes.min(start + width);
            for (&value, lane) in row.iter().zip(lanes) {
                weight[order.source(lane, k)] = value;
            }
        }
    }
    weight
}
