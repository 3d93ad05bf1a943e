//! A model's directory: its files, its card, their hashes, and example outputs to check it by.

mod calibration;
pub mod card;
pub mod examples;

mod contents;
mod error;
mod files;
pub(crate) mod sums;
mod verify;
mod write;

pub use calibration::{CalibrationFile, TemperatureRecord};
pub use contents::{Contents, PackedFile, Source};
pub use error::PackageError;
pub use files::ModelFiles;
pub use verify::{Check, CheckOutcome, verify};
pub use write::write;
