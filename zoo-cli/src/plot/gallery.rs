//! Small pictures with lines of text below them, in rows.

use super::canvas::{Anchor, Canvas, Color, INK, Picture, Rect, SOFT, fitted};
use super::{color::ColorMap, svg};

/// A picture of red, green and blue.
#[derive(Debug, Clone, PartialEq)]
pub struct Thumbnail {
    pixels: Vec<Color>,
    columns: usize,
}

impl Thumbnail {
    /// The picture with these bytes, `[height, width, channels]` in grey (1) or in colour (3).
    pub fn new(bytes: &[u8], width: usize, channels: usize) -> Self {
        let pixels = bytes.chunks_exact(channels.max(1));
        Self {
            // Grey images have one channel for all three colours.
            pixels: pixels
                .map(|p| [0, 1, 2].map(|c| p[c.min(p.len() - 1)]))
                .collect(),
            columns: width.max(1),
        }
    }

    /// The same picture in grey under a veil that glows where `heat`, one value from 0 to 1 a pixel, is high.
    #[must_use]
    pub fn under_heat(&self, heat: &[f32]) -> Self {
        let veiled = |(pixel, heat): (&Color, &f32)| {
            let grey = pixel.iter().map(|&c| f64::from(c)).sum::<f64>() / 3.0;
            let glow = ColorMap::Viridis.rgb(f64::from(*heat));
            glow.map(|c| (grey * 0.45 + f64::from(c) * 0.55).round() as u8)
        };
        Self {
            pixels: self.pixels.iter().zip(heat).map(veiled).collect(),
            columns: self.columns,
        }
    }

    /// The picture as the address of an image inside a page.
    pub fn data_uri(&self) -> String {
        svg::data_uri("image/png", &svg::png(&self.pixels, self.columns))
    }
}

/// Pictures in groups of some that belong together, with their words.
#[derive(Debug, Clone, Default)]
pub struct Gallery {
    title: String,
    columns: usize,
    groups: Vec<(Vec<Thumbnail>, Vec<String>)>,
}

/// The edge of a picture, between two of a group, and between groups.
const EDGE: f64 = 84.0;
const SLIT: f64 = 4.0;
const GAP: f64 = 14.0;
const TEXT: f64 = 11.0;
const LINE: f64 = 14.0;
const TITLE: f64 = 14.0;

impl Gallery {
    /// An empty gallery of `columns` groups side by side.
    pub fn new(title: impl Into<String>, columns: usize) -> Self {
        Self {
            title: title.into(),
            columns: columns.max(1),
            groups: Vec::new(),
        }
    }

    /// Adds a group after the others, row by row.
    pub fn group(&mut self, pictures: Vec<Thumbnail>, words: Vec<String>) {
        self.groups.push((pictures, words));
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The gallery as an SVG document.
    pub fn svg(&self) -> String {
        self.drawn().svg()
    }

    /// The gallery as a PNG file.
    pub fn png(&self) -> Vec<u8> {
        self.drawn().png()
    }

    fn drawn(&self) -> Canvas {
        let most = |of: fn(&(Vec<Thumbnail>, Vec<String>)) -> usize| {
            self.groups.iter().map(of).max().unwrap_or(0) as f64
        };
        let group = most(|g| g.0.len()).max(1.0) * (EDGE + SLIT) - SLIT;
        let pitch = (group + GAP, EDGE + 4.0 + most(|g| g.1.len()) * LINE + GAP);
        let columns = self.columns.min(self.groups.len().max(1));
        let rows = self.groups.len().div_ceil(columns) as f64;
        let width = columns as f64 * pitch.0 + GAP;
        let top = 38.0;
        let mut canvas = Canvas::new(width, top + rows * pitch.1);
        canvas.title((width / 2.0, 24.0), TITLE, width - 2.0 * GAP, &self.title);
        for (i, (pictures, words)) in self.groups.iter().enumerate() {
            let left = GAP + (i % columns) as f64 * pitch.0;
            let top = top + (i / columns) as f64 * pitch.1;
            for (p, thumbnail) in pictures.iter().enumerate() {
                let rows = (thumbnail.pixels.len() / thumbnail.columns).max(1) as f64;
                let columns = thumbnail.columns as f64;
                let scale = EDGE / rows.max(columns);
                let (width, height) = (columns * scale, rows * scale);
                let rect = Rect {
                    x: left + p as f64 * (EDGE + SLIT) + (EDGE - width) / 2.0,
                    y: top + (EDGE - height) / 2.0,
                    width,
                    height,
                };
                canvas.picture(Picture {
                    rect,
                    pixels: thumbnail.pixels.clone(),
                    columns: thumbnail.columns,
                    sharp: true,
                });
            }
            for (line, text) in words.iter().enumerate() {
                let (text, size) = fitted(text, TEXT, group);
                let at = (left, top + EDGE + 4.0 + (line + 1) as f64 * LINE - 3.0);
                let color = if line == 0 { INK } else { SOFT };
                canvas.text(at, Anchor::Start, size, color, &text);
            }
        }
        canvas
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_stand_in_rows_with_their_words() {
        let grey = Thumbnail::new(&[10, 200], 2, 1);
        let mut gallery = Gallery::new("t", 2);
        for name in ["a", "b", "c"] {
            gallery.group(
                vec![grey.clone(), grey.under_heat(&[0.0, 1.0])],
                vec![name.into()],
            );
        }
        let svg = gallery.svg();
        assert_eq!(svg.matches("<image").count(), 6);
        assert!(
            ["a", "b", "c"]
                .iter()
                .all(|name| svg.contains(&format!(">{name}<")))
        );
        let drawn = image::load_from_memory(&gallery.png()).unwrap().into_rgb8();
        // The left half of the first picture, 84 by 42 in the middle of its square.
        assert_eq!(drawn.get_pixel(2 * 20, 2 * 80).0, [10; 3]);
        assert_eq!(drawn.get_pixel(2 * 90, 2 * 80).0, [200; 3]);
        assert_eq!(drawn.width(), 2 * (2 * (172 + 14) + 14));
        assert!(Gallery::new("t", 3).svg().ends_with("</svg>\n"));
    }

    #[test]
    fn heat_glows_where_it_is_high() {
        let picture = Thumbnail::new(&[100; 6], 2, 3).under_heat(&[0.0, 1.0]);
        assert_eq!(picture.pixels.len(), 2);
        let glow = |pixel: Color| pixel.iter().map(|&c| u32::from(c)).sum::<u32>();
        assert!(glow(picture.pixels[1]) > glow(picture.pixels[0]));
        assert!(
            picture
                .data_uri()
                .starts_with("data:image/png;base64,iVBOR")
        );
    }
}
