//! How the cost of a work grows with its batch and its width, as a figure.

use std::time::Duration;

use super::{BenchError, Work, measure};
use crate::device::Opened;
use crate::plot::{Figure, LineChart, Scale, Style};

/// One line: the works of one kind at growing sizes.
struct Line {
    name: &'static str,
    /// The size, and the name of the work.
    works: Vec<(usize, String)>,
}

fn line(name: &'static str, sizes: &[usize], work: impl Fn(usize) -> String) -> Line {
    Line {
        name,
        works: sizes.iter().map(|&size| (size, work(size))).collect(),
    }
}

fn by_batch() -> [Line; 3] {
    let few = [1, 2, 4, 8, 16, 32, 64, 128];
    let many = [16, 64, 256, 1024, 4096, 16_384];
    [
        line("CNN, forward", &few, |b| format!("cnn-forward-{b}")),
        line("LSTM of 96 steps", &few, |b| format!("lstm-96-128-{b}")),
        line("mixture, M = 64", &many, |b| format!("mixture-{b}-64-64-1")),
    ]
}

fn by_width() -> [Line; 3] {
    let widths = [16, 32, 64, 128, 256];
    [
        line("LSTM of 96 steps, batch 16", &widths, |w| {
            format!("lstm-96-{w}-16")
        }),
        line("mixture, R = 4, batch 1024", &widths, |w| {
            format!("mixture-1024-{w}-{w}-4")
        }),
        line("mixture, R = 1, batch 1024", &widths, |w| {
            format!("mixture-1024-{w}-{w}-1")
        }),
    ]
}

/// The number of works that [`scaling`] measures.
pub fn scaling_works() -> usize {
    let lines = by_batch().into_iter().chain(by_width());
    lines.map(|line| line.works.len()).sum()
}

/// The figure as SVG: milliseconds an example against the batch, and milliseconds a run against the width (of the
/// hidden values, or of features and components alike) on the device `opened`, medians of about `budget` each. Calls `done` after each work.
///
/// # Errors
/// When a work fails.
pub fn scaling(
    budget: Duration,
    opened: &Opened,
    mut done: impl FnMut(),
) -> Result<String, BenchError> {
    let mut chart = |chart: LineChart, lines: [Line; 3], an_example: bool| {
        let mut chart = chart.x_scale(Scale::Log).y_scale(Scale::Log);
        for Line { name, works } in lines {
            let mut points = Vec::new();
            for (size, work) in works {
                let work: Work = work.parse()?;
                let share = if an_example { size as f64 } else { 1.0 };
                let milliseconds = measure(&work, budget, opened)?.milliseconds;
                points.push((size as f64, milliseconds / share));
                done();
            }
            chart = chart.series(name, points, Style::LineAndDots);
        }
        Ok::<_, BenchError>(chart)
    };
    let batch = LineChart::new("Cost against batch size")
        .x_label("examples in a batch")
        .y_label("milliseconds an example");
    let width = LineChart::new("Cost against width")
        .x_label("width")
        .y_label("milliseconds a run");
    let (batch, width) = (
        chart(batch, by_batch(), true)?,
        chart(width, by_width(), false)?,
    );
    let place = match opened.device.is_cpu() {
        true => format!("{} threads", rayon::current_num_threads()),
        false => opened.name.clone(),
    };
    Ok(Figure::new(format!("Medians on {place}"), 2)
        .panel_size(420.0, 320.0)
        .panel(batch)
        .panel(width)
        .svg())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_a_work() {
        for line in by_batch().into_iter().chain(by_width()) {
            assert!(line.works.windows(2).all(|pair| pair[0].0 < pair[1].0));
            for (size, work) in line.works {
                assert!(work.contains(&size.to_string()));
                work.parse::<Work>().expect("a work");
            }
        }
    }
}
