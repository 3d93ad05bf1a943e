//! What a run writes for people: its table, its curves and its picture.

use crate::field::{Fit, Problem, Row, midpoints};
use crate::plot::{ColorMap, Figure, HeatMap, LineChart, Scale};

/// Cells along a side of a picture.
const SIDE: usize = 100;

fn measure_of(rows: &[Row], name: &str) -> Vec<(f64, f64)> {
    let value = |row: &Row| {
        row.measures
            .iter()
            .find(|(n, _)| *n == name)
            .map(|(_, v)| *v)
    };
    rows.iter()
        .filter_map(|row| Some((row.iteration as f64, value(row)?)))
        .collect()
}

/// What a measure is called on the axis of a chart.
pub(super) fn label(measure: &str) -> String {
    match measure {
        "test_rmse" => "test RMSE".into(),
        "train_rmse" => "training RMSE".into(),
        "squared_l2" => "squared L2 error".into(),
        "boundary_mse" => "boundary MSE".into(),
        "residual_mse" => "residual MSE".into(),
        other => other.replace('_', " "),
    }
}

/// The moments of the training as CSV.
pub(super) fn csv(problem: &Problem, fit: &Fit) -> String {
    let mut text = String::from("iteration,stage,loss");
    for name in problem.measure_names() {
        text += &format!(",{name}");
    }
    text.push('\n');
    for row in &fit.history {
        text += &format!("{},{},{:e}", row.iteration, row.stage, row.loss);
        for (_, value) in &row.measures {
            text += &format!(",{value:e}");
        }
        text.push('\n');
    }
    text
}

/// The measures over the iterations, on a logarithmic axis.
pub(super) fn curves(title: &str, problem: &Problem, fit: &Fit) -> LineChart {
    let mut chart = LineChart::new(title)
        .x_label("iteration")
        .y_label("error")
        .y_scale(Scale::Log);
    for name in problem.measure_names() {
        chart = chart.line(label(name), measure_of(&fit.history, name));
    }
    chart
}

/// The truth, the network's values, their difference, and the errors over the iterations.
pub(super) fn picture(title: &str, problem: &Problem, fit: &Fit) -> Figure {
    let network = fit.config.jets();
    let points = midpoints(SIDE);
    let truth: Vec<f64> = points.iter().map(|p| problem.exact(*p)).collect();
    let values: Vec<f64> = points
        .iter()
        .map(|p| network.value(&fit.parameters, *p))
        .collect();
    let error = values.iter().zip(&truth).map(|(v, t)| v - t).collect();
    let finite = truth.iter().filter(|v| v.is_finite());
    let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
        (l.min(*v), h.max(*v))
    });
    let (exact, found) = match problem {
        Problem::Surface(_) => ("surface", "fit"),
        Problem::Equation(_) => ("exact solution", "solution"),
    };
    Figure::new(title, 2)
        .panel_size(380.0, 300.0)
        .panel(HeatMap::new(exact, truth, SIDE).range(low, high))
        .panel(HeatMap::new(found, values, SIDE).range(low, high))
        .panel(HeatMap::new("error", error, SIDE).colors(ColorMap::Diverging))
        .panel(curves("errors in training", problem, fit))
}
