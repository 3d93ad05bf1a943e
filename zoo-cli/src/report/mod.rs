//! The only place that prints: results on stdout, progress and logs on stderr.

mod evaluation;
mod inspect;
mod memory;
mod printer;
mod progress;
mod summary;
mod table;
mod training;
mod transfer;

pub use evaluation::{PAGE, REPORT_FILES, ReportFile, Setting, figures, report};
pub use inspect::{images_found, series_found};
pub use memory::peak_memory_mib;
pub use printer::Printer;
pub use progress::Progress;
pub use summary::{summary, summary_with};
pub use table::{Table, thousands};
pub use training::TrainingReport;
pub use transfer::Transfer;
