//! A model's directory: its files, its card, their hashes, and example outputs to check it by.

pub mod card;
pub mod examples;

mod files;
pub(crate) mod sums;
mod verify;

pub use files::ModelFiles;
pub use verify::{Check, CheckOutcome, verify};
