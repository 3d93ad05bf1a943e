//! Lines, marks and bands over two axes.

use super::axis::{Axis, Scale};
use super::canvas::{Anchor, Canvas, Color, FAINT, INK, Rect, SOFT, fitted, text_width};
use super::color;
use super::figure::{Panel, sealed::Draw};

/// How a series is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Style {
    /// A line through the points.
    #[default]
    Line,
    /// A broken line, for references.
    Dashed,
    /// A dot at each point.
    Dots,
    /// A line with a dot at each point.
    LineAndDots,
}

#[derive(Debug, Clone)]
struct Series {
    name: String,
    points: Vec<(f64, f64)>,
    /// (x, low, high)
    band: Vec<(f64, f64, f64)>,
    style: Style,
}

/// A chart of one or more series.
#[derive(Debug, Clone, Default)]
pub struct LineChart {
    title: String,
    x_label: String,
    y_label: String,
    x_scale: Scale,
    y_scale: Scale,
    series: Vec<Series>,
}

/// More points than pixels only cost bytes: longer series keep the lowest and highest of each stretch.
const MOST_POINTS: usize = 1600;

impl LineChart {
    /// A chart without series.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            ..Self::default()
        }
    }

    /// What the horizontal axis shows, with its unit.
    #[must_use]
    pub fn x_label(mut self, label: impl Into<String>) -> Self {
        self.x_label = label.into();
        self
    }

    /// What the vertical axis shows, with its unit.
    #[must_use]
    pub fn y_label(mut self, label: impl Into<String>) -> Self {
        self.y_label = label.into();
        self
    }

    /// The scale of the horizontal axis.
    #[must_use]
    pub fn x_scale(mut self, scale: Scale) -> Self {
        self.x_scale = scale;
        self
    }

    /// The scale of the vertical axis.
    #[must_use]
    pub fn y_scale(mut self, scale: Scale) -> Self {
        self.y_scale = scale;
        self
    }

    /// Adds a line through `points`, in their order.
    #[must_use]
    pub fn line(self, name: impl Into<String>, points: Vec<(f64, f64)>) -> Self {
        self.series(name, points, Style::Line)
    }

    /// Adds a series drawn in `style`. A series without a name is not in the legend.
    #[must_use]
    pub fn series(
        mut self,
        name: impl Into<String>,
        points: Vec<(f64, f64)>,
        style: Style,
    ) -> Self {
        self.series.push(Series {
            name: name.into(),
            points,
            band: Vec::new(),
            style,
        });
        self
    }

    /// Shades the range (x, low, high) around the series that was added last.
    #[must_use]
    pub fn band(mut self, band: Vec<(f64, f64, f64)>) -> Self {
        if let Some(last) = self.series.last_mut() {
            last.band = band;
        }
        self
    }

    /// The chart as an SVG document of 720 by 420 pixels.
    pub fn svg(&self) -> String {
        let mut canvas = Canvas::new(720.0, 420.0);
        let frame = Rect {
            x: 8.0,
            y: 8.0,
            width: 704.0,
            height: 404.0,
        };
        self.draw(&mut canvas, frame);
        canvas.svg()
    }

    /// The legend's entries with their places, row by row, and the number of rows.
    fn legend(&self, left: f64, width: f64) -> (Vec<Key>, usize) {
        let named: Vec<usize> = (0..self.series.len())
            .filter(|i| !self.series[*i].name.is_empty())
            .collect();
        if named.len() < 2 {
            return (Vec::new(), 0);
        }
        let (mut x, mut row, mut placed) = (left, 0, Vec::new());
        for i in named {
            let room = width - KEY;
            let (name, size) = fitted(&self.series[i].name, LEGEND, room);
            let needs = KEY + text_width(&name, size) + 14.0;
            if x > left && x + needs > left + width {
                (x, row) = (left, row + 1);
            }
            placed.push(Key {
                series: i,
                x,
                row,
                name,
                size,
            });
            x += needs;
        }
        (placed, row + 1)
    }
}

/// An entry of the legend: its place, and the name as it fits.
struct Key {
    series: usize,
    x: f64,
    row: usize,
    name: String,
    size: f64,
}

/// The width of a line of the legend with the room beside it.
const KEY: f64 = 26.0;
const TITLE: f64 = 14.0;
const LEGEND: f64 = 11.5;
const LABEL: f64 = 12.0;
const TICK: f64 = 11.0;

