//! Learning curves, for families that are trained in epochs.

use crate::plot::{Figure, LineChart};
use crate::train::metrics::Row;
use crate::train::{Better, Measure};

/// The measures of every part that was measured, epoch by epoch, as SVG.
pub(super) fn svg(title: &str, measures: &[Measure], rows: &[Row]) -> String {
    let mut figure = Figure::new(title, measures.len());
    for (i, measure) in measures.iter().enumerate() {
        let line = |values: fn(&Row) -> Option<&Vec<f64>>| -> Vec<(f64, f64)> {
            rows.iter()
                .filter_map(|row| Some((row.epoch as f64, *values(row)?.get(i)?)))
                .collect()
        };
        let arrow = match measure.better {
            Better::Higher => "higher is better",
            Better::Lower => "lower is better",
        };
        let mut chart = LineChart::new(format!("{} ({arrow})", measure.name))
            .x_label("epoch")
            .y_label(measure.name)
            .line("training", line(|row| Some(&row.train)));
        for (name, points) in [
            ("validation", line(|row| row.validation.as_ref())),
            ("test", line(|row| row.test.as_ref())),
        ] {
            if !points.is_empty() {
                chart = chart.line(name, points);
            }
        }
        figure = figure.panel(chart);
    }
    figure.svg()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{Contrast, Digits};

    #[test]
    fn curves_show_every_part_that_was_measured() {
        let row = |epoch: usize| Row {
            epoch,
            step: 10 * epoch as u64,
            learning_rate: 0.5,
            train: vec![1.25],
            validation: None,
            test: (epoch == 2).then(|| vec![1.0]),
        };
        let measures = [Measure::lower(
            "loss",
            Contrast::Difference,
            Digits::Fixed(4),
        )];
        let svg = svg("m", &measures, &[row(1), row(2)]);
        assert!(svg.contains("training") && svg.contains("test") && !svg.contains("validation"));
    }
}
