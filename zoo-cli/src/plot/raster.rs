//! A drawing as pixels, with smooth edges.

use noto_sans_mono_bitmap::{FontWeight, RasterHeight, RasterizedChar, get_raster};

use super::canvas::{
    AREA_OPACITY, Anchor, Color, DASHES, DOT_RADIUS, Element, PATH_WIDTH, Picture, Rect, Text,
    text_width,
};
use super::svg;

/// Pixels each way for one of the drawing.
const SCALE: f64 = 2.0;

const FONT: (FontWeight, RasterHeight) = (FontWeight::Regular, RasterHeight::Size32);
/// The size of the font, and the row of its letters below their base line.
const FONT_SIZE: f64 = 24.0;
const BASE_LINE: f64 = 25.0;
/// How far a letter advances as a part of the font's size.
const ADVANCE: f64 = 0.58;

/// The PNG file of `elements`.
pub(super) fn png(elements: &[Element], width: f64, height: f64) -> Vec<u8> {
    let columns = (width * SCALE).round().max(1.0) as usize;
    let rows = (height * SCALE).round().max(1.0) as usize;
    let mut raster = Raster {
        pixels: vec![[255; 3]; columns * rows],
        columns,
    };
    let all = Span {
        left: 0,
        top: 0,
        right: columns,
        bottom: rows,
    };
    raster.elements(elements, all);
    svg::png(&raster.pixels, columns)
}

/// A straight line from a point to another.
type Stroke = ((f64, f64), (f64, f64));

/// Some of the pixels, without those at `right` and `bottom`.
#[derive(Debug, Clone, Copy)]
struct Span {
    left: usize,
    top: usize,
    right: usize,
    bottom: usize,
}

impl Span {
    /// The pixels of this span that a rectangle of the drawing, grown by `more` pixels, touches.
    fn within(self, rect: &Rect, more: f64) -> Self {
        let low = |value: f64| (value * SCALE - more).floor().max(0.0) as usize;
        let high = |value: f64| (value * SCALE + more).ceil().max(0.0) as usize;
        Self {
            left: low(rect.x).max(self.left),
            top: low(rect.y).max(self.top),
            right: high(rect.x + rect.width).min(self.right),
            bottom: high(rect.y + rect.height).min(self.bottom),
        }
    }

    /// The middles of the pixels, in those of the drawing times [`SCALE`].
    fn middles(self) -> impl Iterator<Item = (usize, usize, f64, f64)> {
        (self.top..self.bottom).flat_map(move |y| {
            (self.left..self.right).map(move |x| (x, y, x as f64 + 0.5, y as f64 + 0.5))
        })
    }
}

/// The smallest rectangle around points.
fn around(points: &[(f64, f64)]) -> Rect {
    let low = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).fold(f64::INFINITY, f64::min);
    let high = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).fold(f64::NEG_INFINITY, f64::max);
    let (x, y) = (low(|p| p.0), low(|p| p.1));
    Rect {
        x,
        y,
        width: high(|p| p.0) - x,
        height: high(|p| p.1) - y,
    }
}

fn scaled((x, y): (f64, f64)) -> (f64, f64) {
    (x * SCALE, y * SCALE)
}

struct Raster {
    pixels: Vec<Color>,
    columns: usize,
}

impl Raster {
    fn elements(&mut self, elements: &[Element], span: Span) {
        for element in elements {
            match element {
                Element::Line {
                    from,
                    to,
                    color,
                    width,
                } => self.strokes(&[(*from, *to)], *width, *color, span),
                Element::Path {
                    runs,
                    color,
                    dashed,
                } => {
                    let strokes: Vec<_> = runs.iter().flat_map(|run| strokes(run)).collect();
                    match dashed {
                        true => self.strokes(&dashes(&strokes), PATH_WIDTH, *color, span),
                        false => self.strokes(&strokes, PATH_WIDTH, *color, span),
                    }
                }
                Element::Area { outline, color } => self.area(outline, *color, span),
                Element::Dot { at, color } => {
                    self.strokes(&[(*at, *at)], 2.0 * DOT_RADIUS, *color, span);
                }
                Element::Frame { rect, color } => {
                    let (right, bottom) = (rect.x + rect.width, rect.y + rect.height);
                    let corners = [
                        (rect.x, rect.y),
                        (right, rect.y),
                        (right, bottom),
                        (rect.x, bottom),
                        (rect.x, rect.y),
                    ];
                    self.strokes(&strokes(&corners), 1.0, *color, span);
                }
                Element::Box { rect, color } => self.filled(rect, *color, span),
                Element::Picture(picture) => self.picture(picture, span),
                Element::Text(text) => self.text(text, span),
                Element::Clipped { rect, inside } => {
                    self.elements(inside, span.within(rect, 0.0));
                }
            }
        }
    }

