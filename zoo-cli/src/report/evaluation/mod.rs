//! How good a trained model is: a page to read, its pictures, and the predictions behind it.

mod classes;
mod page;

use serde_json::{Value, json};

use self::page::Page;
use crate::data::public_name;
use crate::evaluation::Findings;
use crate::train::session::Summary;

/// The page, which is written last: where it is, everything is.
pub const PAGE: &str = "report.html";

/// The names of all files that a report may have.
pub const REPORT_FILES: &[&str] = &[
    PAGE,
    "predictions.csv",
    "confusion.svg",
    "confusion.png",
    "classes.svg",
    "classes.png",
    "reliability.svg",
    "reliability.png",
    "mistakes.svg",
    "mistakes.png",
];

/// A file of a report: its name and its bytes.
pub type ReportFile = (&'static str, Vec<u8>);

/// What a report says besides what was found.
#[derive(Debug, Clone)]
pub struct Setting<'a> {
    /// What was evaluated, and its measures.
    pub summary: &'a Summary,
    /// Where it was computed.
    pub device: &'a str,
    /// How images were augmented, where they were.
    pub augmented: Option<&'a str>,
    /// What the reader must know of the data, a sentence each.
    pub warnings: Vec<String>,
}

/// The figures behind a report as JSON; nothing where there are none besides the measures.
pub fn figures(findings: &Findings) -> Option<Value> {
    match findings {
        Findings::None => None,
        Findings::Classes(found) => {
            let mut figures = json!(found.figures);
            figures["temperature"] = match &found.temperature {
                Ok(tempered) => json!(tempered),
                Err(reason) => json!({"missing": reason}),
            };
            Some(figures)
        }
    }
}

/// The files of the report, the page last; none where there is nothing to report besides the measures.
pub fn report(setting: &Setting<'_>, findings: &Findings) -> Vec<ReportFile> {
    let Summary {
        model,
        data,
        examples,
        unit,
        ..
    } = setting.summary;
    // Others may read it, to whom the paths of this machine mean nothing.
    let mut page = Page::new(&format!("{model} on {}", public_name(data)));
    for warning in &setting.warnings {
        page.warning(warning);
    }
    let mut lead = format!("The test part: {} {unit}.", super::thousands(*examples));
    if let Some(augmented) = setting.augmented {
        lead += &format!(" {augmented}");
    }
    page.paragraph(&lead);
    let mut files = match findings {
        Findings::None => return Vec::new(),
        Findings::Classes(found) => classes::report(&mut page, found),
    };
    let foot = format!(
        "{} parameters, measured in {:.1} s on {}. Written by zoo {}.",
        super::thousands(setting.summary.parameters),
        setting.summary.seconds,
        setting.device,
        env!("CARGO_PKG_VERSION")
    );
    files.push((PAGE, page.finish(&foot).into_bytes()));
    files
}

/// A part in percent.
fn percent(part: f64) -> String {
    format!("{:.2} %", part * 100.0)
}
