//! A growing SVG document: the few elements that the charts need.

use std::fmt::Write as _;

/// Where a text's given point lies on it.
#[derive(Debug, Clone, Copy)]
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

/// Grey levels of text, axes and grid lines.
pub(super) const INK: &str = "#222222";
pub(super) const SOFT: &str = "#555555";
pub(super) const FAINT: &str = "#e4e4e4";

#[derive(Debug)]
pub(super) struct Svg {
    body: String,
    width: f64,
    height: f64,
    clips: usize,
}

/// Two decimals are finer than any screen; trailing zeros only cost bytes.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".into()
    } else {
        text.into()
    }
}

fn escape(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control())
        .fold(String::new(), |mut out, c| {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                c => out.push(c),
            }
            out
        })
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

impl Svg {
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self {
            body: String::new(),
            width,
            height,
            clips: 0,
        }
    }

    fn element(&mut self, text: std::fmt::Arguments) {
        // Writing into a String cannot fail.
        let _ = self.body.write_fmt(text);
        self.body.push('\n');
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), color: &str, width: f64) {
        self.element(format_args!(
            r#"<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="{color}" stroke-width="{}"/>"#,
            short(from.0),
            short(from.1),
            short(to.0),
            short(to.1),
            short(width),
        ));
    }

    /// A broken line through `runs` of points.
    pub(super) fn path(&mut self, runs: &[Vec<(f64, f64)>], color: &str, dashed: bool) {
        let mut d = String::new();
        for run in runs {
            for (i, (x, y)) in run.iter().enumerate() {
                let _ = write!(
                    d,
                    "{}{} {}",
                    if i == 0 { 'M' } else { 'L' },
                    short(*x),
                    short(*y)
                );
            }
        }
        if !d.is_empty() {
            let dash = if dashed {
                r#" stroke-dasharray="5 4""#
            } else {
                ""
            };
            self.element(format_args!(
                r#"<path d="{d}" fill="none" stroke="{color}" stroke-width="1.8" stroke-linejoin="round"{dash}/>"#
            ));
        }
    }

    /// A closed, translucent area.
    pub(super) fn area(&mut self, outline: &[(f64, f64)], color: &str) {
        let points: Vec<String> = outline
            .iter()
            .map(|(x, y)| format!("{},{}", short(*x), short(*y)))
            .collect();
        self.element(format_args!(
            r#"<polygon points="{}" fill="{color}" fill-opacity="0.16"/>"#,
            points.join(" ")
        ));
    }

    pub(super) fn dot(&mut self, (x, y): (f64, f64), color: &str) {
        self.element(format_args!(
            r#"<circle cx="{}" cy="{}" r="3" fill="{color}"/>"#,
            short(x),
            short(y)
        ));
    }

    /// An outlined rectangle without a filling.
    pub(super) fn frame(&mut self, r: Rect, color: &str) {
        self.element(format_args!(
            r#"<rect x="{}" y="{}" width="{}" height="{}" fill="none" stroke="{color}"/>"#,
            short(r.x),
            short(r.y),
            short(r.width),
            short(r.height),
        ));
    }

    /// A picture stretched over a rectangle, given as a PNG file.
    pub(super) fn picture(&mut self, r: Rect, png: &[u8]) {
        self.element(format_args!(
            r#"<image x="{}" y="{}" width="{}" height="{}" preserveAspectRatio="none" href="data:image/png;base64,{}"/>"#,
            short(r.x),
            short(r.y),
            short(r.width),
            short(r.height),
            base64(png),
        ));
    }

    pub(super) fn text(
        &mut self,
        at: (f64, f64),
        anchor: Anchor,
        size: f64,
        color: &str,
        text: &str,
    ) {
        self.styled_text(at, anchor, size, color, "", text);
    }

    /// A title, centred on `at` and at most `width` wide.
    pub(super) fn title(&mut self, at: (f64, f64), size: f64, width: f64, text: &str) {
        let (text, size) = fitted(text, size, width);
        let style = r#" font-weight="600""#;
        self.styled_text(at, Anchor::Middle, size, INK, style, &text);
    }

    /// The label of a horizontal axis, centred on `at` and at most `width` wide.
    pub(super) fn label(&mut self, at: (f64, f64), size: f64, width: f64, text: &str) {
        let (text, size) = fitted(text, size, width);
        self.text(at, Anchor::Middle, size, INK, &text);
    }

    /// The label of a vertical axis: it reads upwards, centred on `at` and at most `width` long.
    pub(super) fn upright_label(&mut self, at: (f64, f64), size: f64, width: f64, text: &str) {
        let (text, size) = fitted(text, size, width);
        let turn = format!(
            r#" transform="rotate(-90 {} {})""#,
            short(at.0),
            short(at.1)
        );
        self.styled_text(at, Anchor::Middle, size, INK, &turn, &text);
    }

    fn styled_text(
        &mut self,
        at: (f64, f64),
        anchor: Anchor,
        size: f64,
        color: &str,
        style: &str,
        text: &str,
    ) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.element(format_args!(
            r#"<text x="{}" y="{}" text-anchor="{anchor}" font-size="{}" fill="{color}"{style}>{}</text>"#,
            short(at.0),
            short(at.1),
            short(size),
            escape(text),
        ));
    }

    /// Draws what `inside` draws, cut off at the edges of `r`.
    pub(super) fn clipped(&mut self, r: Rect, inside: impl FnOnce(&mut Self)) {
        self.clips += 1;
        let id = self.clips;
        self.element(format_args!(
            r#"<clipPath id="c{id}"><rect x="{}" y="{}" width="{}" height="{}"/></clipPath><g clip-path="url(#c{id})">"#,
            short(r.x),
            short(r.y),
            short(r.width),
            short(r.height),
        ));
        inside(self);
        self.body.push_str("</g>\n");
    }

    pub(super) fn finish(self) -> String {
        let (w, h) = (short(self.width), short(self.height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" \
             font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
            self.body
        )
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .enumerate()
            .fold(0u32, |word, (i, b)| word | u32::from(*b) << (16 - 8 * i));
        for i in 0..4 {
            if i <= chunk.len() {
                out.push(char::from(ALPHABET[(word >> (18 - 6 * i)) as usize & 63]));
            } else {
                out.push('=');
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test vectors of RFC 4648, section 10.
    #[test]
    fn base64_matches_rfc_4648() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

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

    #[test]
    fn text_cannot_break_the_document() {
        let mut svg = Svg::new(10.0, 10.0);
        svg.text((0.0, 0.0), Anchor::Start, 10.0, INK, "a<b>&\"c\u{1}");
        assert!(svg.finish().contains("a&lt;b&gt;&amp;&quot;c</text>"));
    }
}