    /// Lays `color` over a pixel, which it hides by the part `opacity`.
    fn blend(&mut self, x: usize, y: usize, color: Color, opacity: f64) {
        let pixel = &mut self.pixels[y * self.columns + x];
        for (below, above) in pixel.iter_mut().zip(color) {
            let mixed = f64::from(*below) * (1.0 - opacity) + f64::from(above) * opacity;
            *below = mixed.round() as u8;
        }
    }

    /// Strokes with round ends, as one: where they meet nothing is darker.
    fn strokes(&mut self, strokes: &[Stroke], width: f64, color: Color, span: Span) {
        let ends: Vec<(f64, f64)> = strokes.iter().flat_map(|(from, to)| [*from, *to]).collect();
        if ends.is_empty() {
            return;
        }
        let radius = width * SCALE / 2.0;
        let all = span.within(&around(&ends), radius + 1.0);
        if all.left >= all.right || all.top >= all.bottom {
            return;
        }
        let wide = all.right - all.left;
        let mut cover = vec![0f32; wide * (all.bottom - all.top)];
        for (from, to) in strokes {
            let own = span.within(&around(&[*from, *to]), radius + 1.0);
            let (from, to) = (scaled(*from), scaled(*to));
            for (x, y, px, py) in own.middles() {
                let near = (radius + 0.5 - distance((px, py), from, to)).clamp(0.0, 1.0);
                let cell = &mut cover[(y - all.top) * wide + x - all.left];
                *cell = cell.max(near as f32);
            }
        }
        for (x, y, ..) in all.middles() {
            let covered = cover[(y - all.top) * wide + x - all.left];
            if covered > 0.0 {
                self.blend(x, y, color, f64::from(covered));
            }
        }
    }

    fn filled(&mut self, rect: &Rect, color: Color, span: Span) {
        let (left, top) = scaled((rect.x, rect.y));
        let (right, bottom) = scaled((rect.x + rect.width, rect.y + rect.height));
        let part = |middle: f64, low: f64, high: f64| {
            ((middle + 0.5).min(high) - (middle - 0.5).max(low)).clamp(0.0, 1.0)
        };
        for (x, y, px, py) in span.within(rect, 0.0).middles() {
            self.blend(x, y, color, part(px, left, right) * part(py, top, bottom));
        }
    }

    /// A translucent area, by 2 × 2 samples a pixel and the even-odd rule.
    fn area(&mut self, outline: &[(f64, f64)], color: Color, span: Span) {
        let points: Vec<(f64, f64)> = outline.iter().copied().map(scaled).collect();
        let next = points.iter().cycle().skip(1);
        let edges: Vec<_> = points.iter().zip(next).collect();
        let span = span.within(&around(outline), 1.0);
        for y in span.top..span.bottom {
            for sample in [0.25, 0.75] {
                let at = y as f64 + sample;
                let crossed = edges.iter().filter(|(a, b)| (a.1 > at) != (b.1 > at));
                let mut xs: Vec<f64> = crossed
                    .map(|(a, b)| a.0 + (at - a.1) / (b.1 - a.1) * (b.0 - a.0))
                    .collect();
                xs.sort_by(f64::total_cmp);
                for pair in xs.chunks_exact(2) {
                    let from = (pair[0].floor().max(0.0) as usize).max(span.left);
                    let to = (pair[1].ceil().max(0.0) as usize).min(span.right);
                    for x in from..to {
                        let left = (x as f64).max(pair[0]);
                        let covered = ((x + 1) as f64).min(pair[1]) - left;
                        let opacity = AREA_OPACITY * covered.clamp(0.0, 1.0) / 2.0;
                        self.blend(x, y, color, opacity);
                    }
                }
            }
        }
    }

    fn picture(&mut self, picture: &Picture, span: Span) {
        let (columns, rows) = (picture.columns, picture.pixels.len() / picture.columns);
        let rect = &picture.rect;
        let sample = |x: f64, y: f64| -> Color {
            let pixel = |x: f64, y: f64| {
                let x = x.clamp(0.0, (columns - 1) as f64) as usize;
                let y = y.clamp(0.0, (rows - 1) as f64) as usize;
                picture.pixels[y * columns + x]
            };
            if picture.sharp {
                return pixel(x.floor(), y.floor());
            }
            let (left, top) = ((x - 0.5).floor(), (y - 0.5).floor());
            let (right, lower) = (x - 0.5 - left, y - 0.5 - top);
            std::array::from_fn(|c| {
                let at = |x: f64, y: f64| f64::from(pixel(x, y)[c]);
                let above = at(left, top) * (1.0 - right) + at(left + 1.0, top) * right;
                let below = at(left, top + 1.0) * (1.0 - right) + at(left + 1.0, top + 1.0) * right;
                (above * (1.0 - lower) + below * lower).round() as u8
            })
        };
        for (x, y, px, py) in span.within(rect, 0.0).middles() {
            let across = (px / SCALE - rect.x) / rect.width;
            let down = (py / SCALE - rect.y) / rect.height;
            if (0.0..1.0).contains(&across) && (0.0..1.0).contains(&down) {
                let color = sample(across * columns as f64, down * rows as f64);
                self.blend(x, y, color, 1.0);
            }
        }
    }

