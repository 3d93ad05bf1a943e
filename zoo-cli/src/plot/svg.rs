//! A drawing as SVG text.

use std::fmt::Write as _;

use super::canvas::{
    AREA_OPACITY, Anchor, Color, DASHES, DOT_RADIUS, Element, PATH_WIDTH, Picture, Rect, Text,
};

/// The document of `elements`.
pub(super) fn document(elements: &[Element], width: f64, height: f64) -> String {
    let mut writer = Writer::default();
    writer.elements(elements);
    let (w, h) = (short(width), short(height));
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{w}\" height=\"{h}\" viewBox=\"0 0 {w} {h}\" \
         font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
        writer.body
    )
}

#[derive(Default)]
struct Writer {
    body: String,
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

/// A text as it is written into SVG or HTML; characters of control are left out.
pub fn escape(text: &str) -> String {
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

fn hex([r, g, b]: Color) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// The place and size of a rectangle as attributes.
fn place(r: &Rect) -> String {
    format!(
        r#"x="{}" y="{}" width="{}" height="{}""#,
        short(r.x),
        short(r.y),
        short(r.width),
        short(r.height)
    )
}

impl Writer {
    fn element(&mut self, text: std::fmt::Arguments) {
        // Writing into a String cannot fail.
        let _ = self.body.write_fmt(text);
        self.body.push('\n');
    }

    fn elements(&mut self, elements: &[Element]) {
        for element in elements {
            match element {
                Element::Line {
                    from,
                    to,
                    color,
                    width,
                } => self.element(format_args!(
                    r#"<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="{}" stroke-width="{}"/>"#,
                    short(from.0),
                    short(from.1),
                    short(to.0),
                    short(to.1),
                    hex(*color),
                    short(*width),
                )),
                Element::Path {
                    runs,
                    color,
                    dashed,
                } => self.path(runs, *color, *dashed),
                Element::Area { outline, color } => {
                    let points: Vec<String> = outline
                        .iter()
                        .map(|(x, y)| format!("{},{}", short(*x), short(*y)))
                        .collect();
                    self.element(format_args!(
                        r#"<polygon points="{}" fill="{}" fill-opacity="{AREA_OPACITY}"/>"#,
                        points.join(" "),
                        hex(*color)
                    ));
                }
                Element::Dot { at: (x, y), color } => self.element(format_args!(
                    r#"<circle cx="{}" cy="{}" r="{DOT_RADIUS}" fill="{}"/>"#,
                    short(*x),
                    short(*y),
                    hex(*color)
                )),
                Element::Frame { rect, color } => self.element(format_args!(
                    r#"<rect {} fill="none" stroke="{}"/>"#,
                    place(rect),
                    hex(*color)
                )),
                Element::Box { rect, color } => self.element(format_args!(
                    r#"<rect {} fill="{}"/>"#,
                    place(rect),
                    hex(*color)
                )),
                Element::Picture(picture) => self.picture(picture),
                Element::Text(text) => self.text(text),
                Element::Clipped { rect, inside } => {
                    self.clips += 1;
                    let id = self.clips;
                    self.element(format_args!(
                        r#"<clipPath id="c{id}"><rect {}/></clipPath><g clip-path="url(#c{id})">"#,
                        place(rect)
                    ));
                    self.elements(inside);
                    self.body.push_str("</g>\n");
                }
            }
        }
    }

    fn path(&mut self, runs: &[Vec<(f64, f64)>], color: Color, dashed: bool) {
        let mut d = String::new();
        for run in runs {
            for (i, (x, y)) in run.iter().enumerate() {
                let step = if i == 0 { 'M' } else { 'L' };
                let _ = write!(d, "{step}{} {}", short(*x), short(*y));
            }
        }
        let dash = match dashed {
            true => format!(r#" stroke-dasharray="{} {}""#, DASHES.0, DASHES.1),
            false => String::new(),
        };
        self.element(format_args!(
            r#"<path d="{d}" fill="none" stroke="{}" stroke-width="{PATH_WIDTH}" stroke-linejoin="round"{dash}/>"#,
            hex(color)
        ));
    }

    fn picture(&mut self, picture: &Picture) {
        let style = match picture.sharp {
            true => r#" style="image-rendering:pixelated""#,
            false => "",
        };
        self.element(format_args!(
            r#"<image {} preserveAspectRatio="none"{style} href="{}"/>"#,
            place(&picture.rect),
            data_uri("image/png", &png(&picture.pixels, picture.columns)),
        ));
    }

    fn text(&mut self, text: &Text) {
        let anchor = match text.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y) = (short(text.at.0), short(text.at.1));
        let mut style = String::new();
        if text.bold {
            style += r#" font-weight="600""#;
        }
        if text.upright {
            style += &format!(r#" transform="rotate(-90 {x} {y})""#);
        }
        self.element(format_args!(
            r#"<text x="{x}" y="{y}" text-anchor="{anchor}" font-size="{}" fill="{}"{style}>{}</text>"#,
            short(text.size),
            hex(text.color),
            escape(&text.text),
        ));
    }
}

/// A PNG file of `pixels`, row by row from the top; an incomplete last row is left out.
pub(super) fn png(pixels: &[Color], columns: usize) -> Vec<u8> {
    use image::ImageEncoder;
    let mut bytes = Vec::new();
    let rows = pixels.len() / columns;
    let result = image::codecs::png::PngEncoder::new(&mut bytes).write_image(
        pixels[..rows * columns].as_flattened(),
        columns as u32,
        rows as u32,
        image::ExtendedColorType::Rgb8,
    );
    // The sizes fit by construction and the sink is memory; a figure without its picture is the worst case.
    if result.is_err() {
        bytes.clear();
    }
    bytes
}

/// A file of some media type, as in `image/png`, as an address inside a document.
pub fn data_uri(media_type: &str, bytes: &[u8]) -> String {
    format!("data:{media_type};base64,{}", base64(bytes))
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
    use super::super::canvas::{Canvas, INK};
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
    fn text_cannot_break_the_document() {
        let mut canvas = Canvas::new(10.0, 10.0);
        canvas.text((0.0, 0.0), Anchor::Start, 10.0, INK, "a<b>&\"c\u{1}");
        assert!(canvas.svg().contains("a&lt;b&gt;&amp;&quot;c</text>"));
    }
}
