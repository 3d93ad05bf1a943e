//! A field over a rectangle as colours, with its colour bar.

use super::axis::{Axis, Scale};
use super::canvas::{Anchor, Canvas, Picture, Rect, SOFT, text_width};
use super::color::ColorMap;
use super::figure::{Panel, sealed::Draw};

/// Values on a regular grid over a rectangle of x and y.
#[derive(Debug, Clone)]
pub struct HeatMap {
    title: String,
    values: Vec<f64>,
    columns: usize,
    x: (f64, f64),
    y: (f64, f64),
    map: ColorMap,
    range: Option<(f64, f64)>,
}

impl HeatMap {
    /// `values` row by row, the first row at the lowest y, each row `columns` long from the lowest x (an incomplete
    /// last row is left out), over [−1, 1]².
    pub fn new(title: impl Into<String>, values: Vec<f64>, columns: usize) -> Self {
        Self {
            title: title.into(),
            values,
            columns: columns.max(1),
            x: (-1.0, 1.0),
            y: (-1.0, 1.0),
            map: ColorMap::default(),
            range: None,
        }
    }

    /// The rectangle that the values cover.
    #[must_use]
    pub fn over(mut self, x: (f64, f64), y: (f64, f64)) -> Self {
        (self.x, self.y) = (x, y);
        self
    }

    /// The colours. [`ColorMap::Diverging`] is centred on zero.
    #[must_use]
    pub fn colors(mut self, map: ColorMap) -> Self {
        self.map = map;
        self
    }

    /// The values at the two ends of the colour bar, for panels that are to be compared.
    #[must_use]
    pub fn range(mut self, low: f64, high: f64) -> Self {
        self.range = Some((low, high));
        self
    }

    /// The map as an SVG document of 420 by 360 pixels.
    pub fn svg(&self) -> String {
        let mut canvas = Canvas::new(420.0, 360.0);
        let frame = Rect {
            x: 6.0,
            y: 6.0,
            width: 408.0,
            height: 348.0,
        };
        self.draw(&mut canvas, frame);
        canvas.svg()
    }

    fn limits(&self) -> (f64, f64) {
        let (mut low, mut high) = self.range.unwrap_or_else(|| {
            let finite = self.values.iter().filter(|v| v.is_finite());
            finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
                (l.min(*v), h.max(*v))
            })
        });
        if self.map == ColorMap::Diverging {
            high = low.abs().max(high.abs());
            low = -high;
        }
        if low < high && low.is_finite() && high.is_finite() {
            (low, high)
        } else if low.is_finite() && low == high {
            (low - 0.5, low + 0.5)
        } else {
            (0.0, 1.0)
        }
    }
}

const TICK: f64 = 11.0;

impl Panel for HeatMap {}

impl Draw for HeatMap {
    #[expect(
        private_interfaces,
        reason = "a sealed trait: nobody outside can call it"
    )]
    fn draw(&self, canvas: &mut Canvas, frame: Rect) {
        let (low, high) = self.limits();
        let rows = self.values.len() / self.columns;
        let bar_ticks = Axis::fit(Scale::Linear, [low, high].into_iter(), 0.0, (1.0, 0.0)).ticks(5);
        let bar_labels = bar_ticks
            .iter()
            .map(|t| text_width(&t.label, TICK))
            .fold(20.0, f64::max);
        let (left, top) = (34.0, 30.0);
        let (right, bottom) = (10.0 + 14.0 + 8.0 + bar_labels + 8.0, 26.0);
        let side = (frame.width - left - right)
            .min(frame.height - top - bottom)
            .max(20.0);
        // Centred in its frame, with its colour bar.
        let spare = (frame.width - left - right - side).max(0.0) / 2.0;
        let plot = Rect {
            x: frame.x + left + spare,
            y: frame.y + top,
            width: side,
            height: side,
        };
        if rows > 0 {
            let colors: Vec<[u8; 3]> = (0..rows)
                .rev()
                .flat_map(|r| &self.values[r * self.columns..(r + 1) * self.columns])
                .map(|v| self.map.rgb((v - low) / (high - low)))
                .collect();
            canvas.picture(Picture {
                rect: plot,
                pixels: colors,
                columns: self.columns,
                sharp: false,
            });
        }
        canvas.frame(plot, SOFT);

        let x_axis = Axis::fit(
            Scale::Linear,
            [self.x.0, self.x.1].into_iter(),
            0.0,
            (plot.x, plot.x + side),
        );
        for tick in x_axis.ticks(4) {
            let Some(x) = x_axis.pixel(tick.value) else {
                continue;
            };
            canvas.line((x, plot.y + side), (x, plot.y + side + 4.0), SOFT, 0.8);
            canvas.text(
                (x, plot.y + side + 16.0),
                Anchor::Middle,
                TICK,
                SOFT,
                &tick.label,
            );
        }
        let y_axis = Axis::fit(
            Scale::Linear,
            [self.y.0, self.y.1].into_iter(),
            0.0,
            (plot.y + side, plot.y),
        );
        for tick in y_axis.ticks(4) {
            let Some(y) = y_axis.pixel(tick.value) else {
                continue;
            };
            canvas.line((plot.x - 4.0, y), (plot.x, y), SOFT, 0.8);
            canvas.text(
                (plot.x - 7.0, y + TICK * 0.36),
                Anchor::End,
                TICK,
                SOFT,
                &tick.label,
            );
        }

        let bar = Rect {
            x: plot.x + side + 10.0,
            width: 14.0,
            ..plot
        };
        let steps: Vec<[u8; 3]> = (0..64)
            .rev()
            .map(|i| self.map.rgb(f64::from(i) / 63.0))
            .collect();
        canvas.picture(Picture {
            rect: bar,
            pixels: steps,
            columns: 1,
            sharp: false,
        });
        canvas.frame(bar, SOFT);
        let bar_axis = Axis::fit(
            Scale::Linear,
            [low, high].into_iter(),
            0.0,
            (bar.y + side, bar.y),
        );
        for tick in bar_ticks {
            let Some(y) = bar_axis.pixel(tick.value) else {
                continue;
            };
            let x = bar.x + bar.width;
            canvas.line((x, y), (x + 4.0, y), SOFT, 0.8);
            canvas.text(
                (x + 7.0, y + TICK * 0.36),
                Anchor::Start,
                TICK,
                SOFT,
                &tick.label,
            );
        }
        let at = (plot.x + side / 2.0, frame.y + 20.0);
        canvas.label(at, 13.0, side + left + right, &self.title);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_fields_are_drawn() {
        for values in [
            vec![],
            vec![1.0; 7],
            vec![f64::NAN; 6],
            vec![0.0, 1e300, -1e300, f64::INFINITY],
        ] {
            let svg = HeatMap::new("field", values, 2)
                .colors(ColorMap::Diverging)
                .svg();
            assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"));
        }
    }

    #[test]
    fn signed_fields_are_centred_on_zero() {
        let map = HeatMap::new("", vec![-0.5, 2.0], 2).colors(ColorMap::Diverging);
        assert_eq!(map.limits(), (-2.0, 2.0));
    }
}
