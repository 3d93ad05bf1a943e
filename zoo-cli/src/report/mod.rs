//! The only place that prints: results on stdout, progress and logs on stderr.

pub mod plot;

mod printer;
mod progress;
mod table;

pub use printer::Printer;
pub use progress::Progress;
pub use table::Table;
