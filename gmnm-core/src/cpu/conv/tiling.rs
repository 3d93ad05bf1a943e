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
impl Geometry {
    /// The input gradient of a 3×3 convolution: a convolution of the output's gradient.
    pub(crate) fn transposed(&self) -> Self {
        Self {
            h: self.oh,
            w: self.ow,
            input: self.out,
            oh: self.h,
            ow: self.w,
            out: self.input,
            padding: 2 - self.padding,
            ..*self
        }
    }

    fn tile_columns(&self) -> usize {
        self.ow.div_ceil(OUT)
    }

    fn tiles_of_image(&self) -> usize {
        self.oh.div_ceil(OUT) * self.tile_columns()
    }

    /// All tiles of the batch.
    pub(crate) fn tiles(&self) -> usize {
        self.n * self.tiles_of_image()
    }

    /// The image, first row and first column of a tile's outputs.
    pub(crate) fn tile(&self, tile: usize) -> (usize, usize, usize) {
        let (image, tile) = (tile / self.tiles_of_image(), tile % self.tiles_of_image());
        let (row, col) = (tile / self.tile_columns(), tile % self.tile_columns());
        (image, row * OUT, col * OUT)
    }
}
