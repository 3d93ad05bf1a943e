//! Winograd's tiles of an image batch.

use super::geometry::Geometry;

/// Rows and columns of outputs in a tile.
pub(crate) const OUT: usize = 4;
/// Rows and columns of inputs in a tile.
pub(crate) const IN: usize = 6;
/// Planes of products.
pub(crate) const PLANES: usize = IN * IN;
/// Added to the length of a plane, so that the planes' starts don't share a few sets of the cache.
pub(crate) const SKEW: usize = 16;

/// An image batch cut into tiles: what is read as 6×6 tiles and what is written as 4×4 tiles.
#[derive(Clone, Copy)]
pub(crate) struct Tiling {
    pub(crate) n: usize,
    /// Height, width and channels on the 6×6 side.
    pub(crate) h: usize,
    pub(crate) w: usize,
    pub(crate) input: usize,
    /// The same on the 4×4 side.
    pub(crate) oh: usize,
    pub(crate) ow: usize,
    pub(crate) out: usize,
    pub(crate) padding: usize,
}

impl Tiling {
    /// The forward pass, and the weight gradient.
    pub(crate) fn forward(g: &Geometry) -> Self {
        Self {
            n: g.n,
            h: g.h,
            w: g.w,
            input: g.input,
            oh: g.oh,
            ow: g.ow,
            out: g.out,
            padding: g.padding,
        }
    }

    /// The input gradient: a convolution of the output's gradient.
    pub(crate) fn transposed(g: &Geometry) -> Self {
        Self {
            n: g.n,
            h: g.oh,
            w: g.ow,
            input: g.out,
            oh: g.h,
            ow: g.w,
            out: g.input,
            padding: 2 - g.padding,
        }
    }

    fn columns(&self) -> usize {
        self.ow.div_ceil(OUT)
    }

    fn per_image(&self) -> usize {
        self.oh.div_ceil(OUT) * self.columns()
    }

    /// All tiles of the batch.
    pub(crate) fn tiles(&self) -> usize {
        self.n * self.per_image()
    }

    /// The image, first row and first column of a tile's outputs.
    pub(crate) fn place(&self, tile: usize) -> (usize, usize, usize) {
        let (image, tile) = (tile / self.per_image(), tile % self.per_image());
        let (row, col) = (tile / self.columns(), tile % self.columns());
        (image, row * OUT, col * OUT)
    }
}
