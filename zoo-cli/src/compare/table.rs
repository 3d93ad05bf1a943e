//! `table.md`.

use super::{Comparison, Results, Run, mean, paired, spread};
use crate::train::{Contrast, Measure};

/// A table for each problem: every model's mean and spread, and how the layer's model compares with it.
pub(super) fn render(plan: &dyn Comparison, results: &Results) -> String {
    let seeds = results.all().iter().map(|r| r.seed + 1).max().unwrap_or(0);
    let mut text = format!("# {}\n\n{}\n\n", plan.name(), plan.about());
    text += &format!(
        "Mean ± sample standard deviation over {seeds} seeds. The last column holds the model against the first row, \
         paired by seed, with a 95% confidence interval (Student's t): a ratio (of geometric means) for errors, a \
         difference otherwise.\n"
    );
    let cases = plan.cases();
    let mut problems: Vec<&str> = cases.iter().map(|c| c.problem.as_str()).collect();
    problems.dedup();
    for problem in problems {
        text += &format!("\n## {problem}\n\n| model | parameters | step, ms |");
        for measure in plan.measures() {
            text += &format!(" {} |", measure.name.replace('_', " "));
        }
        text += &format!(" {} against the layer |\n|---|---:|---:|", first_name(plan));
        text += &"---:|".repeat(plan.measures().len() + 1);
        text.push('\n');
        let mut layer: Option<Vec<&Run>> = None;
        for case in cases.iter().filter(|c| c.problem == problem) {
            let runs = results.of(case);
            // Runs of networks that choose their shape differ by a few.
            let Some(parameters) = runs.iter().map(|r| r.outcome.parameters).max() else {
                text += &format!(
                    "| {} | | |{}\n",
                    case.model,
                    " |".repeat(plan.measures().len() + 1)
                );
                layer.get_or_insert_default();
                continue;
            };
            let steps = runs.iter().map(|r| r.outcome.step_ms);
            let steps: Vec<f64> = steps.filter(|ms| ms.is_finite()).collect();
            text += &format!("| {} | {} | {:.2} |", case.model, parameters, mean(&steps));
            for (m, measure) in plan.measures().iter().enumerate() {
                let values: Vec<f64> = runs.iter().map(|r| r.outcome.values[m]).collect();
                text += &format!(" {} |", plus_minus(measure, mean(&values), spread(&values)));
            }
            let against = layer.as_ref().map_or_else(String::new, |layer| {
                plan.measures()
                    .first()
                    .map_or_else(String::new, |m| contrast(m, layer, &runs))
            });
            text += &format!(" {against} |\n");
            layer.get_or_insert(runs);
        }
    }
    text
}

fn first_name(plan: &dyn Comparison) -> String {
    plan.measures()
        .first()
        .map_or_else(String::new, |m| m.name.replace('_', " "))
}

fn plus_minus(measure: &Measure, mean: f64, spread: f64) -> String {
    match measure.contrast {
        Contrast::Ratio => format!("{mean:.2e} ± {spread:.1e}"),
        Contrast::Difference => format!("{mean:.4} ± {spread:.4}"),
    }
}

/// The model against the layer over the seeds that both have.
fn contrast(measure: &Measure, layer: &[&Run], runs: &[&Run]) -> String {
    let pairs = runs.iter().filter_map(|run| {
        let ours = layer.iter().find(|l| l.seed == run.seed)?;
        Some((run.outcome.values[0], ours.outcome.values[0]))
    });
    let differences: Vec<f64> = pairs
        .map(|(theirs, ours)| match measure.contrast {
            Contrast::Difference => theirs - ours,
            Contrast::Ratio => (theirs / ours).ln(),
        })
        .collect();
    match (paired(&differences), measure.contrast) {
        (None, _) => String::new(),
        (Some(i), Contrast::Difference) => {
            format!("{:+.4} [{:+.4}, {:+.4}]", i.mean, i.low, i.high)
        }
        (Some(i), Contrast::Ratio) => {
            let [mean, low, high] = [i.mean, i.low, i.high].map(|v| factor(v.exp()));
            format!("{mean}× [{low}, {high}]")
        }
    }
}

/// A ratio with as many digits as it deserves.
fn factor(value: f64) -> String {
    match value {
        v if !(1e-2..1e4).contains(&v) => format!("{v:.1e}"),
        v if v >= 100.0 => format!("{v:.0}"),
        v if v >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}
