//! The report on a classifier of images.

use std::fmt::Write;

use super::super::thousands;
use super::page::Page;
use super::{ReportFile, percent};
use crate::evaluation::{Bin, Calibration, ClassFindings, Mistake};
use crate::plot::{Bars, Figure, Gallery, LineChart, Matrix, Style, Thumbnail};
use crate::train::metrics::csv_field;

/// Classes that are drawn as bars; of more only the worst.
const DRAWN: usize = 30;
/// Pairs of classes that are listed.
const PAIRS: usize = 12;
/// Classes whose probabilities all stand in a table; of more only those of the first guesses.
const ALL_PROBABILITIES: usize = 20;
const FIRST_GUESSES: usize = 5;
/// The width of a drawing on a phone.
const WIDTH: f64 = 340.0;
/// Groups of pictures side by side in a file.
const COLUMNS: usize = 4;

/// Writes what was found into `page`, and gives the files beside it.
pub(super) fn report(page: &mut Page, found: &ClassFindings) -> Vec<ReportFile> {
    let mut files = vec![("predictions.csv", predictions(found).into_bytes())];
    let figures = &found.figures;
    let mut shown = vec![
        ("accuracy".to_string(), percent(figures.accuracy)),
        (
            "balanced accuracy".into(),
            percent(figures.balanced_accuracy),
        ),
        (
            "macro F1".into(),
            format!("{:.4}", figures.macro_average.f1),
        ),
    ];
    if let Some(top) = figures.top_k.last() {
        shown.push((format!("top-{} accuracy", top.k), percent(top.accuracy)));
    }
    shown.extend([
        (
            "log loss".into(),
            format!("{:.4}", figures.calibration.log_loss),
        ),
        (
            "Brier score".into(),
            format!("{:.4}", figures.calibration.brier),
        ),
        ("calibration error".into(), percent(figures.calibration.ece)),
    ]);
    page.figures(&shown);
    page.heading("Which classes are taken for which");
    confusion(page, found, &mut files);
    page.heading("Each class");
    classes(page, found, &mut files);
    page.heading("How far probabilities can be trusted");
    calibration(page, found, &mut files);
    page.heading("The worst mistakes");
    mistakes(page, found, &mut files);
    files
}