    fn text(&mut self, text: &Text, span: Span) {
        let width = text_width(&text.text, text.size);
        let mut along = match text.anchor {
            Anchor::Start => 0.0,
            Anchor::Middle => -width / 2.0,
            Anchor::End => -width,
        };
        for letter in text.text.chars().filter(|c| !c.is_control()) {
            let advance = text_width(letter.encode_utf8(&mut [0; 4]), text.size);
            match (letter, get_raster(letter, FONT.0, FONT.1)) {
                // The font has it not: three points.
                ('…', _) => {
                    let point = get_raster('.', FONT.0, FONT.1);
                    for i in 0..3 {
                        let at = along + (f64::from(i) - 0.4) * advance / 3.0;
                        self.letter(text, at, point.as_ref(), span);
                    }
                }
                (' ', _) => {}
                (_, glyph) => self.letter(text, along, glyph.as_ref(), span),
            }
            along += advance;
        }
    }

    /// A letter that begins `along` the base line of `text`; a box for one that the font has not.
    fn letter(&mut self, text: &Text, along: f64, glyph: Option<&RasterizedChar>, span: Span) {
        let size = text.size * SCALE / FONT_SIZE;
        let ink = |x: f64, y: f64| -> f64 {
            let at = |column: isize, row: isize| {
                let column = usize::try_from(column).ok();
                let row = usize::try_from(row).ok();
                match (glyph, column, row) {
                    (Some(glyph), Some(column), Some(row)) => {
                        glyph.pixel(column, row).map_or(0.0, f64::from)
                    }
                    (None, Some(column @ 2..=11), Some(row @ 8..=24)) => {
                        let inside = (4..=9).contains(&column) && (10..=22).contains(&row);
                        if inside { 0.0 } else { 255.0 }
                    }
                    _ => 0.0,
                }
            };
            let (left, top) = ((x - 0.5).floor(), (y - 0.5).floor());
            let (right, lower) = (x - 0.5 - left, y - 0.5 - top);
            let (left, top) = (left as isize, top as isize);
            let above = at(left, top) * (1.0 - right) + at(left + 1, top) * right;
            let below = at(left, top + 1) * (1.0 - right) + at(left + 1, top + 1) * right;
            (above * (1.0 - lower) + below * lower) / 255.0
        };
        let (origin_x, origin_y) = scaled(text.at);
        let along = along * SCALE;
        // How far a pixel is along the base line and below it, in those of the raster of the letter.
        let (reach, height) = (ADVANCE * text.size * 1.2, text.size * 1.3);
        let from = along / SCALE - 0.1 * text.size;
        let touched = match text.upright {
            false => Rect {
                x: text.at.0 + from,
                y: text.at.1 - height,
                width: reach,
                height: height * 1.4,
            },
            true => Rect {
                x: text.at.0 - height,
                y: text.at.1 - from - reach,
                width: height * 1.4,
                height: reach,
            },
        };
        for (x, y, px, py) in span.within(&touched, 1.0).middles() {
            let (right, down) = match text.upright {
                false => (px - origin_x - along, py - origin_y),
                true => (origin_y - py - along, px - origin_x),
            };
            let mut covered = ink(right / size, down / size + BASE_LINE);
            if text.bold {
                covered = covered.max(ink(right / size - 0.9, down / size + BASE_LINE));
            }
            if covered > 0.0 {
                self.blend(x, y, text.color, covered);
            }
        }
    }
}

/// The strokes through a run of points; one that begins where it ends for a single point.
fn strokes(run: &[(f64, f64)]) -> Vec<Stroke> {
    match run {
        [point] => vec![(*point, *point)],
        run => run.windows(2).map(|pair| (pair[0], pair[1])).collect(),
    }
}

/// `strokes` cut into dashes, which go on from one to the next.
fn dashes(strokes: &[Stroke]) -> Vec<Stroke> {
    let (dash, period) = (DASHES.0, DASHES.0 + DASHES.1);
    let (mut walked, mut cut) = (0.0, Vec::new());
    for &(from, to) in strokes {
        let length = (to.0 - from.0).hypot(to.1 - from.1);
        let at = |along: f64| {
            let part = (along - walked) / length;
            (
                from.0 + (to.0 - from.0) * part,
                from.1 + (to.1 - from.1) * part,
            )
        };
        let mut begin = (walked / period).floor() * period;
        while length > 0.0 && begin < walked + length {
            let (a, b) = (begin.max(walked), (begin + dash).min(walked + length));
            if a < b {
                cut.push((at(a), at(b)));
            }
            begin += period;
        }
        walked += length;
    }
    cut
}

