//! A growing drawing: the few elements that the charts need, in the order in which they cover each other.

use super::{raster, svg};

/// Where a text's given point lies on it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A rectangle in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub(super) x: f64,
    pub(super) y: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// Red, green and blue.
pub(super) type Color = [u8; 3];

/// Grey levels of text, axes and grid lines.
pub(super) const INK: Color = [0x22; 3];
pub(super) const SOFT: Color = [0x55; 3];
pub(super) const FAINT: Color = [0xe4; 3];

/// The part of what lies below an area that it hides.
pub(super) const AREA_OPACITY: f64 = 0.16;
/// The width of the line of a [`Element::Path`].
pub(super) const PATH_WIDTH: f64 = 1.8;
/// Its dashes and the gaps between them.
pub(super) const DASHES: (f64, f64) = (5.0, 4.0);
/// The radius of a [`Element::Dot`].
pub(super) const DOT_RADIUS: f64 = 3.0;

/// A text at a point.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Text {
    pub(super) at: (f64, f64),
    pub(super) anchor: Anchor,
    pub(super) size: f64,
    pub(super) color: Color,
    pub(super) bold: bool,
    /// It reads upwards.
    pub(super) upright: bool,
    pub(super) text: String,
}

/// A picture over a rectangle, its pixels row by row from the top.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Picture {
    pub(super) rect: Rect,
    pub(super) pixels: Vec<Color>,
    pub(super) columns: usize,
    /// Its pixels are seen as such, and not blurred into each other.
    pub(super) sharp: bool,
}

/// One thing that is drawn.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Element {
    Line {
        from: (f64, f64),
        to: (f64, f64),
        color: Color,
        width: f64,
    },
    /// A broken line through runs of points.
    Path {
        runs: Vec<Vec<(f64, f64)>>,
        color: Color,
        dashed: bool,
    },
    /// A closed, translucent area.
    Area {
        outline: Vec<(f64, f64)>,
        color: Color,
    },
    Dot {
        at: (f64, f64),
        color: Color,
    },
    /// An outlined rectangle without a filling.
    Frame {
        rect: Rect,
        color: Color,
    },
    /// A filled rectangle without an outline.
    Box {
        rect: Rect,
        color: Color,
    },
    Picture(Picture),
    Text(Text),
    /// What is cut off at the edges of a rectangle.
    Clipped {
        rect: Rect,
        inside: Vec<Element>,
    },
}

/// A drawing of some width and height in pixels.
#[derive(Debug)]
pub(super) struct Canvas {
    elements: Vec<Element>,
    width: f64,
    height: f64,
}

/// The width of a text in pixels, a little generous: the reader's font is not known.
pub(super) fn text_width(text: &str, size: f64) -> f64 {
    text.chars().map(|c| size * em(c)).sum()
}

/// The width of a character as a part of the font's size: those of East Asia are squares.
fn em(c: char) -> f64 {
    if c < '\u{1100}' { 0.58 } else { 1.0 }
}

/// The text, and the size at which it is at most `width` pixels wide: down to three quarters of `size`, then the end of
/// the text goes.
pub(super) fn fitted(text: &str, size: f64, width: f64) -> (String, f64) {
    let whole = text_width(text, size);
    if whole <= width {
        return (text.to_string(), size);
    }
    let size = size * (width / whole).max(0.75);
    if text_width(text, size) <= width * (1.0 + 1e-9) {
        return (text.to_string(), size);
    }
    let mut left = width / size - em('…');
    let fits = |c: &char| {
        left -= em(*c);
        left >= 0.0
    };
    let kept: String = text.chars().take_while(fits).collect();
    (kept.trim_end().to_string() + "…", size)
}