/// A drawing as its two files.
fn drawn(files: &mut Vec<ReportFile>, names: [&'static str; 2], (svg, png): (&str, Vec<u8>)) {
    files.push((names[0], svg.as_bytes().to_vec()));
    files.push((names[1], png));
}

fn confusion(page: &mut Page, found: &ClassFindings, files: &mut Vec<ReportFile>) {
    let figures = &found.figures;
    let names: Vec<String> = figures.classes.iter().map(|c| c.name.clone()).collect();
    let pairs = figures.confused(PAIRS);
    let matrix = Matrix::new("confusion matrix", names, figures.confusion.clone()).figure();
    let svg = matrix.svg();
    page.side_by_side(|page| {
        page.drawing(
            &svg,
            "confusion matrix: a row for each class, a column for each prediction",
        );
        if pairs.is_empty() {
            page.paragraph("No class was taken for another.");
            return;
        }
        let name = |class: usize| figures.classes[class].name.clone();
        page.table(
            "most often",
            &["class", "taken for", "times", "of its images"],
            &[1],
            pairs.iter().map(|pair| {
                let of = figures.classes[pair.label].examples;
                vec![
                    name(pair.label),
                    name(pair.predicted),
                    thousands(pair.examples),
                    percent(pair.examples as f64 / of as f64),
                ]
            }),
        );
    });
    drawn(
        files,
        ["confusion.svg", "confusion.png"],
        (&svg, matrix.png()),
    );
}

fn classes(page: &mut Page, found: &ClassFindings, files: &mut Vec<ReportFile>) {
    let figures = &found.figures;
    let mut order: Vec<usize> = (0..figures.classes.len()).collect();
    let title = match order.len() > DRAWN {
        true => {
            // Classes that nothing is known of are not the worst.
            order.retain(|&c| figures.classes[c].examples > 0);
            order.sort_by(|&a, &b| figures.classes[a].f1.total_cmp(&figures.classes[b].f1));
            order.truncate(DRAWN);
            format!("F1 of the {DRAWN} worst classes")
        }
        false => "F1 of each class".to_string(),
    };
    let bars = order.iter().fold(Bars::new(title).up_to(1.0), |bars, &c| {
        let class = &figures.classes[c];
        bars.bar(&class.name, class.f1, format!("{:.3}", class.f1))
    });
    let bars = bars.figure(WIDTH);
    let svg = bars.svg();
    page.side_by_side(|page| {
        page.drawing(
            &svg,
            "F1 of classes as bars; the table has the same figures",
        );
        let row = |name: &str, count: String, [precision, recall, f1]: [f64; 3]| {
            let digits = |value: f64| format!("{value:.4}");
            vec![
                name.to_string(),
                count,
                digits(precision),
                digits(recall),
                digits(f1),
            ]
        };
        let classes = figures.classes.iter().map(|class| {
            let values = [class.precision, class.recall, class.f1];
            row(&class.name, thousands(class.examples), values)
        });
        let averages = [
            ("macro mean", figures.macro_average),
            ("weighted mean", figures.weighted_average),
        ];
        let averages = averages.map(|(name, mean)| {
            row(
                name,
                thousands(figures.examples),
                [mean.precision, mean.recall, mean.f1],
            )
        });
        page.table(
            "",
            &["class", "images", "precision", "recall", "F1"],
            &[],
            classes.chain(averages),
        );
    });
    page.note(
        "Precision: of the images that were taken for the class, the part that is of it. Recall: of its images, the \
         part that was found. F1: their harmonic mean. A class without images, or that nothing was taken for, has 0. \
         Macro means count each class alike, weighted means each image. Balanced accuracy is the mean recall of the classes that have images.",
    );
    drawn(files, ["classes.svg", "classes.png"], (&svg, bars.png()));
}

fn calibration(page: &mut Page, found: &ClassFindings, files: &mut Vec<ReportFile>) {
    let plain = &found.figures.calibration;
    let mut kinds = vec![("as it is".to_string(), plain)];
    if let Ok(tempered) = &found.temperature {
        let calibration = &tempered.calibration;
        kinds.push((
            format!("temperature {:.3}", calibration.temperature),
            calibration,
        ));
    }
    let (curve, counts) = reliability(&kinds);
    let figure = |columns| Figure::new("", columns).panel_size(WIDTH, 330.0);
    page.side_by_side(|page| {
        page.drawing(
            &figure(1).panel(curve.clone()).svg(),
            "reliability curve: the accuracy of labels by their probability",
        );
        page.drawing(
            &figure(1).panel(counts.clone()).svg(),
            "how many labels have which probability",
        );
    });
    page.table(
        "",
        &[
            "probabilities",
            "log loss",
            "Brier score",
            "calibration error (ECE)",
        ],
        &[],
        kinds.iter().map(|(name, c)| {
            vec![
                name.clone(),
                format!("{:.4}", c.log_loss),
                format!("{:.4}", c.brier),
                percent(c.ece),
            ]
        }),
    );
    page.paragraph(&match &found.temperature {
        Ok(tempered) => format!(
            "The temperature divides the logits. It was fitted to {} held-out images that are not of the test part. \
             `zoo eval` with `--calibrate` keeps it with the model, `zoo infer --calibrated` uses it.",
            thousands(tempered.examples)
        ),
        Err(reason) => format!("No temperature was fitted: {reason}."),
    });
    page.note(
        "Log loss: the mean negative logarithm of the probability of the right class. Brier score: the squared \
         difference between probabilities and truth, summed over the classes (0 to 2). Calibration error: how far the \
         probability of the label and its accuracy are apart, the mean over 15 bins of equal width, each counting as \
         many times as it has images.",
    );
    let both = figure(2).panel(curve).panel(counts);
    drawn(
        files,
        ["reliability.svg", "reliability.png"],
        (&both.svg(), both.png()),
    );
}

/// The reliability curves and the numbers of labels in each bin.
fn reliability(kinds: &[(String, &Calibration)]) -> (LineChart, Bars) {
    let mut curve = LineChart::new("reliability")
        .x_label("probability of the label")
        .y_label("accuracy");
    for (name, calibration) in kinds {
        let filled = calibration.reliability.iter();
        let points = filled.filter_map(|bin| Some((bin.confidence?, bin.accuracy?)));
        curve = curve.series(name, points.collect(), Style::LineAndDots);
    }
    curve = curve.series("ideal", vec![(0.0, 0.0), (1.0, 1.0)], Style::Dashed);
    let bins = kinds.first().map_or(&[][..], |(_, c)| &c.reliability);
    // No label is less probable than one of as many classes as there are.
    let first = bins.iter().position(|bin| bin.examples > 0).unwrap_or(0);
    let bar = |bars: Bars, bin: &Bin| {
        let name = format!("{:.2} to {:.2}", bin.low, bin.high);
        bars.bar(name, bin.examples as f64, thousands(bin.examples))
    };
    let counts = bins[first..]
        .iter()
        .fold(Bars::new("images by probability"), bar);
    (curve, counts)
}

fn mistakes(page: &mut Page, found: &ClassFindings, files: &mut Vec<ReportFile>) {
    if found.mistakes.is_empty() {
        page.paragraph("There are none: every image has its right label.");
        return;
    }
    page.paragraph(
        "The wrong labels that the network is surest of. Beside each image, the same in grey under a veil that is \
         bright where the network looked for its label, and dark where it did not (Grad-CAM at the last stage of \
         convolutions). Numbers are those of predictions.csv.",
    );
    let (_, width, channels) = found.shape;
    let mut gallery = Gallery::new("the surest of the wrong labels", COLUMNS);
    let each: Vec<_> = found
        .mistakes
        .iter()
        .map(|mistake| {
            let picture = Thumbnail::new(&mistake.image, width, channels);
            let heat = picture.under_heat(&mistake.heat);
            let words = words(found, mistake);
            gallery.group(vec![picture.clone(), heat.clone()], words.clone());
            let pictures = vec![
                (picture.data_uri(), "the image"),
                (heat.data_uri(), "where the network looked"),
            ];
            (pictures, words)
        })
        .collect();
    page.gallery(each);
    drawn(
        files,
        ["mistakes.svg", "mistakes.png"],
        (&gallery.svg(), gallery.png()),
    );
}

fn words(found: &ClassFindings, mistake: &Mistake) -> Vec<String> {
    let name = |class: usize| &found.figures.classes[class].name;
    vec![
        format!("{} {:.3}", name(mistake.predicted), mistake.probability),
        format!("is {}", name(mistake.label)),
        format!("number {}", mistake.index),
    ]
}

/// A probability with all its digits, short where it is small.
fn digits(probability: f64) -> String {
    match probability < 1e-4 {
        true => format!("{probability:e}"),
        false => probability.to_string(),
    }
}

/// What the network said of each image as CSV.
fn predictions(found: &ClassFindings) -> String {
    let (predictions, names) = (&found.predictions, &found.figures.classes);
    let all = names.len() <= ALL_PROBABILITIES;
    let guesses = FIRST_GUESSES.min(names.len());
    let mut text = String::from("index,label,predicted,probability");
    match all {
        true => names
            .iter()
            .for_each(|class| text += &format!(",{}", csv_field(&format!("p:{}", class.name)))),
        false => (1..=guesses).for_each(|k| text += &format!(",guess_{k},probability_{k}")),
    }
    text.push('\n');
    for i in 0..predictions.len() {
        let probabilities = predictions.probabilities(i, 1.0);
        let name = |class: usize| csv_field(&names[class].name);
        let predicted = predictions.predicted(i);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "{i},{},{},{}",
            name(predictions.label(i)),
            name(predicted),
            digits(probabilities[predicted])
        );
        match all {
            true => probabilities
                .iter()
                .for_each(|p| text += &format!(",{}", digits(*p))),
            false => predictions
                .ranked(i, guesses)
                .into_iter()
                .for_each(|class| {
                    text += &format!(",{},{}", name(class), digits(probabilities[class]));
                }),
        }
        text.push('\n');
    }
    text
}
