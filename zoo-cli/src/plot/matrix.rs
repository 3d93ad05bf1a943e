//! A square of counts: how often each class was taken for each.

use super::canvas::{Anchor, Canvas, Color, INK, Picture, Rect, SOFT, fitted, text_width};
use super::figure::{Figure, Panel, sealed::Draw};

/// Counts, a row for each class that things are of and a column for each that they were taken for, each cell shaded by
/// its part of the row.
#[derive(Debug, Clone)]
pub struct Matrix {
    title: String,
    names: Vec<String>,
    counts: Vec<Vec<usize>>,
}

const TITLE: f64 = 14.0;
const LABEL: f64 = 12.0;
const TEXT: f64 = 11.0;
const COUNT: f64 = 10.0;
/// The longest name that is not cut, in pixels.
const LONGEST: f64 = 68.0;
/// More classes than these have no names beside them.
const NAMED: usize = 40;
/// White, and what a whole row is shaded with.
const NONE: Color = [0xff; 3];
const ALL: Color = [0x08, 0x45, 0x86];

impl Matrix {
    /// The matrix of `counts` for classes with these names; rows and columns beyond the names are left out.
    pub fn new(title: impl Into<String>, names: Vec<String>, counts: Vec<Vec<usize>>) -> Self {
        Self {
            title: title.into(),
            names,
            counts,
        }
    }

    /// The matrix alone, as large as its classes need.
    pub fn figure(self) -> Figure {
        let classes = self.names.len().max(1);
        let cell = match classes {
            0..=10 => 24.0,
            11..=20 => 22.0,
            21..=NAMED => 16.0,
            _ => (480.0 / classes as f64).max(3.0),
        };
        let side = cell * classes as f64;
        let (left, bottom) = self.margins();
        let size = (left + side + RIGHT, TOP + side + bottom);
        Figure::new("", 1).panel_size(size.0, size.1).panel(self)
    }

    /// Room at the left of the cells and below them.
    fn margins(&self) -> (f64, f64) {
        let widths = self.names.iter().map(|name| text_width(name, TEXT));
        let names = match self.names.len() {
            0..=NAMED => widths.fold(0.0, f64::max).min(LONGEST) + 8.0,
            _ => 6.0,
        };
        (16.0 + names, names + 20.0)
    }
}

/// Room above the cells and at their right.
const TOP: f64 = 30.0;
const RIGHT: f64 = 6.0;

/// The colour of a part of a row.
fn shade(part: f64) -> Color {
    // The eye tells small parts from none.
    let part = part.sqrt();
    std::array::from_fn(|c| {
        let (none, all) = (f64::from(NONE[c]), f64::from(ALL[c]));
        (none + (all - none) * part).round() as u8
    })
}

impl Panel for Matrix {}

impl Draw for Matrix {
    #[expect(
        private_interfaces,
        reason = "a sealed trait: nobody outside can call it"
    )]
    fn draw(&self, canvas: &mut Canvas, frame: Rect) {
        let classes = self.names.len().max(1);
        let (left, bottom) = self.margins();
        let room = (frame.width - left - RIGHT).min(frame.height - TOP - bottom);
        let cell = (room / classes as f64).max(1.0);
        let side = cell * classes as f64;
        let plot = Rect {
            x: frame.x + left,
            y: frame.y + TOP,
            width: side,
            height: side,
        };
        let rows = self.counts.iter().take(classes);
        let parts: Vec<Vec<f64>> = rows
            .map(|row| {
                let all = row.iter().sum::<usize>().max(1) as f64;
                row.iter()
                    .take(classes)
                    .map(|&count| count as f64 / all)
                    .collect()
            })
            .collect();
        canvas.picture(Picture {
            rect: plot,
            pixels: parts.iter().flatten().map(|part| shade(*part)).collect(),
            columns: classes,
            sharp: true,
        });
        for (r, (counts, parts)) in self.counts.iter().zip(&parts).enumerate() {
            for (c, (count, part)) in counts.iter().zip(parts).enumerate() {
                let text = count.to_string();
                // A count that does not fit is not written: cut it would be another.
                if *count == 0 || text_width(&text, COUNT) > cell {
                    continue;
                }
                let at = (
                    plot.x + (c as f64 + 0.5) * cell,
                    plot.y + (r as f64 + 0.5) * cell + COUNT * 0.36,
                );
                let color = if *part > 0.3 { NONE } else { INK };
                canvas.text(at, Anchor::Middle, COUNT, color, &text);
            }
        }
        canvas.frame(plot, SOFT);
        if self.names.len() <= NAMED {
            for (i, name) in self.names.iter().enumerate() {
                let (name, size) = fitted(name, TEXT, LONGEST);
                let along = (i as f64 + 0.5) * cell;
                let at = (plot.x - 5.0, plot.y + along + size * 0.36);
                canvas.text(at, Anchor::End, size, INK, &name);
                let at = (plot.x + along + size * 0.36, plot.y + side + 5.0);
                canvas.upright_text(at, Anchor::End, size, INK, &name);
            }
        }
        let middle = frame.x + frame.width / 2.0;
        canvas.title((middle, frame.y + 18.0), TITLE, frame.width, &self.title);
        let at = (frame.x + 11.0, plot.y + side / 2.0);
        canvas.upright_label(at, LABEL, side, "class");
        let at = (plot.x + side / 2.0, plot.y + side + bottom - 6.0);
        canvas.label(at, LABEL, side, "taken for");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_have_their_counts_where_they_fit() {
        let names = |n: usize| (0..n).map(|i| format!("class {i}")).collect::<Vec<_>>();
        let counts = vec![vec![12, 3], vec![0, 123_456]];
        let svg = Matrix::new("t", names(2), counts).figure().svg();
        assert!(svg.contains(">12<") && svg.contains(">3<") && svg.contains(">class 1<"));
        assert!(!svg.contains(">0<") && !svg.contains(">123456<"), "{svg}");
        let many = Matrix::new("t", names(200), vec![vec![1; 200]; 200]).figure();
        assert!(!many.svg().contains("class 1<"));
        assert!(
            Matrix::new("t", vec![], vec![])
                .figure()
                .svg()
                .ends_with("</svg>\n")
        );
    }
}