/// How far `point` is from the stroke between two points.
fn distance(point: (f64, f64), from: (f64, f64), to: (f64, f64)) -> f64 {
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let (px, py) = (point.0 - from.0, point.1 - from.1);
    let length = dx * dx + dy * dy;
    let part = if length > 0.0 {
        (px * dx + py * dy) / length
    } else {
        0.0
    };
    let part = part.clamp(0.0, 1.0);
    (px - part * dx).hypot(py - part * dy)
}

#[cfg(test)]
mod tests {
    use super::super::canvas::{Canvas, INK};
    use super::*;

    fn drawn(draw: impl FnOnce(&mut Canvas)) -> image::RgbImage {
        let mut canvas = Canvas::new(40.0, 30.0);
        draw(&mut canvas);
        image::load_from_memory(&canvas.png()).unwrap().into_rgb8()
    }

    #[test]
    fn elements_are_where_they_belong() {
        let red = [200, 0, 0];
        let rect = Rect {
            x: 10.0,
            y: 5.0,
            width: 8.5,
            height: 4.0,
        };
        let image = drawn(|canvas| canvas.filled(rect, red));
        assert_eq!(image.dimensions(), (80, 60));
        for (at, expected) in [
            ((20, 10), red),
            ((36, 17), red),
            ((37, 17), [255; 3]),
            ((19, 10), [255; 3]),
        ] {
            assert_eq!(image.get_pixel(at.0, at.1).0, expected, "{at:?}");
        }
        // A line of two pixels, one above and one below its middle.
        let image = drawn(|canvas| canvas.line((5.0, 10.0), (35.0, 10.0), red, 1.0));
        assert_eq!(
            [18, 19, 20, 21].map(|y| image.get_pixel(40, y).0[1]),
            [255, 0, 0, 255]
        );
        let sharp = drawn(|canvas| {
            canvas.picture(Picture {
                rect,
                pixels: vec![red, [0, 0, 200]],
                columns: 2,
                sharp: true,
            });
        });
        assert_eq!(
            [sharp.get_pixel(27, 12).0, sharp.get_pixel(30, 12).0],
            [red, [0, 0, 200]]
        );
        // Nothing is drawn outside of a clip, not even a part of a pixel.
        let clipped = drawn(|canvas| {
            canvas.clipped(rect, |canvas| {
                canvas.line((0.0, 7.0), (40.0, 7.0), red, 20.0)
            });
        });
        assert_eq!(clipped.get_pixel(19, 12).0, [255; 3]);
        assert_eq!(clipped.get_pixel(21, 12).0, red);
    }

    #[test]
    fn text_stands_on_its_line_or_reads_upwards() {
        let ink = |image: &image::RgbImage| {
            let dark = image
                .enumerate_pixels()
                .filter(|(.., pixel)| pixel.0[0] < 128);
            let places: Vec<(u32, u32)> = dark.map(|(x, y, _)| (x, y)).collect();
            let bounds = |of: fn(&(u32, u32)) -> u32| {
                (
                    places.iter().map(of).min().unwrap(),
                    places.iter().map(of).max().unwrap(),
                )
            };
            (bounds(|p| p.0), bounds(|p| p.1))
        };
        let at = (20.0, 15.0);
        let (across, down) = ink(&drawn(|c| c.text(at, Anchor::Start, 12.0, INK, "HH")));
        assert!(across.0 >= 40 && across.1 < 40 + 28, "{across:?}");
        assert_eq!(down.1, 29, "the lowest row above the line");
        assert!((16..=18).contains(&(down.1 - down.0 + 1)), "{down:?}");
        let (across, down) = ink(&drawn(|c| c.upright_label(at, 12.0, 40.0, "HH")));
        assert_eq!(across.1, 39);
        assert!(down.0 >= 15 && down.1 <= 44, "{down:?}");
        // A letter that the font lacks is a box, and an end that was cut off three points.
        for text in ["語", "…"] {
            ink(&drawn(|c| c.text(at, Anchor::Start, 12.0, INK, text)));
        }
    }

    #[test]
    fn dashes_go_on_around_corners() {
        let cut = dashes(&[((0.0, 0.0), (7.0, 0.0)), ((7.0, 0.0), (7.0, 4.0))]);
        assert_eq!(cut, [((0.0, 0.0), (5.0, 0.0)), ((7.0, 2.0), (7.0, 4.0))]);
    }
}
