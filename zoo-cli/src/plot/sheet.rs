//! Small images on white, in rows with their names.

use std::io::Cursor;

use image::{ImageError, ImageFormat, Rgb, RgbImage};
use noto_sans_mono_bitmap::{FontWeight, RasterHeight, get_raster, get_raster_width};

/// The longer edge of a tile is at least this many pixels, where whole multiples of the image allow it.
const LEAST_EDGE: usize = 64;
/// White pixels between tiles, and between groups of rows.
const GAP: usize = 2;
const GROUP_GAP: usize = 12;

const FONT: (FontWeight, RasterHeight) = (FontWeight::Regular, RasterHeight::Size16);
const LETTER_WIDTH: usize = get_raster_width(FONT.0, FONT.1);
const LETTER_HEIGHT: usize = FONT.1.val();

/// Groups of rows of images of one size.
#[derive(Debug, Clone)]
pub struct Sheet {
    height: usize,
    width: usize,
    channels: usize,
    columns: usize,
    groups: Vec<Vec<Row>>,
}

#[derive(Debug, Clone)]
struct Row {
    name: String,
    tiles: Vec<Vec<u8>>,
}

impl Sheet {
    /// An empty sheet for `columns` tiles side by side, each `[height, width, channels]` bytes, in grey or in colour.
    pub fn new((height, width, channels): (usize, usize, usize), columns: usize) -> Self {
        Self {
            height,
            width,
            channels,
            columns,
            groups: Vec::new(),
        }
    }

    /// Adds a group of rows below the others: a name and tiles each.
    pub fn group<'a>(&mut self, rows: impl IntoIterator<Item = (&'a str, Vec<Vec<u8>>)>) {
        let row = |(name, tiles): (&str, _)| Row {
            name: name.to_string(),
            tiles,
        };
        self.groups.push(rows.into_iter().map(row).collect());
    }

    /// The sheet as the bytes of a PNG file.
    ///
    /// # Errors
    /// When it has no row, or is too large for the format.
    pub fn png(&self) -> Result<Vec<u8>, ImageError> {
        let scale = (LEAST_EDGE / self.height.max(self.width)).max(1);
        let (height, width) = (self.height * scale, self.width * scale);
        let pitch = height.max(LETTER_HEIGHT) + GAP;
        let rows = || self.groups.iter().flatten();
        let longest = rows().map(|row| row.name.chars().count()).max();
        let left = GROUP_GAP + longest.map_or(0, |letters| letters * LETTER_WIDTH + GROUP_GAP);
        let total_height = rows().count() * pitch + (self.groups.len() + 1) * GROUP_GAP;
        let total_width = left + self.columns * (width + GAP) + GROUP_GAP;
        let mut sheet =
            RgbImage::from_pixel(total_width as u32, total_height as u32, Rgb([255; 3]));
        let mut top = GROUP_GAP;
        for group in &self.groups {
            for row in group {
                let indent = left - GROUP_GAP - row.name.chars().count() * LETTER_WIDTH;
                let middle = (height.max(LETTER_HEIGHT) - LETTER_HEIGHT) / 2;
                write(&mut sheet, (indent, top + middle), &row.name);
                for (column, tile) in row.tiles.iter().enumerate() {
                    let at = (left + column * (width + GAP), top);
                    self.draw(&mut sheet, at, scale, tile);
                }
                top += pitch;
            }
            top += GROUP_GAP;
        }
        let mut bytes = Cursor::new(Vec::new());
        sheet.write_to(&mut bytes, ImageFormat::Png)?;
        Ok(bytes.into_inner())
    }

    fn draw(&self, sheet: &mut RgbImage, (left, top): (usize, usize), scale: usize, tile: &[u8]) {
        for (i, pixel) in tile.chunks_exact(self.channels).enumerate() {
            // Grey images have one channel for all three colours.
            let color = [0, 1, 2].map(|c| pixel[c.min(self.channels - 1)]);
            let (x, y) = (left + i % self.width * scale, top + i / self.width * scale);
            for (dx, dy) in (0..scale * scale).map(|d| (d % scale, d / scale)) {
                sheet.put_pixel((x + dx) as u32, (y + dy) as u32, Rgb(color));
            }
        }
    }
}

/// Writes a text in black; what the font lacks is left blank.
fn write(sheet: &mut RgbImage, (left, top): (usize, usize), text: &str) {
    for (i, letter) in text.chars().enumerate() {
        let raster = get_raster(letter, FONT.0, FONT.1);
        let rows = raster.iter().flat_map(|raster| raster.rows());
        for (y, row) in rows.enumerate() {
            for (x, ink) in row.iter().enumerate() {
                let x = left + i * LETTER_WIDTH + x;
                sheet.put_pixel(x as u32, (top + y) as u32, Rgb([255 - ink; 3]));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_their_names_beside_them() {
        // Flat tiles: the names are higher than they are.
        let mut sheet = Sheet::new((8, 64, 1), 2);
        sheet.group([("a", vec![vec![9; 512]; 2]), ("long", vec![vec![7; 512]])]);
        let png = sheet.png().unwrap();
        let drawn = image::load_from_memory(&png).unwrap().into_rgb8();
        let left = (12 + 4 * LETTER_WIDTH + 12) as u32;
        let height = 2 * (LETTER_HEIGHT + 2) + 24;
        assert_eq!(drawn.dimensions(), (left + 2 * 66 + 12, height as u32));
        assert_eq!(drawn.get_pixel(left, 12).0, [9; 3]);
        let dark = |x: std::ops::Range<u32>, y: std::ops::Range<u32>| {
            x.flat_map(|x| y.clone().map(move |y| (x, y)))
                .any(|(x, y)| drawn.get_pixel(x, y).0[0] < 128)
        };
        let letter = LETTER_WIDTH as u32;
        // The shorter name is at the right, beside the tiles.
        assert!(!dark(12..12 + 3 * letter, 12..12 + 18));
        assert!(dark(12 + 3 * letter..12 + 4 * letter, 12..12 + 18));
        assert!(dark(12..12 + letter, 12 + 18..12 + 36));
    }
}
