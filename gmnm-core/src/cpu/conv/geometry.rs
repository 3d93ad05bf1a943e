//! The shape of a convolution, and the passes over padded images that make it up.
//!
//! A pass sums, at each of its positions, over runs: stretches of the padded image that are contiguous for a fixed
//! position (a whole kernel row where taps touch, else one tap's channels). The input gradient is the same sum over the
//! output's gradient with flipped, transposed weights, one pass for each phase of the stride.

use crate::cpu::product::pack::WeightOrder;
use crate::cpu::simd::stored::Stored;

/// The shape of a convolution of `[n, h, w, input]` with `[out, input, kh, kw]` to `[n, oh, ow, out]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Geometry {
    pub(crate) n: usize,
    pub(crate) h: usize,
    pub(crate) w: usize,
    pub(crate) input: usize,
    pub(crate) oh: usize,
    pub(crate) ow: usize,
    pub(crate) out: usize,
    pub(crate) kh: usize,
    pub(crate) kw: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
    pub(crate) dilation: usize,
}

impl Geometry {
    /// Elements of the input.
    pub(crate) fn input_len(&self) -> usize {
        self.n * self.h * self.w * self.input
    }

    /// Elements of the output.
    pub(crate) fn output_len(&self) -> usize {
        self.n * self.oh * self.ow * self.out
    }

    pub(crate) fn taps(&self) -> usize {
        self.kh * self.kw
    }

    /// What the forward pass and the weight gradient read.
    pub(crate) fn input_border(&self) -> Border {
        Border {
            h: self.h,
            w: self.w,
            c: self.input,
            top: self.padding,
            left: self.padding,
            rows: self.h + 2 * self.padding,
            cols: self.w + 2 * self.padding,
        }
    }

    /// Stretches of the padded input under one output position.
    pub(crate) fn input_runs(&self) -> Vec<Run> {
        let row = self.input_border().cols * self.input;
        let mut runs = Vec::with_capacity(self.taps());
        for ky in 0..self.kh {
            for kx in 0..self.kw {
                runs.push(Run {
                    x: ky * self.dilation * row + kx * self.dilation * self.input,
                    k: (ky * self.kw + kx) * self.input,
                    len: self.input,
                });
            }
        }
        merge(runs)
    }

    /// The output positions over the padded input.
    pub(crate) fn output_grid(&self) -> Grid {
        let row = self.input_border().cols * self.input;
        Grid {
            height: self.oh,
            width: self.ow,
            x_start: 0,
            x_row: self.stride * row,
            x_col: self.stride * self.input,
            y_start: 0,
            y_row: self.ow * self.out,
            y_col: self.out,
        }
    }
}

/// An image with zeros around it.
#[derive(Clone, Copy)]
pub(crate) struct Border {
    h: usize,
    w: usize,
    c: usize,
    top: usize,
    left: usize,
    rows: usize,
    cols: usize,
}

impl Border {
    /// Elements with the border.
    pub(crate) fn len(&self) -> usize {
        self.rows * self.cols * self.c
    }

    /// Whether the image is its own padded form.
    pub(crate) fn is_none(&self) -> bool {
        self.rows == self.h && self.cols == self.w
    }

    /// Copies `image` into `out` and clears the border.
    pub(crate) fn fill<T: Stored>(&self, image: &[T], out: &mut [T::Real]) {
        let row = self.cols * self.c;
        let width = self.w * self.c;
        let left = self.left * self.c;
        for (y, out) in out[..self.len()].chunks_exact_mut(row.max(1)).enumerate() {
            match y.checked_sub(self.top) {
                Some(y) if y < self.h => {
                    out[..left].fill(T::Real::default());
                    widen(
                        &image[y * width..(y + 1) * width],
                        &mut out[left..left + width],
                    );
                    out[left + width..].fill(T::Real::default());
                }
                _ => out.fill(T::Real::default()),
            }
        }
    }
}

/// Copies `from` as the kernels compute it.
pub(crate) fn widen<T: Stored>(from: &[T], to: &mut [T::Real]) {
    match T::reals(from) {
        Some(from) => to.copy_from_slice(from),
        None => {
            for (to, from) in to.iter_mut().zip(from) {
                *to = from.widen();
            }
        }
    }
}

/// A stretch of `len` contiguous inputs at `x` from the position's start, and the index of its first weight.
#[derive(Clone, Copy)]
pub(crate) struct Run {
    pub(crate) x: usize,
    pub(crate) k: usize,
    pub(crate) len: usize,
}

fn merge(runs: Vec<Run>) -> Vec<Run> {
    let mut merged: Vec<Run> = Vec::with_capacity(runs.len());
    for run in runs {
        match merged.last_mut() {
            Some(last) if last.x + last.len == run.x && last.k + last.len == run.k => {
                last.len += run.len;
            }
            _ => merged.push(run),
        }
    }
    merged
}