impl Panel for LineChart {}

impl Draw for LineChart {
    #[expect(
        private_interfaces,
        reason = "a sealed trait: nobody outside can call it"
    )]
    fn draw(&self, canvas: &mut Canvas, frame: Rect) {
        let right = frame.x + frame.width - 14.0;
        let bottom =
            frame.y + frame.height - 24.0 - if self.x_label.is_empty() { 0.0 } else { 18.0 };
        let mut top = frame.y + 10.0;
        if !self.title.is_empty() {
            top += 20.0;
        }
        let label_room = if self.y_label.is_empty() { 6.0 } else { 22.0 };

        let values = |of: fn(&(f64, f64)) -> f64| {
            self.series
                .iter()
                .flat_map(move |s| s.points.iter().map(of))
        };
        let bands = self.series.iter().flat_map(|s| &s.band);
        let y_values = values(|p| p.1).chain(bands.flat_map(|b| [b.1, b.2]));
        let y_values: Vec<f64> = y_values.collect();
        let most_rows = ((bottom - top) / 38.0).clamp(2.0, 9.0) as usize;
        // The labels' width decides where the axis stands; the ticks do not depend on pixels.
        let y_ticks =
            Axis::fit(self.y_scale, y_values.iter().copied(), 0.05, (1.0, 0.0)).ticks(most_rows);
        let widest = y_ticks
            .iter()
            .map(|t| text_width(&t.label, TICK))
            .fold(14.0, f64::max);
        let left = frame.x + label_room + widest + 8.0;

        let (legend, rows) = self.legend(left, right - left);
        top += 17.0 * rows as f64;
        let plot = Rect {
            x: left,
            y: top,
            width: (right - left).max(10.0),
            height: (bottom - top).max(10.0),
        };
        let x_axis = Axis::fit(
            self.x_scale,
            values(|p| p.0),
            0.0,
            (plot.x, plot.x + plot.width),
        );
        let y_axis = Axis::fit(
            self.y_scale,
            y_values.iter().copied(),
            0.05,
            (plot.y + plot.height, plot.y),
        );

        for tick in &y_ticks {
            let Some(y) = y_axis.pixel(tick.value) else {
                continue;
            };
            if tick.label.is_empty() {
                canvas.line((plot.x - 3.0, y), (plot.x, y), SOFT, 0.8);
            } else {
                canvas.line((plot.x, y), (plot.x + plot.width, y), FAINT, 1.0);
                canvas.text(
                    (plot.x - 7.0, y + TICK * 0.36),
                    Anchor::End,
                    TICK,
                    SOFT,
                    &tick.label,
                );
            }
        }
        let most_columns = (plot.width / 62.0).clamp(2.0, 10.0) as usize;
        for tick in x_axis.ticks(most_columns) {
            let Some(x) = x_axis.pixel(tick.value) else {
                continue;
            };
            let length = if tick.label.is_empty() { 3.0 } else { 5.0 };
            canvas.line((x, bottom), (x, bottom + length), SOFT, 0.8);
            canvas.text((x, bottom + 17.0), Anchor::Middle, TICK, SOFT, &tick.label);
        }
        canvas.clipped(plot, |canvas| {
            for (i, series) in self.series.iter().enumerate() {
                series.draw(canvas, color::series(i), &x_axis, &y_axis);
            }
        });
        canvas.line((plot.x, plot.y), (plot.x, bottom), SOFT, 1.0);
        canvas.line((plot.x, bottom), (plot.x + plot.width, bottom), SOFT, 1.0);

        let middle = plot.x + plot.width / 2.0;
        canvas.title((middle, frame.y + 18.0), TITLE, plot.width, &self.title);
        canvas.label((middle, bottom + 36.0), LABEL, plot.width, &self.x_label);
        canvas.upright_label(
            (frame.x + 14.0, plot.y + plot.height / 2.0),
            LABEL,
            plot.height,
            &self.y_label,
        );
        let first_row = plot.y - 17.0 * rows as f64;
        for Key {
            series,
            x,
            row,
            name,
            size,
        } in legend
        {
            let y = first_row + 17.0 * row as f64;
            let (color, line) = (color::series(series), [(x, y), (x + 20.0, y)]);
            match self.series[series].style {
                Style::Dots => canvas.dot((x + 10.0, y), color),
                style => canvas.path(&[line.to_vec()], color, style == Style::Dashed),
            }
            let at = (x + KEY, y + LEGEND * 0.36);
            canvas.text(at, Anchor::Start, size, INK, &name);
        }
    }
}

