//! Horizontal bars with their names and values.

use super::canvas::{Anchor, Canvas, FAINT, INK, Rect, SOFT, fitted, text_width};
use super::color;
use super::figure::{Figure, Panel, sealed::Draw};

/// A chart of named values, none negative, from the top to the bottom.
#[derive(Debug, Clone, Default)]
pub struct Bars {
    title: String,
    most: Option<f64>,
    bars: Vec<Bar>,
}

#[derive(Debug, Clone)]
struct Bar {
    name: String,
    value: f64,
    shown: String,
}

const TITLE: f64 = 14.0;
const TEXT: f64 = 11.0;
/// The height of a bar with the gap below it.
const PITCH: f64 = 19.0;
/// Room above and below the bars.
const HEAD: f64 = 32.0;
const FOOT: f64 = 8.0;

impl Bars {
    /// A chart without bars.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// The value whose bar is as long as there is room; without it the largest.
    #[must_use]
    pub fn up_to(mut self, most: f64) -> Self {
        self.most = Some(most);
        self
    }

    /// Adds a bar below the others; `shown` is written beside it.
    #[must_use]
    pub fn bar(mut self, name: impl Into<String>, value: f64, shown: impl Into<String>) -> Self {
        self.bars.push(Bar {
            name: name.into(),
            value,
            shown: shown.into(),
        });
        self
    }

    /// The chart alone, so wide and as high as its bars need.
    pub fn figure(self, width: f64) -> Figure {
        let height = HEAD + PITCH * self.bars.len() as f64 + FOOT;
        Figure::new("", 1).panel_size(width, height).panel(self)
    }
}

impl Panel for Bars {}

impl Draw for Bars {
    #[expect(
        private_interfaces,
        reason = "a sealed trait: nobody outside can call it"
    )]
    fn draw(&self, canvas: &mut Canvas, frame: Rect) {
        let middle = frame.x + frame.width / 2.0;
        canvas.title((middle, frame.y + 18.0), TITLE, frame.width, &self.title);
        let widest = |of: fn(&Bar) -> &str, most: f64| {
            let widths = self.bars.iter().map(|bar| text_width(of(bar), TEXT));
            widths.fold(0.0, f64::max).min(most)
        };
        let names = widest(|bar| &bar.name, frame.width * 0.34);
        let values = widest(|bar| &bar.shown, frame.width * 0.25);
        let left = frame.x + 4.0 + names + 7.0;
        let room = (frame.x + frame.width - 6.0 - values - 6.0 - left).max(10.0);
        let finite = self
            .bars
            .iter()
            .map(|bar| bar.value)
            .filter(|v| v.is_finite());
        let most = self.most.unwrap_or_else(|| finite.fold(0.0, f64::max));
        let pitch = ((frame.height - HEAD - FOOT) / self.bars.len().max(1) as f64).min(PITCH);
        for (i, bar) in self.bars.iter().enumerate() {
            let top = frame.y + HEAD + i as f64 * pitch;
            let base = top + pitch / 2.0 + TEXT * 0.36;
            let (name, size) = fitted(&bar.name, TEXT, names);
            canvas.text((left - 7.0, base), Anchor::End, size, INK, &name);
            let rect = |part: f64| Rect {
                x: left,
                y: top + 2.0,
                width: room * part,
                height: pitch - 4.0,
            };
            canvas.filled(rect(1.0), FAINT);
            let part = bar.value / most;
            if part > 0.0 {
                canvas.filled(rect(part.min(1.0)), color::series(0));
            }
            let at = (left + room + 6.0, base);
            canvas.text(at, Anchor::Start, TEXT, SOFT, &bar.shown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_has_all_the_room() {
        let bars = |most: Option<f64>| {
            let bars = Bars::new("t")
                .bar("a", 2.0, "2")
                .bar("b", f64::NAN, "")
                .bar("c", 1.0, "1");
            let bars = Bars { most, ..bars };
            let svg = bars.figure(340.0).svg();
            assert!(!svg.contains("NaN"), "{svg}");
            let lengths = svg.lines().filter(|line| line.contains("#0072b2"));
            let width = |line: &str| {
                let (_, rest) = line.split_once("width=\"").unwrap();
                rest.split('"').next().unwrap().parse::<f64>().unwrap()
            };
            lengths.map(width).collect::<Vec<_>>()
        };
        let (free, fixed) = (bars(None), bars(Some(4.0)));
        assert!((free[0] - 2.0 * free[1]).abs() < 0.02, "{free:?}");
        assert!((free[0] - 2.0 * fixed[0]).abs() < 0.02, "{fixed:?}");
    }
}