/// Positions of a pass, in elements of the padded input `x` and of the output `y`.
#[derive(Clone, Copy)]
pub(crate) struct Grid {
    pub(crate) height: usize,
    pub(crate) width: usize,
    pub(crate) x_start: usize,
    pub(crate) x_row: usize,
    pub(crate) x_col: usize,
    pub(crate) y_start: usize,
    pub(crate) y_row: usize,
    pub(crate) y_col: usize,
}

impl Grid {
    /// Where `count` positions from the `first` on lie in the padded input and in the output.
    pub(crate) fn places(&self, first: usize, count: usize) -> impl Iterator<Item = [usize; 2]> {
        let (mut row, mut col) = (first / self.width, first % self.width);
        (0..count).map(move |_| {
            let x = self.x_start + row * self.x_row + col * self.x_col;
            let y = self.y_start + row * self.y_row + col * self.y_col;
            col += 1;
            if col == self.width {
                (row, col) = (row + 1, 0);
            }
            [x, y]
        })
    }
}

/// One product of a padded image with weights.
pub(crate) struct Pass {
    pub(crate) runs: Vec<Run>,
    pub(crate) grid: Grid,
}

impl Pass {
    /// Products that the output at one position sums over.
    pub(crate) fn depth(&self) -> usize {
        self.runs.iter().map(|run| run.len).sum()
    }
}

/// The passes that make an image of another.
pub(crate) struct Passes {
    pub(crate) all: Vec<Pass>,
    /// The image that is read.
    pub(crate) border: Border,
    /// How the weight meets its runs.
    pub(crate) order: WeightOrder,
    /// Elements of the image that is read.
    pub(crate) image_in: usize,
    /// Elements of the image that is made.
    pub(crate) image_out: usize,
    /// Images.
    pub(crate) n: usize,
}

impl Passes {
    /// The forward pass.
    pub(crate) fn forward(g: &Geometry) -> Self {
        Self {
            all: vec![Pass {
                runs: g.input_runs(),
                grid: g.output_grid(),
            }],
            border: g.input_border(),
            order: WeightOrder::forward(g.out, g.input, g.taps()),
            image_in: g.h * g.w * g.input,
            image_out: g.oh * g.ow * g.out,
            n: g.n,
        }
    }

    /// The input gradient.
    pub(crate) fn input_gradient(g: &Geometry) -> Self {
        let (stride, pad, dilation) = (g.stride, g.padding, g.dilation);
        // Row y of the input takes tap ky from the output's row (y + pad − ky·dilation) / stride where that is whole. With
        // y + pad = stride·q + phase this is q − back(ky, phase).
        let reaches = |k: usize, phase: usize| (k * dilation) % stride == phase;
        let back = |k: usize, phase: usize| (k * dilation - phase) / stride;
        let reach = |taps: usize| ((taps - 1) * dilation).div_ceil(stride);
        let first = pad / stride;
        let (top, left) = (
            reach(g.kh).saturating_sub(first),
            reach(g.kw).saturating_sub(first),
        );
        let border = Border {
            h: g.oh,
            w: g.ow,
            c: g.out,
            top,
            left,
            rows: top + g.oh.max((g.h - 1 + pad) / stride + 1),
            cols: left + g.ow.max((g.w - 1 + pad) / stride + 1),
        };
        let row = border.cols * g.out;
        let mut all = Vec::with_capacity(stride * stride);
        for phase_y in 0..stride.min(g.h) {
            for phase_x in 0..stride.min(g.w) {
                // The first row of this pass, its phase and its q.
                let (py, px) = ((phase_y + pad) % stride, (phase_x + pad) % stride);
                let (qy, qx) = ((phase_y + pad) / stride, (phase_x + pad) / stride);
                let mut runs = Vec::new();
                // Offsets count from the farthest tap, so that they are not negative.
                for ky in (0..g.kh).rev().filter(|&k| reaches(k, py)) {
                    for kx in (0..g.kw).rev().filter(|&k| reaches(k, px)) {
                        let (by, bx) = (back(ky, py), back(kx, px));
                        let flipped = (g.kh - 1 - ky) * g.kw + (g.kw - 1 - kx);
                        runs.push(Run {
                            x: (reach(g.kh) - by) * row + (reach(g.kw) - bx) * g.out,
                            k: flipped * g.out,
                            len: g.out,
                        });
                    }
                }
                // top ≥ reach − first and q ≥ first: the farthest tap stays inside the border.
                let (y0, x0) = (qy + top - reach(g.kh), qx + left - reach(g.kw));
                all.push(Pass {
                    runs: merge(runs),
                    grid: Grid {
                        height: (g.h - phase_y).div_ceil(stride),
                        width: (g.w - phase_x).div_ceil(stride),
                        x_start: y0 * row + x0 * g.out,
                        x_row: row,
                        x_col: g.out,
                        y_start: (phase_y * g.w + phase_x) * g.input,
                        y_row: stride * g.w * g.input,
                        y_col: stride * g.input,
                    },
                });
            }
        }
        Self {
            all,
            border,
            order: WeightOrder::transposed(g.out, g.input, g.taps()),
            image_in: g.oh * g.ow * g.out,
            image_out: g.h * g.w * g.input,
            n: g.n,
        }
    }
}