impl Series {
    fn draw(&self, canvas: &mut Canvas, color: Color, x_axis: &Axis, y_axis: &Axis) {
        let at = |x: f64, y: f64| Some((x_axis.pixel(x)?, y_axis.pixel(y)?));
        let step = self.band.len().div_ceil(MOST_POINTS / 4).max(1);
        let band: Vec<_> = self.band.iter().step_by(step).collect();
        let low = band.iter().filter_map(|b| at(b.0, b.1));
        let high = band.iter().rev().filter_map(|b| at(b.0, b.2));
        let outline: Vec<(f64, f64)> = low.chain(high).collect();
        if outline.len() > 2 {
            canvas.area(outline, color);
        }
        let pixels: Vec<Option<(f64, f64)>> = self.points.iter().map(|p| at(p.0, p.1)).collect();
        if self.style != Style::Dots {
            let runs: Vec<Vec<(f64, f64)>> = pixels
                .split(Option::is_none)
                .map(|run| thin(&run.iter().flatten().copied().collect::<Vec<_>>()))
                .collect();
            canvas.path(&runs, color, self.style == Style::Dashed);
            // A point between two gaps would not be seen as a line.
            for run in runs.iter().filter(|r| r.len() == 1) {
                canvas.dot(run[0], color);
            }
        }
        if matches!(self.style, Style::Dots | Style::LineAndDots) {
            for p in pixels.iter().flatten() {
                canvas.dot(*p, color);
            }
        }
    }
}

/// At most about [`MOST_POINTS`] of `points`: of each stretch its lowest and its highest, in their order.
fn thin(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= MOST_POINTS {
        return points.to_vec();
    }
    let mut out = Vec::with_capacity(MOST_POINTS + 2);
    for stretch in points.chunks(points.len().div_ceil(MOST_POINTS / 2)) {
        let by_height = |a: &&(f64, f64), b: &&(f64, f64)| a.1.total_cmp(&b.1);
        let (Some(low), Some(high)) = (
            stretch.iter().min_by(by_height),
            stretch.iter().max_by(by_height),
        ) else {
            continue;
        };
        let (first, second) = if low.0 <= high.0 {
            (low, high)
        } else {
            (high, low)
        };
        out.push(*first);
        if first != second {
            out.push(*second);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_break_the_line_and_no_number_is_nan() {
        let svg = LineChart::new("t")
            .y_scale(Scale::Log)
            .line(
                "a",
                vec![
                    (0.0, 1.0),
                    (1.0, f64::NAN),
                    (2.0, 0.1),
                    (3.0, 0.2),
                    (4.0, 0.0),
                ],
            )
            .line("b", vec![(0.0, f64::INFINITY)])
            .svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert_eq!(
            svg.matches("stroke-linejoin").count(),
            3,
            "one line and two keys"
        );
        let path = svg.lines().find(|l| l.starts_with("<path")).unwrap_or("");
        assert_eq!(path.matches('M').count(), 2, "{path}");
    }

    #[test]
    fn long_series_keep_their_extremes() {
        let points: Vec<(f64, f64)> = (0..100_000)
            .map(|i| {
                (
                    f64::from(i),
                    if i == 31_415 {
                        9.0
                    } else {
                        (f64::from(i) * 0.01).sin()
                    },
                )
            })
            .collect();
        let thinned = thin(&points);
        assert!(thinned.len() <= MOST_POINTS + 2);
        assert!(thinned.contains(&(31_415.0, 9.0)));
        assert!(thinned.windows(2).all(|w| w[0].0 < w[1].0));
    }

    #[test]
    fn empty_charts_are_drawn() {
        assert!(LineChart::new("nothing").svg().ends_with("</svg>\n"));
    }

    #[test]
    fn the_same_data_gives_the_same_bytes() {
        let chart = || {
            LineChart::new("t")
                .line("a", vec![(0.0, 1.0), (1.0, 2.0)])
                .svg()
        };
        assert_eq!(chart(), chart());
    }
}