impl Canvas {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self {
            elements: Vec::new(),
            width,
            height,
        }
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), color: Color, width: f64) {
        self.elements.push(Element::Line {
            from,
            to,
            color,
            width,
        });
    }

    /// A broken line through `runs` of points.
    pub(super) fn path(&mut self, runs: &[Vec<(f64, f64)>], color: Color, dashed: bool) {
        let runs: Vec<_> = runs.iter().filter(|run| !run.is_empty()).cloned().collect();
        if !runs.is_empty() {
            self.elements.push(Element::Path {
                runs,
                color,
                dashed,
            });
        }
    }

    /// A closed, translucent area.
    pub(super) fn area(&mut self, outline: Vec<(f64, f64)>, color: Color) {
        self.elements.push(Element::Area { outline, color });
    }

    pub(super) fn dot(&mut self, at: (f64, f64), color: Color) {
        self.elements.push(Element::Dot { at, color });
    }

    /// An outlined rectangle without a filling.
    pub(super) fn frame(&mut self, rect: Rect, color: Color) {
        self.elements.push(Element::Frame { rect, color });
    }

    /// A filled rectangle without an outline.
    pub(super) fn filled(&mut self, rect: Rect, color: Color) {
        self.elements.push(Element::Box { rect, color });
    }

    /// A picture stretched over a rectangle.
    pub(super) fn picture(&mut self, picture: Picture) {
        if !picture.pixels.is_empty() {
            self.elements.push(Element::Picture(picture));
        }
    }

    pub(super) fn text(
        &mut self,
        at: (f64, f64),
        anchor: Anchor,
        size: f64,
        color: Color,
        text: &str,
    ) {
        self.styled_text(at, anchor, size, color, (false, false), text);
    }

    /// A text that reads upwards.
    pub(super) fn upright_text(
        &mut self,
        at: (f64, f64),
        anchor: Anchor,
        size: f64,
        color: Color,
        text: &str,
    ) {
        self.styled_text(at, anchor, size, color, (false, true), text);
    }

    /// A title, centred on `at` and at most `width` wide.
    pub(super) fn title(&mut self, at: (f64, f64), size: f64, width: f64, text: &str) {
        let (text, size) = fitted(text, size, width);
        self.styled_text(at, Anchor::Middle, size, INK, (true, false), &text);
    }

    /// The label of a horizontal axis, centred on `at` and at most `width` wide.
    pub(super) fn label(&mut self, at: (f64, f64), size: f64, width: f64, text: &str) {
        let (text, size) = fitted(text, size, width);
        self.text(at, Anchor::Middle, size, INK, &text);
    }

    /// The label of a vertical axis: it reads upwards, centred on `at` and at most `width` long.
    pub(super) fn upright_label(&mut self, at: (f64, f64), size: f64, width: f64, text: &str) {
        let (text, size) = fitted(text, size, width);
        self.upright_text(at, Anchor::Middle, size, INK, &text);
    }

    fn styled_text(
        &mut self,
        at: (f64, f64),
        anchor: Anchor,
        size: f64,
        color: Color,
        (bold, upright): (bool, bool),
        text: &str,
    ) {
        self.elements.push(Element::Text(Text {
            at,
            anchor,
            size,
            color,
            bold,
            upright,
            text: text.to_string(),
        }));
    }

    /// Draws what `inside` draws, cut off at the edges of `rect`.
    pub(super) fn clipped(&mut self, rect: Rect, inside: impl FnOnce(&mut Self)) {
        let outer = std::mem::take(&mut self.elements);
        inside(self);
        let inside = std::mem::replace(&mut self.elements, outer);
        self.elements.push(Element::Clipped { rect, inside });
    }

    /// The drawing as an SVG document.
    pub(super) fn svg(&self) -> String {
        svg::document(&self.elements, self.width, self.height)
    }

    /// The drawing as a PNG file of twice as many pixels each way, for screens of fine pixels and for print.
    pub(super) fn png(&self) -> Vec<u8> {
        raster::png(&self.elements, self.width, self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_titles_fit() {
        let name = "cifar-classifier on a-rather-long-name-of-a-file.csv";
        let wide = text_width(name, 16.0);
        assert_eq!(fitted(name, 16.0, wide), (name.to_string(), 16.0));
        let (text, size) = fitted(name, 16.0, 0.8 * wide);
        assert!(text == name && size < 16.0);
        for width in [300.0, 20.0, 0.0] {
            let (text, size) = fitted(name, 16.0, width);
            assert!(text.ends_with('…') && size == 12.0, "{text}");
            assert!(text == "…" || text_width(&text, size) <= width, "{text}");
        }
    }
}
